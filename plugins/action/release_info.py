# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""List the releases of a host, and put the list in the run record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.ops.remediation.plugins.module_utils._core.finding import Finding, ok
from ansible_collections.ops.remediation.plugins.plugin_utils.run.release_action import ReleaseAction

CHECK = "run.releases"
VALUES = ("layout", "live", "candidates", "lines", "interrupted")


class ActionModule(ReleaseAction):
    """ops.remediation.release_info."""

    MODULE = "ops.remediation.release_info"
    CHECK = CHECK
    KEPT = VALUES
    CHANGES = False

    def findings_of(self, answer: Mapping[str, Any]) -> list[Finding]:
        """Return the list as one finding; none for a failure."""
        if answer.get("failed"):
            return []
        return [ok(CHECK, evidence={name: answer.get(name) for name in ("layout", "live", "lines", "interrupted")})]
