# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read /proc: the label, user and state of a process, and the kernel's count of kills for memory."""

from __future__ import annotations

import os
import re

from .text_files import SMALL, text_of

PROC = "/proc"
_SCRIPT = re.compile(r"([^/\s]+\.(?:[cm]?js|py|jar|sh|pl|rb|php))$")


def label(pid: int, name: str) -> str:
    """Return a process's name and, for an interpreter, its script; never its other arguments, which may hold secrets."""
    words = re.split(r"[\0 ]", text_of(os.path.join(PROC, str(pid), "cmdline"), 4096) or "")
    for word in words[:8]:
        script = _SCRIPT.search(word[-256:])
        if script and script.group(1) != name:
            return f"{name.split(' ')[0]} ({script.group(1)})"  # PM2 puts the script into the name as well
    return name


def uid_of(pid: int) -> int | None:
    """Return the effective user id of a process, None when there is no such process.

    Reads the status file: /proc/<pid> itself belongs to root for some processes of other users.
    """
    match = re.search(r"^Uid:\s+\d+\s+(\d+)", text_of_process(pid, "status"), re.M)
    return int(match.group(1)) if match else None


def state_of(pid: int) -> str:
    """Return the state letter of a process (R, S, D, T, Z ...), "" when there is no such process."""
    match = re.search(r"^State:\s+(\w)", text_of_process(pid, "status"), re.M)
    return match.group(1) if match else ""


def text_of_process(pid: int, name: str) -> str:
    """Return a file of /proc/<pid> as text, "" when this process may not read it."""
    return text_of(os.path.join(PROC, str(int(pid)), name)) or ""


def oom_kill_count() -> int | None:
    """Return how many processes the kernel has killed for memory since boot, None where it does not count them."""
    match = re.search(r"^oom_kill (\d+)$", text_of(os.path.join(PROC, "vmstat"), SMALL) or "", re.M)
    return int(match.group(1)) if match else None
