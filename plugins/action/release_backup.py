# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Back up the release of a host, and report the backup to the run record."""

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
        """Return a finding with the path of the backup; none for a failure, whose message gives the reason."""
        if answer.get("failed"):
            return []
        return [ok(CHECK, str(answer.get("id", "")), evidence={name: answer.get(name) for name in ("release_path", "steps", "attic")})]
