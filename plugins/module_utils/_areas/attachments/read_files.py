# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The source attachments.files: walk the roots, match the names, inspect what matched, and return one outcome for each wanted name.

Runs in a bounded child as the user that the worker runs as. The main thread never touches a folder, so that it can return in time
what was found so far, however the mount behaves.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Mapping
from typing import Any, TypedDict

from ..._core.source import Source
from ..._shared.threads import Crew
from .batch import read_batch
from .facts import BatchFacts, FilesFacts
from .inspect_files import find_similar, inspect_matches
from .looked import Looked
from .match import Index, Sightings, Wanted
from .outcomes import summary
from .read_s3 import Remote, add_buckets, read_buckets
from .settings import SILENT_ROOTS, ZONE, Settings, owner, settings_of, wanted_of
from .walk import Walker
from .wanted import NAME_COLUMN, of_rows

QUERY_SHARE = 0.4  # part of the time that a query for the wanted names may take
BATCH_WITHIN = 2.0  # seconds for the marker and the log of the batch
SPARE = 0.15  # part of the time that is kept for judging what was read


class Prepared(TypedDict):
    """What is read before the child becomes the owner. started: monotonic seconds. wanted: None without names."""

    started: float
    settings: Settings
    wanted: list[Wanted] | None
    problem: dict[str, str]
    learnt: dict[str, Any]
    s3: Remote


def prepare(memory: Any = None, **parameters: Any) -> Prepared:
    """Read what the owner may not: the wanted names, and S3 with its library and key.

    memory: the refused passwords that the former run kept. Raises WrongQuestion, CannotRead, NeedsUser or DriverMissing.
    """
    started = time.monotonic()
    settings = settings_of(parameters)
    prepared: Prepared = {"started": started, "settings": settings, "wanted": None, "problem": {}, "learnt": {}, "s3": Remote()}
    if parameters.get("wanted_query"):
        prepared["wanted"], prepared["problem"], prepared["learnt"] = _query(parameters, settings, memory)
    else:
        prepared["wanted"] = wanted_of(parameters, settings.day)
    buckets = [root for root in settings.roots if root.is_s3]
    if buckets:
        share = 1.0 if len(buckets) == len(settings.roots) else 0.5
        until = started + settings.within * (1 - SPARE) * share
        prepared["s3"] = read_buckets(settings, Index(prepared["wanted"] or []), until, parameters)
    return prepared


def _query(parameters: Mapping[str, Any], settings: Settings, memory: Any) -> tuple[list[Wanted] | None, dict[str, str], dict[str, Any]]:
    """Return the wanted names of a database (None where it does not answer), the reason, and what is learnt of refused passwords."""
    from .query import ask

    columns = (parameters.get("name_column") or NAME_COLUMN, parameters.get("group_column") or "")
    zone, within = parameters.get("timezone") or ZONE, settings.within * QUERY_SHARE
    names = ask(parameters["wanted_query"], columns, settings.day, zone, within, memory)
    return (None if names.problem else of_rows(names.rows)), names.problem, names.learnt


def remember(found: FilesFacts, former: Any = None) -> dict[str, Any] | None:
    """Return what the next run needs of refused passwords; None where no database was queried."""
    if not found["learnt"]:
        return None
    from .query import remember as remember_refused

    return remember_refused(found["learnt"], former)


def read(prepared: Prepared, **parameters: Any) -> FilesFacts:
    """Return the outcome of each wanted name, and the state of roots, folders and batch."""
    # Nothing here makes reference cycles, and the search for them would take a sixth of the time.
    collecting = gc.isenabled()
    gc.disable()
    try:
        return _read(prepared, parameters)
    finally:
        if collecting:
            gc.enable()


def _read(prepared: Prepared, parameters: Mapping[str, Any]) -> FilesFacts:
    settings, started, wanted = prepared["settings"], prepared["started"], prepared["wanted"]
    until = started + settings.within * (1 - SPARE)
    index = Index(wanted or [])
    batch = Crew(lambda one: (read_batch(one), ()), most=1, until=min(until, time.monotonic() + BATCH_WITHIN)).run([settings.batch])
    walk = Walker(index, settings.rules.extensions, depth=settings.depth, until=until).walk(settings.roots)
    remote = prepared["s3"]
    add_buckets(walk, remote)
    walked = time.monotonic()
    sightings = Sightings.of(index, walk.hits)
    sightings.add_variants(index, walk.crowd)
    looked = Looked(wanted or [], index, settings.rules, walk, sightings)
    looked.files.update(remote.files)
    looked.verdicts.update(remote.verdicts)
    looked.unread, looked.contents = remote.unread, parameters.get("contents") is not False
    inspect_matches(looked, settings, until, deep=bool(parameters.get("deep")))
    find_similar(looked, settings.within, until)
    silent: BatchFacts = {"state": "silent", "marker": "", "log": "", "line": "", "at": None, "last": ""}
    return {
        **summary(looked, settings, wanted is not None),
        "names": prepared["problem"],
        "learnt": prepared["learnt"],
        "batch": batch[0] if batch else silent,
        "took": {"walk": round(walked - started, 4), "all": round(time.monotonic() - started, 4)},
    }


FILES = Source(
    "attachments.files",
    read,
    (
        "roots",
        "wanted",
        "wanted_file",
        "wanted_query",
        "name_column",
        "group_column",
        "date",
        "timezone",
        "as_user",
        "depth",
        "extensions",
        "name_pattern",
        "contents",
        "deep",
        "parallel_reads",
        "settle",
        "details",
        "s3",
        "batch_marker",
        "batch_log",
        "batch_failed",
        "batch_finished",
        "batch_hours_before",
        "answer_within",
        SILENT_ROOTS,
    ),
    owner=owner,
    prepare=prepare,
    remember=remember,
    # The checks of Oracle keep refused passwords under this name too.
    kept_as="oracle-refused",
    exclusive=("roots",),
)
