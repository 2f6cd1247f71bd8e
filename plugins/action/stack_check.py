# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verify the questions on the controller, then ask them on the host; say what was expected even when it cannot be reached."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible_collections.ops.remediation.plugins.module_utils import _registry
from ansible_collections.ops.remediation.plugins.module_utils._errors import RemediationError
from ansible_collections.ops.remediation.plugins.module_utils._mask import mask

# What of a module's answer is passed on; anything else that a host says has no meaning here.
KEPT = (
    "changed",
    "failed",
    "msg",
    "findings",
    "warnings",
    "deprecations",
    "exception",
    "module_stdout",
    "module_stderr",
    "rc",
    "invocation",
)


class ActionModule(ActionBase):
    """The controller's half of ops.remediation.stack_check."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module once, or not at all when nothing is asked or a question is wrong."""
        task_vars = task_vars or {}
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        checks = arguments.get("checks")
        # With delegate_to, the host that asks is not the host that the task is for.
        asked_from = str(self._task.delegate_to or task_vars.get("inventory_hostname", "localhost"))
        told = {"expected": _expected(checks), "site": task_vars.get("stack_site", ""), "asked_from": asked_from}
        if not isinstance(checks, (list, tuple)) or not all(isinstance(entry, dict) for entry in checks):
            return {
                "failed": True,
                "msg": "checks: give a list of {check: <id>, params: {...}, deadline: <seconds>}",
                "findings": [],
                **told,
            }
        try:
            _registry.parse(checks, ArgumentSpecValidator)
        except RemediationError as error:
            return {"failed": True, "msg": error.message, "findings": [], **told}
        if not checks:
            return {"changed": False, "findings": [], **told}
        arguments.setdefault("asked_from", asked_from)
        try:
            result = self._execute_module(module_name="ops.remediation.stack_check", module_args=arguments, task_vars=task_vars)
        except AnsibleConnectionFailure as error:
            return {"unreachable": True, "msg": str(error), "findings": [], **told}
        except AnsibleError as error:
            return {"failed": True, "msg": str(error), "findings": [], **told}
        if result.get("failed") and result.get("module_stderr"):
            result["msg"] = f"{result.get('msg', 'the module failed')}: {_gist(str(result['module_stderr']))}"
        # A module that crashed has no findings; what was expected of it stays expected.
        return {"findings": [], **{key: value for key, value in result.items() if key in KEPT}, **told}


def _gist(output: str) -> str:
    """Return the line of a program's complaint that says most: the last of a traceback, otherwise the first."""
    lines = [line for line in output.splitlines() if line.strip()] or [""]
    return mask(lines[-1] if "Traceback" in output else lines[0])


def _expected(checks: Any) -> list[str]:
    if not isinstance(checks, (list, tuple)):
        return []
    return [str(entry.get("check")) for entry in checks if isinstance(entry, dict)]
