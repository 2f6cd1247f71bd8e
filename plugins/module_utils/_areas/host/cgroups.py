# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files and processes of a cgroup, of version 1 or 2."""

from __future__ import annotations

import os

from ..._core.errors import WrongQuestion
from ..._shared.text_files import text_of, whole

CGROUPS = "/sys/fs/cgroup"
MAX_GROUPS = 500  # below a cgroup, whose processes are read


def group_file(controller: str, group: str, name: str) -> str:
    """Return the path of a file of a cgroup; group: "" for the root that is mounted here."""
    base = CGROUPS if os.path.exists(os.path.join(CGROUPS, "cgroup.controllers")) else os.path.join(CGROUPS, controller)
    return os.path.join(base, group, name) if group else os.path.join(base, name)


def checked_group(group: str | None, controller: str) -> str:
    """Return the name of a cgroup without slashes around it, "" for none; raises WrongQuestion when it does not exist."""
    name = (group or "").strip("/")
    if not name:
        return ""
    remedy = "give a path below /sys/fs/cgroup that exists on this host, such as system.slice/pm2-tankmail.service"
    if ".." in name.split("/") or "\0" in name or not os.path.isdir(group_file(controller, name, "")):
        raise WrongQuestion("cgroup", group, "is not a cgroup of this host", remedy)
    return name


def group_processes(controller: str, group: str) -> set[int]:
    """Return the process ids of a cgroup and of those below it."""
    found: set[int] = set()
    top = group_file(controller, group, "")
    for number, (folder, _folders, _files) in enumerate(os.walk(top)):
        if number >= MAX_GROUPS:
            break
        found.update(whole(line) for line in (text_of(os.path.join(folder, "cgroup.procs"), 1 << 20) or "").split())
    return found
