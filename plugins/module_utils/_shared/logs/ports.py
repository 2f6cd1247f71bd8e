# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The source ``log.ports``: the processes that listen on TCP ports, since the log line EADDRINUSE names the port only.

Read as the user that runs the check, not as the application's user: only root sees the open files of other users.
"""

from __future__ import annotations

import os
import time

from ..._core.children import user_name
from ..._core.masking import mask
from ..._core.source import Source
from .facts import Holder

WITHIN = 1.0  # seconds for reading the open files of all processes
MAX_TEXT = 4 * 1024 * 1024


def read_holders() -> dict[str, Holder]:
    """Return the processes that listen on TCP ports, by port (text).

    When several processes share a port (a cluster), the lowest pid is returned.
    """
    ports = _listening()
    pids = _processes({inode for _port, _user, inode in ports})
    holders: dict[str, Holder] = {}
    for port, uid, inode in ports:
        pid = pids.get(inode, 0)
        known = holders.get(str(port))
        if known is None or (pid and not known["pid"]):
            holders[str(port)] = {"user": user_name(uid), "pid": pid, "program": _program(pid) if pid else ""}
    return holders


def _listening() -> list[tuple[int, int, str]]:
    found = []
    for name in ("tcp", "tcp6"):
        for line in _text(f"/proc/net/{name}").split("\n")[1:]:
            fields = line.split()
            if len(fields) >= 10 and fields[3] == "0A" and fields[7].isdigit():
                found.append((int(fields[1].rpartition(":")[2], 16), int(fields[7]), f"socket:[{fields[9]}]"))
    return found


def _processes(inodes: set[str]) -> dict[str, int]:
    end = time.monotonic() + WITHIN
    found: dict[str, int] = {}
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        if len(found) == len(inodes) or time.monotonic() > end:
            break
        folder = f"/proc/{pid}/fd"
        try:
            names = os.listdir(folder)
        except OSError:
            continue
        for name in names:
            try:
                link = os.readlink(f"{folder}/{name}")
            except OSError:
                continue
            if link in inodes:
                found.setdefault(link, pid)
    return found


def _program(pid: int) -> str:
    """Return the program of a process and the script that it runs; other arguments may contain secrets."""
    words = _text(f"/proc/{pid}/cmdline").split("\0")
    name = os.path.basename(words[0].split(" ")[0]) or _text(f"/proc/{pid}/comm").strip()
    script = next((word for word in words[1:3] if word.startswith("/")), "")
    return mask(f"{name} {script}".strip(), 160)


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(MAX_TEXT)
    except OSError:
        return ""


PORTS = Source("log.ports", read_holders)
