# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place that knows the checks: id, question, sources, parameters, where and as whom it runs.

Functions import their area's code when they are called, so that a run pays only for what it asks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from ._errors import WrongQuestion
from ._faults import AREAS
from ._finding import Finding
from ._mask import is_secret_name
from ._sources import Asked, Source

DEFAULT_DEADLINE = 10.0
LONGEST_DEADLINE = 600.0
_CREDENTIAL_URL = re.compile(r"://[^/\s:@]+:[^@\s/]+@")


@dataclass(frozen=True)
class Check:
    """One question.

    parameters: an Ansible argument spec, each entry with a ``description``.
    runs_on: app, web or checker. run_as: root, app (the application's user) or any.
    """

    id: str
    question: str
    function: Callable[[Asked], list[Finding]]
    sources: tuple[Source, ...]
    parameters: Mapping[str, Mapping[str, Any]]
    runs_on: str = "app"
    run_as: str = "any"

    def __post_init__(self) -> None:
        """Refuse a check that asks for secrets, says nothing about a parameter, or belongs to no area."""
        if self.id.split(".", 1)[0] not in AREAS:
            raise ValueError(f"{self.id}: the area is none of {', '.join(AREAS)}")
        for name, spec in self.parameters.items():
            if is_secret_name(name) or spec.get("no_log"):
                raise ValueError(f"{self.id}: parameter {name} is a secret; take a reference to it instead")
            if not spec.get("description"):
                raise ValueError(f"{self.id}: parameter {name} has no description")
        for source in self.sources:
            strange = set(source.parameters) - set(self.parameters)
            if strange:
                raise ValueError(f"{self.id}: source {source.name} wants parameters that the check has not: {sorted(strange)}")

    @property
    def argument_spec(self) -> dict[str, dict[str, Any]]:
        """The parameters as an argument spec that a validator takes (without the descriptions)."""
        return {name: _without_descriptions(spec) for name, spec in self.parameters.items()}


@dataclass(frozen=True)
class Question:
    """One check as it is asked: validated parameters, and the deadline of its sources in seconds."""

    check: Check
    parameters: Mapping[str, Any]
    deadline: float = DEFAULT_DEADLINE


def _without_descriptions(spec: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in spec.items() if key != "description"}
    if "options" in kept:
        kept["options"] = {name: _without_descriptions(option) for name, option in kept["options"].items()}
    return kept


def parse(asked: Iterable[Mapping[str, Any]], validator: type) -> list[Question]:
    """Turn ``[{check, params, deadline}]`` into questions.

    validator: Ansible's ``ArgumentSpecValidator``, handed in because this code imports no Ansible.
    Raises WrongQuestion for the first entry that cannot be asked; nothing has been read by then.
    """
    return [_question(number, entry, validator) for number, entry in enumerate(asked)]


def _question(number: int, entry: Mapping[str, Any], validator: type) -> Question:
    where = f"checks[{number}]"
    identifier = entry.get("check")
    check = CHECKS.get(identifier) if isinstance(identifier, str) else None
    if check is None:
        close = get_close_matches(str(identifier), CHECKS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known checks: {', '.join(sorted(CHECKS))}"
        raise WrongQuestion(f"{where}.check", identifier, "is not a check of this collection", hint)
    parameters = entry.get("params") or {}
    _refuse_secrets(where, check, parameters)
    result = validator(check.argument_spec).validate(dict(parameters))
    if result.error_messages:
        raise WrongQuestion(f"{where}.params", check.id, f"has wrong parameters ({'; '.join(result.error_messages)})", _known(check))
    return Question(check, result.validated_parameters, _deadline(where, entry.get("deadline")))


def _known(check: Check) -> str:
    described = (
        f"{name} ({spec.get('type', 'str')}{', required' if spec.get('required') else ''})" for name, spec in check.parameters.items()
    )
    return f"it takes {', '.join(described) or 'none'}"


def _refuse_secrets(where: str, check: Check, parameters: Mapping[str, Any]) -> None:
    """Secrets are never parameters: their values would end in logs, -vvv and records. The value is not repeated."""
    for name, value in parameters.items():
        if (is_secret_name(str(name)) and name not in check.parameters) or _holds_credentials(value):
            raise WrongQuestion(
                f"{where}.params.{name}",
                "(hidden)",
                f"looks like a secret, and {check.id} takes none",
                "give a reference that is read on the host instead, such as {env_file: ..., key: ...}",
            )


def _holds_credentials(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_holds_credentials(item) for item in value.values())
    if isinstance(value, (list, tuple)):
        return any(_holds_credentials(item) for item in value)
    return isinstance(value, str) and bool(_CREDENTIAL_URL.search(value))


def _deadline(where: str, given: Any) -> float:
    if given is None:
        return DEFAULT_DEADLINE
    try:
        seconds = float(given)
    except (TypeError, ValueError):
        seconds = -1.0
    if not 0 < seconds <= LONGEST_DEADLINE:
        raise WrongQuestion(f"{where}.deadline", given, "is not a usable time", f"give seconds, more than 0, at most {LONGEST_DEADLINE:g}")
    return seconds


CHECKS: dict[str, Check] = {check.id: check for check in ()}
