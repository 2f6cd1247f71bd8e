# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verify the questions on the controller, then ask them on the host; say what was expected even when it cannot be reached.

A checker that is the controller itself is asked in this process: a module would start the same Python on the same
machine once more, which takes longer than the questions.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible_collections.ops.remediation.plugins.module_utils import _registry
from ansible_collections.ops.remediation.plugins.module_utils._errors import RemediationError
from ansible_collections.ops.remediation.plugins.module_utils._mask import mask
from ansible_collections.ops.remediation.plugins.module_utils._process import describe_crash
from ansible_collections.ops.remediation.plugins.module_utils._stack_check import ARGUMENTS, ask_here

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
            result = self._answer(arguments, task_vars)
        except AnsibleConnectionFailure as error:
            return {"unreachable": True, "msg": str(error), "findings": [], **told}
        except AnsibleError as error:
            return {"failed": True, "msg": str(error), "findings": [], **told}
        if result.get("failed") and result.get("module_stderr"):
            result["msg"] = f"{result.get('msg', 'the module failed')}: {_gist(str(result['module_stderr']))}"
        # A module that crashed has no findings; what was expected of it stays expected.
        return {"findings": [], **{key: value for key, value in result.items() if key in KEPT}, **told}

    def _answer(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Ask in this process or through the module, with the same result."""
        if not self._is_controller(task_vars):
            return self._execute_module(module_name="ops.remediation.stack_check", module_args=arguments, task_vars=task_vars)
        # Plain values, as the module would get them: those of a playbook carry marks of their origin.
        validated = ArgumentSpecValidator(ARGUMENTS).validate(json.loads(json.dumps(arguments)))
        if validated.error_messages:
            return {"failed": True, "msg": "; ".join(validated.error_messages)}
        try:
            with self._module_being_built(task_vars):
                return ask_here(validated.validated_parameters, ArgumentSpecValidator, read_only=self._task.check_mode)
        except Exception as error:
            return {"failed": True, "msg": describe_crash(error)}

    @contextlib.contextmanager
    def _module_being_built(self, task_vars: dict[str, Any]) -> Iterator[None]:
        """Build the module's archive meanwhile in a child: the hosts' own questions come next, and find it made.

        Ansible builds it once in a run, in half a second; a failure is told where the module is needed.
        """
        child = os.fork()
        if not child:
            with contextlib.suppress(BaseException):
                self._configure_module(module_name="ops.remediation.stack_check", module_args={"checks": []}, task_vars=task_vars)
            os._exit(0)
        try:
            yield
        finally:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child, 0)

    def _is_controller(self, task_vars: dict[str, Any]) -> bool:
        """Whether the task is delegated to this machine, as this user, with this Python and nothing special."""
        host = str(self._task.delegate_to or "")
        python = task_vars.get("ansible_delegated_vars", {}).get(host, {}).get("ansible_python_interpreter")
        return (
            bool(host)
            and getattr(self._connection, "transport", "") == "local"
            and not self._connection.become
            and not any(self._task.environment or [])
            and self._templar.template(python) == sys.executable
        )


def _gist(output: str) -> str:
    """Return the line of a program's complaint that says most: the last of a traceback, otherwise the first."""
    lines = [line for line in output.splitlines() if line.strip()] or [""]
    return mask(lines[-1] if "Traceback" in output else lines[0])


def _expected(checks: Any) -> list[str]:
    if not isinstance(checks, (list, tuple)):
        return []
    return [str(entry.get("check")) for entry in checks if isinstance(entry, dict)]
