# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find applications that outlived their PM2 daemon."""

from __future__ import annotations

import glob
import os
from typing import TypedDict

from .pm2_rpc import plain_text
from .proc import state_of, text_of_process


class Orphan(TypedDict):
    """An application that runs without its daemon."""

    name: str
    pid: int


def read_orphans(pm2_home: str) -> list[Orphan]:
    """Return the applications of this PM2_HOME that still run without a daemon; a resurrect would start them twice."""
    found: list[Orphan] = []
    home = os.path.abspath(pm2_home)
    for path in sorted(glob.glob(os.path.join(glob.escape(home), "pids", "*.pid")))[:200]:
        try:
            with open(path, encoding="ascii", errors="replace") as file:
                pid = int(file.read(32).strip() or 0)
        except (OSError, ValueError):
            continue
        environment = text_of_process(pid, "environ").split("\0") if pid > 1 and state_of(pid) not in ("", "Z") else []
        if any(_same_file(variable[12:], path) for variable in environment if variable.startswith("pm_pid_path=")):
            names = [variable[5:] for variable in environment if variable.startswith("name=")]
            found.append({"name": plain_text(names[0]) if names else "", "pid": pid})
    return found


def _same_file(one: str, other: str) -> bool:
    """Whether two paths lead to the same file; links may lead to a PM2_HOME."""
    if os.path.basename(one.rstrip("/")) != os.path.basename(other.rstrip("/")):
        return False
    return os.path.realpath(one) == os.path.realpath(other)
