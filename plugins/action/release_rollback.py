# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Roll back on the host, and report the outcome to the run record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.ops.remediation.plugins.module_utils._areas.run.faults import fault
from ansible_collections.ops.remediation.plugins.module_utils._core.finding import Finding, ok
from ansible_collections.ops.remediation.plugins.plugin_utils.run.release_action import ReleaseAction

CHECK = "run.rollback"
VALUES = ("state", "steps", "release", "release_path", "former", "environment", "refusals", "down_ms", "failed_release")
# The codes for the states in which a failure leaves the host.
FAULTS = {"undone": "run.rollback_undone", "broken": "run.rollback_broken"}


class ActionModule(ReleaseAction):
    """ops.remediation.release_rollback."""

    MODULE = "ops.remediation.release_rollback"
    CHECK = CHECK
    KEPT = VALUES

    def findings_of(self, answer: Mapping[str, Any]) -> list[Finding]:
        """Return a finding for each refusal, or one for the outcome; none when the module itself crashed."""
        shown = {
            name: answer[name]
            for name in ("state", "release", "former", "environment", "down_ms", "steps", "failed_release")
            if answer.get(name)
        }
        if not answer.get("failed"):
            return [ok(CHECK, answer.get("release", ""), evidence={**shown, "changed": bool(answer.get("changed"))})]
        refusals = answer.get("refusals")
        if isinstance(refusals, list) and refusals:
            wanted = {"release": answer.get("release", "")}
            return [fault("run.rollback_refused", CHECK, str(each.get("reason", "")), evidence={**wanted, **each}) for each in refusals]
        code = FAULTS.get(answer.get("state", ""))
        return [fault(code, CHECK, answer.get("release", ""), evidence={**shown, "said": str(answer.get("msg", ""))})] if code else []
