# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the processes of the machine from /proc."""

from __future__ import annotations

import os
import time
from typing import TypedDict

from ..._shared.proc import PROC
from ..._shared.text_files import text_of, whole

MAX_PROCESSES = 20000
SCAN_WITHIN = 1.0  # seconds for reading all processes


class ProcessStat(TypedDict):
    """A process in /proc/<pid>/stat."""

    pid: int
    name: str
    state: str  # a letter: R, S, D ...
    ticks: int  # CPU time in clock ticks
    start: int  # clock ticks since boot
    pages: int  # of memory


def parse_process(text: str | None) -> ProcessStat | None:
    """Return the process of a /proc/<pid>/stat, None for any other text; a name may contain spaces and brackets."""
    head, _bracket, rest = (text or "").rpartition(")")
    pid, _bracket, name = head.partition("(")
    fields = rest.split()
    if len(fields) < 22 or not whole(pid):
        return None
    return {
        "pid": whole(pid),
        "name": name[:64],
        "state": fields[0][:1],
        "ticks": max(0, whole(fields[11])) + max(0, whole(fields[12])),
        "start": whole(fields[19]),
        "pages": max(0, whole(fields[21])),
    }


def read_processes(only: set[int] | None) -> list[ProcessStat]:
    """Return all processes, or those of a set of pids; stops after SCAN_WITHIN on a very busy machine."""
    end = time.monotonic() + SCAN_WITHIN
    found: list[ProcessStat] = []
    for name in _pids() if only is None else map(str, sorted(only)):
        process = parse_process(text_of(os.path.join(PROC, name, "stat"), 4096))
        if process is not None:
            found.append(process)
        if len(found) >= MAX_PROCESSES or time.monotonic() >= end:
            break
    return found


def _pids() -> list[str]:
    try:
        return [name for name in os.listdir(PROC) if name.isdigit()]
    except OSError:
        return []
