# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Types of what the log reader returns. Times are epoch seconds unless stated otherwise, sizes are bytes."""

from __future__ import annotations

from typing import Any, TypedDict


class Entry(TypedDict):
    """One instance of a process in PM2's list; ``created_at`` in milliseconds."""

    pid: int
    status: str
    started_at: float
    created_at: float
    restarts: int


class GroupFacts(TypedDict):
    """One group of errors; see :class:`..records.Group` for the fields."""

    name: str
    sample: str
    count: int
    first: float | None
    last: float | None
    after: float | None
    exact: bool
    pid: int
    path: str
    details: dict[str, int]
    causes: dict[str, int]
    domains: dict[str, int]


class FileFacts(TypedDict):
    """How far one file was read; see :class:`..cursors.Progress` for the fields."""

    path: str
    process: str
    size: int
    read: int
    skipped: int
    truncated: bool
    rotated: list[str]
    behind: bool
    lost: bool
    problem: str
    records: int


class Cursor(TypedDict):
    """How far a file was read: ``head`` is a fingerprint of its first ``head_size`` bytes, ``at`` its time of modification."""

    inode: int
    offset: int
    head: str
    head_size: int
    at: float


class Memory(TypedDict):
    """State that one run keeps for the next: cursors by path, clocks and groups of errors by process.

    The state file may be damaged, so readers validate each entry.
    """

    version: int
    files: dict[str, Any]
    clocks: dict[str, Any]
    groups: dict[str, Any]


class Listed(TypedDict):
    """One process of PM2's list, all instances together.

    paths: its log files. outputs: those of them that receive no errors. unlogged: PM2 discards a part of its output.
    """

    entries: list[Entry]
    paths: list[str]
    outputs: list[str]
    unlogged: bool


class Listing(TypedDict):
    """PM2's processes by name; ``state`` and ``problem`` as :func:`pm2_list.read_list` returns them."""

    state: str
    problem: str
    processes: dict[str, Listed]


class Errors(TypedDict):
    """The errors of one process: groups by key, how many errors of each key are new, and the files that were read."""

    groups: dict[str, GroupFacts]
    new: dict[str, int]
    files: list[FileFacts]


class ProcessLogs(Errors):
    """The logs of one process and its instances."""

    entries: list[Entry]
    outputs: list[str]
    unlogged: bool


class ApplicationLogs(TypedDict):
    """Facts of the source ``log.applications``: PM2's state and, by process, the errors that still count."""

    state: str
    problem: str
    user: str
    processes: dict[str, ProcessLogs]
    read_at: float
    memory: Memory


class NamedLogs(ApplicationLogs):
    """The same for logs that are named by path; ``left_out`` gives the reason for each path or pattern that was not read."""

    left_out: dict[str, str]


class Holder(TypedDict):
    """The process that listens on a port; pid 0 when the current user may not see it."""

    user: str
    pid: int
    program: str
