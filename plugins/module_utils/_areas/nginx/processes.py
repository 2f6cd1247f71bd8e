# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the master process of nginx and its workers."""

from __future__ import annotations

import os
import re
import time
from typing import TypedDict

_MASTER, _WORKER, _LEAVING = "nginx: master process", "nginx: worker process", "is shutting down"


class Worker(TypedDict):
    """A worker process."""

    pid: int
    state: str  # the letter of /proc/<pid>/stat
    started: float  # epoch seconds
    leaving: bool  # it is shutting down


class Master(TypedDict):
    """The master process."""

    pid: int
    ticks: int  # its start in clock ticks since boot
    started: float  # epoch seconds
    state: str
    uid: int
    named: bool  # the pid file names it
    workers: list[Worker]


def text_of(path: str, size: int = 65536) -> str:
    """Return the beginning of a file, "" when it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(size)
    except (OSError, ValueError):
        return ""


def title_of(pid: int) -> str:
    """Return the command line of a process, "" when there is no such process."""
    return text_of(f"/proc/{pid}/cmdline").replace("\0", " ").strip()


def stat_of(pid: int) -> tuple[str, int, int]:
    """Return state letter, parent and start (clock ticks since boot); ("", 0, 0) when there is no such process."""
    fields = text_of(f"/proc/{pid}/stat").rpartition(")")[2].split()
    try:
        return fields[0], int(fields[1]), int(fields[19])
    except (IndexError, ValueError):
        return "", 0, 0


def _started(ticks: int) -> float:
    return time.time() - (time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"))


def pids() -> list[int]:
    """Return the ids of all processes."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def find_master(pid_file: str, conf: str, default_conf: str) -> Master | None:
    """Return the running master: the one that the pid file names, otherwise one that was started with this configuration."""
    named = text_of(pid_file, 64).strip()
    candidates = [int(named)] if named.isdigit() and len(named) < 10 else []
    pid = next((one for one in candidates if _is_master(one)), None)
    if pid is None:
        pid = next((one for one in pids() if _is_master(one) and _serves(title_of(one), conf, default_conf)), None)
    if pid is None:
        return None
    state, _parent, ticks = stat_of(pid)
    children = [(one, stat_of(one)) for one in pids()]
    workers = [_worker(one, about) for one, about in children if about[1] == pid and title_of(one).startswith(_WORKER)]
    return {
        "pid": pid,
        "ticks": ticks,
        "started": _started(ticks),
        "state": state,
        "uid": _uid(pid),
        "named": bool(candidates) and candidates[0] == pid,
        "workers": workers,
    }


def _uid(pid: int) -> int:
    """Return the effective user id of a process, -1 when it has ended."""
    match = re.search(r"^Uid:\s+\d+\s+(\d+)", text_of(f"/proc/{pid}/status"), re.M)
    return int(match.group(1)) if match else -1


def _is_master(pid: int) -> bool:
    return title_of(pid).startswith(_MASTER) and stat_of(pid)[0] not in ("", "Z", "X")


def _serves(title: str, conf: str, default_conf: str) -> bool:
    match = re.search(r" -c ?(\S+)", title)
    return (match.group(1) if match else default_conf) == conf


def _worker(pid: int, about: tuple[str, int, int]) -> Worker:
    return {"pid": pid, "state": about[0], "started": _started(about[2]), "leaving": _LEAVING in title_of(pid)}
