# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shapes of what the sources attachments.files and attachments.kept return. Times are epoch seconds unless stated otherwise."""

from __future__ import annotations

from typing import Any, TypedDict


class RootFacts(TypedDict):
    """One root.

    given: as the parameters have it; path: on the day; base: in front of the date. problem: the root's own, or the first one below it
    ("" for none, "silent" for no answer in time), and where that is. files, folders: how many were seen.
    """

    given: str
    path: str
    base: str
    dated: bool
    problem: str
    where: str
    files: int
    folders: int


class BatchFacts(TypedDict):
    """The batch that makes the attachments; see :func:`batch.read_batch`."""

    state: str
    marker: str
    log: str
    line: str
    at: float | None
    last: str


class RowDetails(TypedDict, total=False):
    """Entries of a row that are there where they apply.

    times: how often the name is wanted. equal: whether duplicates have equal contents (yes, no, unknown). looked: False for a file whose
    contents were not read in time. why, kind: what is wrong with the contents. differs: in what a candidate differs. shared: whether
    another wanted name has the same candidate. move: folder, old and new name of a rename that corrects the name.
    """

    times: int
    size: int | None
    equal: str
    looked: bool
    why: str
    kind: str
    differs: list[str]
    shared: bool
    move: list[str]


class Judged(RowDetails, total=False):
    """The part of a row that a judgement adds."""

    outcome: str
    code: str
    candidates: list[str]


class Row(RowDetails):
    """One wanted name and its outcome. code: what is wrong, "" for nothing. candidates: files that the name may mean."""

    name: str
    group: str
    outcome: str
    code: str
    paths: list[str]
    candidates: list[str]


class FolderBase(TypedDict):
    """One folder and its problem, "" for none. files: how many it holds."""

    path: str
    files: int
    problem: str


class FolderFacts(FolderBase, total=False):
    """How many wanted names of each outcome a folder holds."""

    FOUND: int
    NOT_FOUND: int
    DUPLICATED: int
    INVALID: int
    UNKNOWN: int


class SimilarFacts(TypedDict):
    """Missing names that were compared with similar ones, and that were not; whole: whether with the names of all files."""

    looked: int
    left: int
    whole: bool


class Details(TypedDict):
    """The rows of the wanted names, those in trouble first."""

    details: list[Row]


class PackedDetails(Details, total=False):
    """packed: the rows as base64 of compressed JSON, where they are too many for the answer of a child; details is empty then."""

    packed: str


class Summary(PackedDetails):
    """The judged part of a reading.

    complete: whether every folder answered. listed: whether wanted names were given. counts: by outcome; codes: by code; examples: rows by
    code; groups: outcomes by customer group. details are cut to the number in the settings. files: in all folders. read: files
    whose contents were read; unread: those that the time did not reach.
    """

    at: float
    date: str
    user: str
    roots: list[RootFacts]
    complete: bool
    listed: bool
    wanted: int
    counts: dict[str, int]
    codes: dict[str, int]
    examples: dict[str, list[Row]]
    folders: list[FolderFacts]
    groups: dict[str, dict[str, int]]
    files: int
    read: int
    unread: int
    similar: SimilarFacts


class FilesFacts(Summary):
    """What attachments.files returns.

    names: why the wanted names are unknown (``reason``, ``code``), {} where they are known. learnt: what the next run needs of refused
    passwords. took: seconds of walking and of everything.
    """

    names: dict[str, str]
    learnt: dict[str, Any]
    batch: BatchFacts
    took: dict[str, float]


class KeptRoot(TypedDict):
    """What a root keeps longer than its policy.

    how: folders (the folders of a dated root have the age in their names), files (their times have it), s3 (not read) or untold (the names
    hold no whole date). old: how many are too old. oldest: the day of the oldest, YYYY-MM-DD. looked: how many were looked at; more: whether
    there are others that were not.
    """

    given: str
    path: str
    how: str
    problem: str
    old: int
    oldest: str
    examples: list[str]
    looked: int
    more: bool


class KeptFacts(TypedDict):
    """What attachments.kept returns."""

    roots: list[KeptRoot]
