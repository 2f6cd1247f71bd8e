# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check pm2.user (product facts: the worker never runs as root)."""

from __future__ import annotations

from ..._core.check import Check
from ..._core.finding import Finding, ok, unknown
from ..._core.source import Asked
from ..._shared.pm2_list import LIST_PARAMETERS, WANTED_PARAMETERS, Listed, Process, wanted
from .blocked import blocked, intruded
from .evidence import argument, instances_of, where_of
from .faults import fault
from .read_list import LIST

PARAMETERS = {**LIST_PARAMETERS, **WANTED_PARAMETERS}


def judge(asked: Asked) -> list[Finding]:
    """Report each process that must run and runs as root (product facts)."""
    check = "pm2.user"
    needed = wanted(asked.parameters)
    listed: Listed = asked.read("pm2.list")
    if listed["state"] != "up":
        return [blocked(check, listed)]
    return [_runs_as(asked, one.name, listed) for one in needed]


def _runs_as(asked: Asked, name: str, listed: Listed) -> Finding:
    entries = instances_of(listed, name)
    if not entries and intruded(listed):
        evidence = {**where_of(asked, listed), **argument(name), "running": False, "intruder": True}
        return fault("pm2.runs_as_root", "pm2.user", name, evidence=evidence)
    if not entries:
        return unknown("pm2.user", f"{name} is not in PM2's list", blocked_by="pm2.missing", subject=name)
    for entry in entries:
        if _is_root(entry, listed):
            # Root's daemon in another user's PM2_HOME is a mistake; its next step differs.
            more = {"pid": entry["pid"], "running": entry["uid"] is not None, "intruder": intruded(listed)}
            evidence = {**where_of(asked, listed), **argument(name), **more}
            return fault("pm2.runs_as_root", "pm2.user", name, evidence=evidence)
    return ok("pm2.user", name, evidence={"uid": entries[0]["uid"]})


def _is_root(entry: Process, listed: Listed) -> bool:
    """Whether a process runs as root, or would when PM2 starts it: as the user that PM2 was given, else as the daemon's user."""
    if entry["uid"] is not None:
        return entry["uid"] == 0
    if entry["run_as"]:
        return entry["run_as"] in ("0", "root")
    daemon = listed["daemon"]
    return daemon is not None and daemon["uid"] == 0


CHECK = Check("pm2.user", "Does any of the processes run as root?", judge, (LIST,), PARAMETERS, run_as="app")
