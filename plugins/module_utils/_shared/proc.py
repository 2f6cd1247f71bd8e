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
