# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn what a playbook wrote into questions.

A registry maps areas to functions that return their checks: an area's code is imported when one of its checks is asked for, so that a run
pays only for what it asks. ``_areas/registry.py`` has all areas; a module of a single area hands in its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from .check import Check
from .errors import WrongQuestion
from .finding import area_of
from .masking import is_secret_name, mask, passwords_in_logins, passwords_in_urls

DEFAULT_DEADLINE = 10.0
LONGEST_DEADLINE = 600.0
# Options that say where a database is; a login such as scott/tiger@db is typed into them by habit.
_PLACES = ("dsn", "host", "service", "sid")


Registry = Mapping[str, Callable[[], tuple[Check, ...]]]


def find(identifier: Any, registry: Registry) -> Check | None:
    """Return the check with this id, or None."""
    if not isinstance(identifier, str) or area_of(identifier) not in registry:
        return None
    return next((check for check in registry[area_of(identifier)]() if check.id == identifier), None)


def every(registry: Registry) -> list[Check]:
    """Return all checks of a registry, for documentation and messages."""
    return [check for area in registry.values() for check in area()]


@dataclass(frozen=True)
class Question:
    """One check as it is asked: validated parameters, and the deadline of its sources in seconds."""

    check: Check
    parameters: Mapping[str, Any]
    deadline: float = DEFAULT_DEADLINE

    @property
    def driver(self) -> str:
        """The library that asking it needs, "" for none."""
        return self.check.driver or self.check.driver_of(self.parameters)


def parse(asked: Iterable[Mapping[str, Any]], validator: type, registry: Registry) -> list[Question]:
    """Turn ``[{check, params, deadline}]`` into questions.

    validator: Ansible's ``ArgumentSpecValidator``, handed in because this code imports no Ansible.
    Raises WrongQuestion for the first entry that cannot be asked; nothing has been read by then.
    """
    return [_question(number, entry, validator, registry) for number, entry in enumerate(asked)]


def _question(number: int, entry: Mapping[str, Any], validator: type, registry: Registry) -> Question:
    where = f"checks[{number}]"
    identifier = entry.get("check")
    check = find(identifier, registry)
    if check is None:
        known = sorted(check.id for check in every(registry))
        close = get_close_matches(str(identifier), known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known checks: {', '.join(known)}"
        raise WrongQuestion(f"{where}.check", identifier, "is not a check of this collection", hint)
    parameters = entry.get("params") or {}
    _refuse_secrets(where, check, parameters)
    result = validator(check.argument_spec).validate(dict(parameters))
    if result.error_messages:
        # A message may repeat a value.
        told = mask("; ".join(result.error_messages), limit=2000)
        raise WrongQuestion(f"{where}.params", check.id, f"has wrong parameters ({told})", _known(check))
    return Question(check, result.validated_parameters, _deadline(where, entry.get("deadline")))


def _known(check: Check) -> str:
    described = (
        f"{name} ({spec.get('type', 'str')}{', required' if spec.get('required') else ''})" for name, spec in check.parameters.items()
    )
    return f"it takes {', '.join(described) or 'none'}"


def _refuse_secrets(where: str, check: Check, parameters: Mapping[str, Any]) -> None:
    """Secrets are never parameters: their values would end in logs, -vvv and records. The value is not repeated."""
    for name, value in parameters.items():
        if (is_secret_name(str(name)) and name not in check.parameters) or misplaced_secrets(value, str(name)):
            raise WrongQuestion(
                f"{where}.params.{name}",
                "(hidden)",
                f"looks like a secret, and {check.id} takes none",
                "give a reference that is read on the host instead, such as {env_file: ..., key: ...}",
            )


def misplaced_secrets(value: Any, name: str = "") -> set[str]:
    """Return the passwords that stand within the values of options, in addresses and logins; name: of the option."""
    if isinstance(value, Mapping):
        return {secret for key, item in value.items() for secret in misplaced_secrets(item, str(key))}
    if isinstance(value, (list, tuple)):
        return {secret for item in value for secret in misplaced_secrets(item, name)}
    if not isinstance(value, str):
        return set()
    return {*passwords_in_urls(value), *(passwords_in_logins(value) if name in _PLACES else ())}


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
