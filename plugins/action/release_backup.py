# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Back up the release of a host, and tell the run record where it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.ops.remediation.plugins.module_utils._core.finding import Finding, ok
from ansible_collections.ops.remediation.plugins.plugin_utils.run.release_action import ReleaseAction

CHECK = "run.release_backup"
VALUES = ("id", "release_path", "sha256", "steps", "attic")


class ActionModule(ReleaseAction):
    """ops.remediation.release_backup."""

    MODULE = "ops.remediation.release_backup"
    CHECK = CHECK
    KEPT = VALUES

    def findings_of(self, answer: Mapping[str, Any]) -> list[Finding]:
        """Return where the backup is; none when there is none: the failure then says why."""
        if answer.get("failed"):
            return []
        return [ok(CHECK, str(answer.get("id", "")), evidence={name: answer.get(name) for name in ("release_path", "steps", "attic")})]
