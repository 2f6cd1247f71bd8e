# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's half of the modules about releases: run one on the host, and make findings of its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.ops.remediation.plugins.module_utils._core.finding import Finding
from ansible_collections.ops.remediation.plugins.plugin_utils.run.module_answer import ALWAYS

ALONE = "what had begun on the host goes on there alone: wait some minutes, then run the same command again"
LOOK = "__emergency_rollback_look"  # a variable of the role emergency_rollback: it only looks, and rolls back in a later task


class ReleaseAction(ActionBase):
    """One of these modules. MODULE: its name. CHECK: what the record expects. KEPT: its values. CHANGES: whether it changes the host."""

    TRANSFERS_FILES = False
    MODULE = ""
    CHECK = ""
    KEPT: tuple[str, ...] = ()
    CHANGES = True
    findings_of: Callable[[Mapping[str, Any]], list[Finding]]
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module; a host that cannot be reached leaves what was expected unanswered."""
        task_vars = task_vars or {}
        super().run(tmp, task_vars)
        host = str(task_vars.get("inventory_hostname", "localhost"))
        told = {"expected": [self.CHECK], "site": str(task_vars.get("stack_site", "") or ""), "asked_from": host}
        try:
            result = self._execute_module(module_name=self.MODULE, module_args={"host_name": host, **self._task.args}, task_vars=task_vars)
        except AnsibleConnectionFailure as error:
            message = f"{error}; {ALONE}" if self.CHANGES and not self._task.check_mode else str(error)
            return {"unreachable": True, "msg": message, "findings": [], **told}
        except AnsibleError as error:
            return {"failed": True, "msg": str(error), "findings": [], **told}
        kept = {name: value for name, value in result.items() if name in (*ALWAYS, "diff", *self.KEPT)}
        if task_vars.get(LOOK) is True and not kept.get("failed"):
            return kept  # nothing was done yet, so the record must go on expecting it
        findings = [{**finding.as_dict(), "asked_from": host} for finding in self.findings_of(kept)]
        return {**kept, "findings": findings, **told}
