# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stack_check does where it runs: on a host as a module, or on the controller in the action plugin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import asking as _ask
from . import questions as _registry
from . import state as _state
from .errors import RemediationError
from .questions import Registry

ARGUMENTS: dict[str, Any] = {
    "checks": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "check": {"type": "str", "required": True},
            "params": {"type": "dict", "default": {}},
            "deadline": {"type": "float", "default": 10},
        },
    },
    "state_dir": {"type": "path"},
    "asked_from": {"type": "str"},
}


def ask_here(arguments: Mapping[str, Any], validator: Any, registry: Registry, *, read_only: bool) -> dict[str, Any]:
    """Ask the checks of validated ARGUMENTS on this machine and return the module's result, with ``warnings``.

    validator: Ansible's ArgumentSpecValidator. registry: which checks there are. read_only: keep nothing for the next run.
    """
    asked_from = arguments.get("asked_from") or "localhost"
    state = _state.State(arguments.get("state_dir") or _state.default_directory(asked_from), read_only=read_only)
    try:
        questions = _registry.parse(arguments["checks"], validator, registry)
    except RemediationError as error:
        return {"failed": True, "msg": error.message, "changed": False, "findings": [], "expected": [], "warnings": []}
    answer = _ask.ask(questions, asked_from=asked_from, state=state)
    result = {
        "changed": False,
        "findings": answer.findings,
        "expected": [question.check.id for question in questions],
        "warnings": answer.warnings,
    }
    return {**result, "failed": True, "msg": "; ".join(answer.wrong)} if answer.wrong else result
