# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts and fields for the results of pm2_control: labels, lines of a diff, and the reason why a process did not stay up."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..._core.children import Program
from ..._core.masking import mask
from ..._shared import proc

MOST_NAMES = 20  # in one line
LAUNCHES_WITHIN = 10.0
LONGEST_LAUNCH = 60.0
LAST_WORDS_WITHIN = 0.5  # seconds in which PM2 writes the last output of a process that ended


def shown(processes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the fields of each process that the module returns."""
    now = time.time()
    return [
        {
            "name": one["name"],
            "pm_id": one["pm_id"],
            "pid": one["pid"],
            "status": one["status"],
            "restarts": one["restarts"],
            "uptime_ms": max(0, round((now - one["started_at"]) * 1000)) if one["status"] == "online" and one["started_at"] else 0,
            "exec_mode": one["exec_mode"],
        }
        for one in processes
    ]


def lines(processes: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return one line for each process, for a diff."""
    return sorted(f"{label(one)}: {one['status']}, {one['exec_mode']}, pid {one['pid']}" for one in processes)


def label(one: Mapping[str, Any]) -> str:
    """Return the name of a process with its number."""
    return f"{one['name']} ({one['pm_id']})"


def future(name: str, mode: str) -> dict[str, Any]:
    """Return a placeholder for a process that will start, for check mode."""
    return {"name": name, "pm_id": "new", "status": "online", "exec_mode": mode, "pid": "new"}


def again(one: Mapping[str, Any]) -> dict[str, Any]:
    """Return a process as it will be after a restart, for check mode."""
    return {**one, "status": "online", "pid": "new"}


def names(entries: Sequence[Mapping[str, Any]]) -> str:
    """Return the names of processes in one line."""
    names = sorted({entry["name"] for entry in entries})
    return ", ".join(names if len(names) <= MOST_NAMES else [*names[:MOST_NAMES], f"and {len(names) - MOST_NAMES} more"])


def orphans(listed: Mapping[str, Any]) -> str:
    """Return the applications that outlived their daemon, in one line."""
    return ", ".join(f"{one['name']} (process {one['pid']})" for one in listed["orphans"])


def daemon_pid(listed: Mapping[str, Any]) -> Any:
    """Return the pid of the daemon, or a placeholder when it is not known."""
    return (listed.get("daemon") or {}).get("pid", "<its pid>")


def short(judged: Sequence[Mapping[str, Any]], needed: Mapping[str, int]) -> str:
    """Return a sentence about the first name that has fewer processes than needed, "" when each has enough."""
    for name, number in needed.items():
        there = sum(one["name"] == name for one in judged)
        if there < number:
            return f"{name}: {there} of {number} processes are in PM2's list"
    return ""


def just_launched(one: Mapping[str, Any]) -> bool:
    """Return whether a process started so recently that it may still become ready."""
    allowed = min(max(LAUNCHES_WITHIN, one["listen_timeout"]), LONGEST_LAUNCH)
    return one["status"] == "launching" and 0 <= time.time() - one["started_at"] < allowed


def stable(one: Mapping[str, Any], wait: float) -> bool:
    """Return whether a process has been online for ``wait`` seconds."""
    return bool(one["status"] == "online" and proc.state_of(one["pid"]) not in ("", "Z") and time.time() - one["started_at"] >= wait)


def last_words(one: Mapping[str, Any], listed: Callable[[], Sequence[Mapping[str, Any]]], sleep: Callable[[float], None]) -> str:
    """Return a colon and the reason of an end from the log of a process; "" when the log has none.

    PM2 reports an end before it has written the last output of the process, so a log without a reason is read once more, in a new list.
    """
    if not one["log_line"]:
        sleep(LAST_WORDS_WITHIN)
        one = next((again for again in listed() if (again["pm_id"], again["name"]) == (one["pm_id"], one["name"])), one)
    return f": {one['log_line']}" if one["log_line"] else ""


def unstable(one: Mapping[str, Any], wait: float) -> str:
    """Return a sentence that says why a process does not count as started."""
    why = f": {one['log_line']}" if one["log_line"] else ""
    return f"{label(one)} is {one['status']} and did not stay up for {wait:g} s under one pid{why}"


def complaint(program: Program) -> str:
    """Return the error lines of the output of a command, or its last line where there are none; secrets are masked."""
    lines = [line.strip() for line in mask(program.stderr + "\n" + program.stdout, limit=8000).split("\n") if line.strip()]
    if program.code == 127 or any("env: " in line and "node" in line for line in lines):
        return "node is not found; give its folder in path_prefix"
    errors = [line for line in lines if "ERROR" in line or re.match(r"\w*Error\b", line)]
    return mask(" ".join((errors or lines[-1:] or [f"exit code {program.code}"])[:3]))
