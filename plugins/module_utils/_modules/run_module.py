# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the body of a module and end the module with its result. Needs nothing of Ansible but the module that it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from .._core.errors import RemediationError

Result = dict[str, Any]  # return keys; with ``failed`` and ``msg`` for a failure, and ``warnings``, a list of texts


class Module(Protocol):
    """The methods of an AnsibleModule that are used here."""

    def warn(self, warning: str) -> None:
        """Add a warning to the result."""

    def fail_json(self, msg: str, **values: Any) -> None:
        """End the module with a failure."""

    def exit_json(self, **values: Any) -> None:
        """End the module with a success."""


class Answer(Protocol):
    """The answer of the engine, ``_core.asking.Answer``, which a module that asks no checks need not ship."""

    findings: list[dict[str, Any]]
    wrong: list[str]
    warnings: list[str]
    expected: list[str]


def run_module(module: Module, body: Callable[[], Mapping[str, Any]], failure: Callable[[RemediationError], Mapping[str, Any]]) -> None:
    """Call the body and end the module with the result that it returns.

    body: returns a Result. failure: returns the return keys of a RemediationError that the body raises, so that a failure has the same
    keys as a success; its message becomes ``msg``. Any other exception is a bug and passes through.
    """
    try:
        result = dict(body())
    except RemediationError as error:
        result = {**failure(error), "failed": True, "msg": error.message}
    for warning in result.pop("warnings", ()):
        module.warn(warning)
    if result.pop("failed", False):
        module.fail_json(**result)
    else:
        module.exit_json(**result)


def result_of(answer: Answer, **more: Any) -> Result:
    """Return the result of a module that asks checks: findings, expected and more; a failure where a question was wrong."""
    result = {"findings": answer.findings, "expected": answer.expected, **more, "warnings": answer.warnings}
    return {**result, "failed": True, "msg": "; ".join(answer.wrong)} if answer.wrong else {**result, "changed": False}
