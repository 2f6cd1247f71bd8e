# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parameters that all checks of the area nas share: they are the arguments of the source nas.state."""

from __future__ import annotations

from typing import Any

PARAMETERS: dict[str, dict[str, Any]] = {
    "mounts": {
        "type": "list",
        "elements": "raw",
        "default": [],
        "variable": "stack_nas_mounts",
        "description": (
            "Mount points that must be mounted, as paths or as {path, source, type}; source as in /proc/self/mountinfo, such as"
            " nas-01:/mti/report or //nas-01/mti/report."
        ),
    },
    "paths": {
        "type": "list",
        "elements": "str",
        "default": [],
        "variable": ["stack_nas_paths", "stack_attachment_roots"],
        "description": "Folders that the worker reads. A date in the path, as in /batch/report/AC/statement/%Y%m%d, is filled in.",
    },
    "as_user": {
        "type": "str",
        "variable": ["stack_nas_user", "stack_pm2_user"],
        "description": "The user that the worker runs as; the check reads folders as this user. Needs root, or that user.",
    },
    "date": {"type": "str", "default": "today", "description": "The day of dated folders: today, tomorrow, yesterday or YYYY-MM-DD."},
    "timezone": {
        "type": "str",
        "default": "Asia/Seoul",
        "variable": "stack_attachment_timezone",
        "description": "Time zone in which that day begins.",
    },
    "probe_within": {
        "type": "float",
        "default": 3.0,
        "description": "Seconds that a mount may take to answer before it counts as hung; less than the deadline of the check.",
    },
}
