# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parameters of the checks that read the worker's log."""

from __future__ import annotations

from typing import Any

from ..._shared.logs.applications import LOG_PARAMETERS

PARAMETERS: dict[str, dict[str, Any]] = {
    **LOG_PARAMETERS,
    "process": {
        "type": "str",
        "default": "worker",
        "variable": "stack_worker_process",
        "description": "Name of the worker in PM2's list.",
    },
}
