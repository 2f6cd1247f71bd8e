# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FIXME: say what this file holds."""

from __future__ import annotations

import os
import time
from typing import Any

from ..._shared.proc import PROC
from ..._shared.text_files import text_of, whole

MAX_PROCESSES = 20000


SCAN_WITHIN = 1.0  # seconds for looking at all processes


def parse_process(text: str | None) -> dict[str, Any] | None:
    """Return ``pid name state ticks start pages`` of a /proc/<pid>/stat; a name may hold spaces and brackets."""
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


def read_processes(only: set[int] | None) -> list[dict[str, Any]]:
    """Return the processes (of a set of pids), see :func:`parse_process`; stops after a second on a very busy machine."""
    end = time.monotonic() + SCAN_WITHIN
    found = []
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
