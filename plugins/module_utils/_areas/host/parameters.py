# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parameters that several checks of the area host share."""

from __future__ import annotations

from typing import Any

CGROUP: dict[str, dict[str, Any]] = {
    "cgroup": {
        "type": "str",
        "variable": "stack_host_cgroup",
        "description": (
            "A cgroup below /sys/fs/cgroup that is checked instead of the whole machine, such as system.slice/pm2-tankmail.service."
            " In a container, its own limits count without this."
        ),
    },
}
LOG_FOLDERS: dict[str, dict[str, Any]] = {
    "log_folders": {
        "type": "list",
        "elements": "path",
        "default": [],
        "variable": "stack_host_log_folders",
        "description": "Folders with logs; folders below them are not included.",
    },
}
