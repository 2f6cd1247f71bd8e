# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check pm2.user (product facts: the worker never runs as root)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._core.check import Check
from ..._core.finding import Finding, ok, unknown
from ..._core.source import Asked
from ..._shared.pm2_list import LIST_PARAMETERS, WANTED_PARAMETERS, wanted
from .blocked import blocked, intruded
from .evidence import argument, instances_of, where_of
from .faults import fault
from .read_list import LIST

PARAMETERS: dict[str, dict[str, Any]] = {**LIST_PARAMETERS, **WANTED_PARAMETERS}


def judge(asked: Asked) -> list[Finding]:
    """Say for each process that must run whether it runs as root (product facts: it never may)."""
    check = "pm2.user"
    needed = wanted(asked.parameters)
    listed = asked.read("pm2.list")
    if listed["state"] != "up":
        return [blocked(check, listed)]
    return [_runs_as(asked, one.name, listed) for one in needed]


def _runs_as(asked: Asked, name: str, listed: Mapping[str, Any]) -> Finding:
    entries = instances_of(listed, name)
    if not entries and intruded(listed):
        evidence = {**where_of(asked, listed), **argument(name), "running": False, "intruder": True}
        return fault("pm2.runs_as_root", "pm2.user", name, evidence=evidence)
    if not entries:
        return unknown("pm2.user", f"{name} is not in PM2's list", blocked_by="pm2.missing", subject=name)
    for entry in entries:
        if _is_root(entry, listed):
            # A daemon of root in another user's PM2_HOME is somebody's slip, and another way out.
            more = {"pid": entry["pid"], "running": entry["uid"] is not None, "intruder": intruded(listed)}
            evidence = {**where_of(asked, listed), **argument(name), **more}
            return fault("pm2.runs_as_root", "pm2.user", name, evidence=evidence)
    return ok("pm2.user", name, evidence={"uid": entries[0]["uid"]})


def _is_root(entry: Mapping[str, Any], listed: Mapping[str, Any]) -> bool:
    """Whether a process runs as root; for one that does not run, whether it would: PM2's own user unless told otherwise."""
    if entry["uid"] is not None:
        return entry["uid"] == 0
    if entry["run_as"]:
        return entry["run_as"] in ("0", "root")
    return listed["daemon"]["uid"] == 0


CHECK = Check("pm2.user", "Does any of the processes run as root?", judge, (LIST,), PARAMETERS, run_as="app")
