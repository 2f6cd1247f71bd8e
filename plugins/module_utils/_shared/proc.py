# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What /proc says of a process."""

from __future__ import annotations

import os
import re

from .text_files import text_of

PROC = "/proc"


def label(pid: int, name: str) -> str:
    """Return a process's name and, for an interpreter, its script; never its other arguments, which may hold secrets."""
    words = re.split(r"[\0 ]", text_of(os.path.join(PROC, str(pid), "cmdline"), 4096) or "")
    for word in words[:8]:
        script = _SCRIPT.search(word[-256:])
        if script and script.group(1) != name:
            return f"{name.split(' ')[0]} ({script.group(1)})"  # PM2 puts the script into the name as well
    return name


_SCRIPT = re.compile(r"([^/\s]+\.(?:[cm]?js|py|jar|sh|pl|rb|php))$")


def uid_of(pid: int) -> int | None:
    """Return the effective user id of a process; the owner of /proc/<pid> is root for some, so its status is read."""
    match = re.search(r"^Uid:\s+\d+\s+(\d+)", text_of_process(pid, "status"), re.M)
    return int(match.group(1)) if match else None


def state_of(pid: int) -> str:
    """Return the state letter of a process (R S D T Z ...), "" when there is none."""
    match = re.search(r"^State:\s+(\w)", text_of_process(pid, "status"), re.M)
    return match.group(1) if match else ""


def text_of_process(pid: int, name: str) -> str:
    try:
        with open(f"/proc/{int(pid)}/{name}", encoding="utf-8", errors="replace") as file:
            return file.read(65536)
    except OSError:
        return ""


def _oom_kills() -> int | None:
    try:
        with open("/proc/vmstat", encoding="ascii", errors="replace") as file:
            match = re.search(r"^oom_kill (\d+)$", file.read(65536), re.M)
    except OSError:
        return None
    return int(match.group(1)) if match else None
