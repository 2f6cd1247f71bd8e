# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The source attachments.files: walk the roots, match, look at what matched, and say one outcome for each wanted name.

Runs in a bounded child as the user that the worker runs as. The main thread never touches a folder, so that it can answer
in time with what was found so far, whatever the mount does.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Mapping
from typing import Any

from ..._core.source import Source
from ..._shared.threads import Crew
from .batch import read_batch
from .inspect_files import find_similar, inspect_matches
from .looked import Looked
from .match import (
    Index,
    Sightings,
    Wanted,
)
from .outcomes import summary
from .read_s3 import add_buckets, read_buckets
from .settings import SILENT_ROOTS, ZONE, owner, settings_of, wanted_of
from .walk import Walker
from .wanted import NAME_COLUMN, of_rows

QUERY_SHARE = 0.4  # part of the time that a query for the wanted names may take
SPARE = 0.15  # part of the time that is kept for judging what was read


def prepare(memory: Any = None, **parameters: Any) -> dict[str, Any]:
    """Read what the user to become may not: the wanted names, and S3 with its library and key. memory: of refused passwords."""
    started = time.monotonic()
    settings = settings_of(parameters)
    names: dict[str, Any] = {"problem": {}, "learnt": {}}
    if parameters.get("wanted_query"):
        wanted, names = _queried(parameters, settings, memory)
    else:
        wanted = wanted_of(parameters, settings["day"])
    prepared: dict[str, Any] = {"started": started, "settings": settings, "wanted": wanted, "names": names, "s3": None}
    buckets = [root for root in settings["roots"] if root.is_s3]
    if buckets:
        share = 1.0 if len(buckets) == len(settings["roots"]) else 0.5
        until = started + settings["within"] * (1 - SPARE) * share
        prepared["s3"] = read_buckets(settings, Index(wanted or []), until, parameters)
    return prepared


def _queried(parameters: Mapping[str, Any], settings: Mapping[str, Any], memory: Any) -> tuple[list[Wanted] | None, dict[str, Any]]:
    """Return the names that a database wants (None where it does not say), why not, and what is learnt of refused passwords."""
    from .query import ask

    columns = (parameters.get("name_column") or NAME_COLUMN, parameters.get("group_column") or "")
    zone, within = parameters.get("timezone") or ZONE, settings["within"] * QUERY_SHARE
    names = ask(parameters["wanted_query"], columns, settings["day"], zone, within, memory)
    return (None if names.problem else of_rows(names.rows)), {"problem": names.problem, "learnt": names.learnt}


def remember(found: Mapping[str, Any], former: Any = None) -> dict[str, Any] | None:
    """Return what the next run needs of refused passwords; None where no database was asked."""
    if not found["learnt"]:
        return None
    from .query import remember as remembered

    return remembered(found["learnt"], former)


# --- reading


def read(prepared: Mapping[str, Any], **parameters: Any) -> dict[str, Any]:
    """Return what became of the wanted names.

    ``at date roots`` (``given path base problem files folders user``) ``complete`` (every folder answered) ``listed`` (names were
    given) ``wanted counts codes`` (by code) ``examples`` (by code, rows as in details) ``folders`` (``path files problem`` and
    outcomes) ``groups`` (outcomes by group) ``details`` (``name outcome code group paths candidates ...``, the troubled ones
    first, cut to their number) ``files`` (in all folders) ``read unread`` (files that were judged, and that the time did not reach)
    ``similar`` (missing names that similar ones were looked for, ``looked``, and were not, ``left``; ``whole``: among all files)
    ``batch`` (see read_batch) ``took`` (seconds, of walking, looking and all) ``names`` (why the wanted names are not known, {} where
    they are) ``learnt`` (see :func:`remember`).
    """
    # Nothing here makes circles of references, and looking for them would take a sixth of the time.
    collecting = gc.isenabled()
    gc.disable()
    try:
        return _read(prepared, parameters)
    finally:
        if collecting:
            gc.enable()


def _read(prepared: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    settings = prepared["settings"]
    started = prepared["started"]
    until = started + settings["within"] * (1 - SPARE)
    wanted = prepared["wanted"]
    index = Index(wanted or [])
    batch = Crew(lambda arguments: (read_batch(*arguments), ()), most=1, until=min(until, time.monotonic() + 2.0)).run([settings["batch"]])
    walk = Walker(index, settings["rules"].extensions, depth=settings["depth"], until=until).walk(settings["roots"])
    remote = prepared["s3"] or {"folders": [], "names": [], "files": {}, "verdicts": {}, "unread": 0}
    add_buckets(walk, remote)
    walked = time.monotonic()
    sightings = Sightings.of(index, walk.hits)
    sightings.add_variants(index, walk.crowd)
    looked = Looked(wanted or [], index, settings["rules"], walk, sightings)
    looked.files.update(remote["files"])
    looked.verdicts.update(remote["verdicts"])
    looked.unread, looked.contents = remote["unread"], parameters.get("contents") is not False
    inspect_matches(looked, settings, until, parameters)
    find_similar(looked, settings, until)
    answer = summary(looked, settings, wanted is not None)
    answer["names"], answer["learnt"] = prepared["names"]["problem"], prepared["names"]["learnt"]
    answer["batch"] = batch[0] if batch else {"state": "silent", "marker": "", "log": "", "line": "", "at": None, "last": ""}
    answer["took"] = {"walk": round(walked - started, 4), "all": round(time.monotonic() - started, 4)}
    return answer


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
    # The memory of refused passwords that the checks of Oracle have.
    kept_as="oracle-refused",
    exclusive=("roots",),
)
