# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verify the checks on the controller, then run them on the host; return the expected checks even when the host is unreachable.

A checker that is the controller itself runs them in this process: a module would start the same Python on the same machine once more,
which takes longer than the checks.

Checks that need a driver run with the Python of ``stack_check_python`` where the host has one, in a second run of the module within the
same task: a further task would cost every host a third of a second, even those that skip it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError, AnsibleUndefinedVariable
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible_collections.ops.remediation.plugins.module_utils._areas import registry as _registry
from ansible_collections.ops.remediation.plugins.module_utils._core.children import describe_crash
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import RemediationError, WrongQuestion
from ansible_collections.ops.remediation.plugins.module_utils._core.masking import mask
from ansible_collections.ops.remediation.plugins.module_utils._core.questions import Question
from ansible_collections.ops.remediation.plugins.module_utils._core.stack_check import ARGUMENTS, ask_here
from ansible_collections.ops.remediation.plugins.plugin_utils.run import parameters
from ansible_collections.ops.remediation.plugins.plugin_utils.run.module_answer import ALWAYS

KEPT = (*ALWAYS, "findings")
COMMAND_NOT_FOUND = 127  # exit code of a shell


class ActionModule(ActionBase):
    """The controller's half of ops.remediation.stack_check."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module for each Python, or not at all when there are no checks or one is wrong."""
        task_vars = task_vars or {}
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        checks = arguments.get("checks")
        # With delegate_to, the host that runs the checks is not the host of the task.
        asked_from = str(self._task.delegate_to or task_vars.get("inventory_hostname", "localhost"))
        constant = {"expected": _expected(checks), "site": task_vars.get("stack_site", ""), "asked_from": asked_from}
        if not isinstance(checks, (list, tuple)) or not all(isinstance(entry, dict) for entry in checks):
            return {
                "failed": True,
                "msg": "checks: give a list of {check: <id>, params: {...}, deadline: <seconds>}",
                "findings": [],
                **constant,
            }
        try:
            checks = parameters.filled(checks, lambda name: self._variable(name, task_vars))
            questions = _registry.parse(checks, ArgumentSpecValidator)
        except RemediationError as error:
            return {"failed": True, "msg": error.message, "findings": [], **constant}
        if not checks:
            return {"changed": False, "findings": [], **constant}
        arguments.setdefault("asked_from", asked_from)
        try:
            answers = [
                self._outcome({**arguments, "checks": part}, task_vars, python)
                for part, python in _parts(checks, questions, self._runtime(task_vars))
            ]
        except AnsibleConnectionFailure as error:
            return {"unreachable": True, "msg": str(error), "findings": [], **constant}
        return {**_together(answers), **constant}

    def _variable(self, name: str, task_vars: Mapping[str, Any]) -> Any:
        """Return the value of an inventory variable, None where the host has none. Raises WrongQuestion for an undefined reference."""
        if name not in task_vars:
            return None
        try:
            return self._templar.template(task_vars[name])
        except AnsibleUndefinedVariable as error:
            raise WrongQuestion(
                name, "(not shown)", f"refers to an undefined variable ({mask(str(error))})", "define it, or leave the variable out"
            ) from error

    def _runtime(self, task_vars: dict[str, Any]) -> str:
        """Return the host's Python that has the drivers, or "". A checker is not that host: it has its own Python."""
        if self._task.delegate_to:
            return ""
        return str(self._templar.template(task_vars.get("stack_check_python")) or "")

    def _outcome(self, arguments: dict[str, Any], task_vars: dict[str, Any], python: str) -> dict[str, Any]:
        """Return the result of one run of the module, with ``findings``. python: the interpreter, "" for the usual one of the host."""
        try:
            result = self._answer(arguments, {**task_vars, "ansible_python_interpreter": python} if python else task_vars)
        except AnsibleConnectionFailure:
            raise
        except AnsibleError as error:
            return {"failed": True, "msg": str(error), "findings": []}
        if result.get("failed") and result.get("module_stderr"):
            result["msg"] = f"{result.get('msg', 'the module failed')}: {_gist(str(result['module_stderr']))}"
        if python and result.get("rc") == COMMAND_NOT_FOUND:
            result["msg"] = f"stack_check_python: {python!r} does not run on this host; make it with the role ops.remediation.check_runtime"
        # A module that crashed has no findings; its checks stay expected.
        return {"findings": [], **{key: value for key, value in result.items() if key in KEPT}}

    def _answer(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Run the checks in this process or through the module, with the same result."""
        if not self._is_controller(task_vars):
            return self._execute_module(module_name="ops.remediation.stack_check", module_args=arguments, task_vars=task_vars)
        # Plain values, as the module would get them: those of a playbook carry marks of their origin.
        validated = ArgumentSpecValidator(ARGUMENTS).validate(json.loads(json.dumps(arguments)))
        if validated.error_messages:
            return {"failed": True, "msg": "; ".join(validated.error_messages)}
        try:
            return ask_here(validated.validated_parameters, ArgumentSpecValidator, _registry.REGISTERED, read_only=self._task.check_mode)
        except Exception as error:
            return {"failed": True, "msg": describe_crash(error)}

    def _is_controller(self, task_vars: dict[str, Any]) -> bool:
        """Return whether the task is delegated to this machine, as this user, with this Python and no special environment."""
        host = str(self._task.delegate_to or "")
        python = task_vars.get("ansible_delegated_vars", {}).get(host, {}).get("ansible_python_interpreter")
        return (
            bool(host)
            and getattr(self._connection, "transport", "") == "local"
            and not self._connection.become
            and not any(self._task.environment or [])
            and self._templar.template(python) == sys.executable
        )


def _parts(checks: Sequence[Mapping[str, Any]], questions: Sequence[Question], runtime: str) -> list[tuple[list[Any], str]]:
    """Return the checks by the Python that runs them: ``(checks, interpreter)``, the usual one ("") first."""
    if not runtime:
        return [(list(checks), "")]
    wanted = [runtime if question.driver else "" for question in questions]
    return [([check for check, python in zip(checks, wanted) if python == chosen], chosen) for chosen in ("", runtime) if chosen in wanted]


def _together(answers: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Merge several answers; a failed one does not hide the findings of the others."""
    if len(answers) == 1:
        return answers[0]
    failed = [answer for answer in answers if answer.get("failed")]
    together = {**answers[0], **(failed[0] if failed else {})}
    together["findings"] = [finding for answer in answers for finding in answer["findings"]]
    for name in ("warnings", "deprecations"):
        if any(name in answer for answer in answers):
            together[name] = [entry for answer in answers for entry in answer.get(name, [])]
    if failed:
        together["msg"] = "; ".join(dict.fromkeys(str(answer.get("msg", "the module failed")) for answer in failed))
    return together


def _gist(output: str) -> str:
    """Return the most informative line of an error output: the last one of a traceback, otherwise the first."""
    lines = [line for line in output.splitlines() if line.strip()] or [""]
    return mask(lines[-1] if "Traceback" in output else lines[0])


def _expected(checks: Any) -> list[str]:
    if not isinstance(checks, (list, tuple)):
        return []
    return [str(entry.get("check")) for entry in checks if isinstance(entry, dict)]
