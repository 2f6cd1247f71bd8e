# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fail a run whose findings reach the configured status."""

from __future__ import annotations

import json
import os
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.ops.remediation.plugins.plugin_utils.record import record


class ActionModule(ActionBase):
    """ops.remediation.run_verdict; runs on the controller alone."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Fail when the record so far requires it. The callback has put its verdict into the environment before this play."""
        super().run(tmp, task_vars)
        verdict = json.loads(os.environ.get(record.VERDICT_VARIABLE, "null")) or {
            "failed": True,
            "reason": "no run record was kept",
            "fail_on": "",
        }
        message = f"{verdict['reason']} (remediation_fail_on: {verdict['fail_on']})"
        return {"changed": False, "failed": verdict["failed"], "msg": message, "remediation_verdict": verdict}
