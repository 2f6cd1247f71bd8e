# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The source ``log.applications``: the errors in the logs of PM2's applications, read once for the areas backend and worker."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from typing import Any, cast

from ..._core.children import user_name
from ..._core.source import Source
from .. import pm2_list, pm2_rpc, text_files
from .dates import Clock, clock_of
from .facts import ApplicationLogs, Entry, Errors, FileFacts, GroupFacts, Memory
from .limits import MEGABYTE, Limits
from .paths import MAX_FILES, application_logs
from .reader import read_file
from .records import Group, merged
from .verdict import is_over

TAIL = 8192  # bytes of a log in which its clock is looked up
MAX_CURSORS = 500
MAX_GROUPS = 200
FORGET_AFTER = 30 * 86400
FIRST_READ_MB, READ_MB, WITHIN = 50, 1024, 6.0
_VERSION = 1

LOG_PARAMETERS: dict[str, dict[str, Any]] = {
    **pm2_list.LIST_PARAMETERS,
    "app_dir": {
        "type": "path",
        "variable": "stack_app_dir",
        "description": "The installation, such as /opt/tank-mail-app. The logs in its folders <process>/logs are read besides those of PM2's list.",
    },
    "first_read_mb": {
        "type": "int",
        "default": FIRST_READ_MB,
        "variable": "stack_log_first_read_mb",
        "description": "Megabytes of each log that a first run reads, from its end. Later runs read what is new.",
    },
    "quiet": {
        "type": "int",
        "default": 86400,
        "variable": "stack_log_quiet",
        "description": "Seconds without a new occurrence after which an error of the daily work is over, unless a restart ends it earlier.",
    },
}


def read_applications(
    pm2_home: str,
    user: str | None = None,
    app_dir: str | None = None,
    first_read_mb: int | None = None,
    quiet: int | None = None,
    answer_within: float | None = None,
    memory: Any = None,
    limits: Limits | None = None,
    modules: bool = False,
    now: float | None = None,
) -> ApplicationLogs:
    """Read what is new in the logs of PM2's applications, and add it to the errors that former runs found.

    memory: what :func:`remember` returned for the former run. modules: read the logs of PM2's own modules too.
    """
    now = time.time() if now is None else now
    remembered = usable(memory)
    listed = application_logs(pm2_home, app_dir, answer_within or 3.0, modules)
    answer: ApplicationLogs = {
        "state": listed["state"],
        "problem": listed["problem"],
        "processes": {},
        "user": user or user_name(os.geteuid()),
        "read_at": now,
        "memory": remembered,
    }
    if listed["state"] != pm2_rpc.UP:
        return answer
    limits = limits or Limits((first_read_mb or FIRST_READ_MB) * MEGABYTE, READ_MB * MEGABYTE, time.monotonic() + WITHIN)
    kept = empty_memory()
    for name, process in listed["processes"].items():
        errors = read_process(name, process["paths"], process["entries"], remembered, kept, limits, now, float(quiet or 86400))
        answer["processes"][name] = {
            "entries": process["entries"],
            "outputs": process["outputs"],
            "unlogged": process["unlogged"],
            **errors,
        }
    answer["memory"] = with_absent(kept, remembered, now)
    return answer


def remember(answer: ApplicationLogs, _former: Any = None) -> Memory:
    """Return the state for the next run: cursors, clocks, and the errors that still count."""
    return answer["memory"]


APPLICATIONS = Source("log.applications", read_applications, tuple(LOG_PARAMETERS), owner=pm2_list.reader, remember=remember)


def empty_memory() -> Memory:
    """Return the memory of a first run."""
    return {"version": _VERSION, "files": {}, "clocks": {}, "groups": {}}


def usable(memory: Any) -> Memory:
    """Return the memory of a former run, or an empty one when it is damaged or of another version."""
    parts = ("files", "clocks", "groups")
    if isinstance(memory, dict) and memory.get("version") == _VERSION and all(isinstance(memory.get(part), dict) for part in parts):
        return cast(Memory, memory)
    return empty_memory()


def with_absent(kept: Memory, remembered: Memory, now: float) -> Memory:
    """Add the memory of processes that PM2 does not list now, so that their logs are read on when they return."""
    here = set(kept["groups"])
    kept["clocks"].update({name: value for name, value in remembered["clocks"].items() if name not in here})
    kept["groups"].update({name: value for name, value in remembered["groups"].items() if name not in here})
    for path, cursor in list(remembered["files"].items())[:MAX_CURSORS]:
        at = cursor.get("at") if isinstance(cursor, dict) else None
        if path not in kept["files"] and isinstance(at, (int, float)) and now - at < FORGET_AFTER:
            kept["files"][path] = cursor
    return kept


def read_process(
    name: str,
    paths: Sequence[str],
    entries: Sequence[Entry],
    remembered: Memory,
    kept: Memory,
    limits: Limits,
    now: float,
    quiet: float,
) -> Errors:
    """Read the logs of one process, and write the state for the next run to ``kept``."""
    clock = _clock(paths, remembered["clocks"].get(name))
    if clock != Clock():
        kept["clocks"][name] = {"order": clock.order, "offset": clock.offset}
    found: list[tuple[str, Group]] = []
    files: list[FileFacts] = []
    for path in paths[:MAX_FILES]:
        progress, cursor, groups = read_file(path, remembered["files"], clock, limits, now)
        progress.process = name
        files.append(progress.as_facts())
        if cursor is not None:
            kept["files"][path] = cursor
        found += groups
    new = merged(found)
    counts = {key: group.count for key, group in new.items()}
    old = [(key, group) for key, group in _groups(remembered["groups"].get(name)) if _still_counts(group, entries, now, quiet)]
    whole = merged([*old, *((key, group) for key, group in new.items())])
    newest = sorted(whole.items(), key=lambda item: -(item[1].last or 0))[:MAX_GROUPS]
    as_dicts: dict[str, GroupFacts] = {key: group.as_dict() for key, group in newest}
    kept["groups"][name] = as_dicts
    return {"groups": as_dicts, "new": counts, "files": files}


def _groups(remembered: Any) -> list[tuple[str, Group]]:
    """Return the groups of a former run; damaged ones are left out."""
    if not isinstance(remembered, dict):
        return []
    found = []
    for key, entry in remembered.items():
        with contextlib.suppress(TypeError):
            group = Group(**entry)
            if isinstance(group.count, int) and all(isinstance(one, dict) for one in (group.details, group.causes, group.domains)):
                found.append((str(key), group))
    return found


def _still_counts(group: Group, entries: Sequence[Entry], now: float, quiet: float) -> bool:
    return now - (group.last or 0) < FORGET_AFTER and not is_over(group.as_dict(), entries, now, quiet)


def _clock(paths: Sequence[str], remembered: Any) -> Clock:
    """Return the clock of a process by the first of its logs that shows it, else the remembered one."""
    for path in reversed(paths):  # the out log is written more often
        text, modified = text_files.tail(path, TAIL)
        clock = clock_of(text, modified) if text else None
        if clock is not None:
            return clock
    if isinstance(remembered, dict) and isinstance(remembered.get("offset"), (int, float, type(None))):
        return Clock(str(remembered.get("order") or ""), remembered.get("offset"))
    return Clock()
