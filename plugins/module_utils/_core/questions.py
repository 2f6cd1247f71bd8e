# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registry: finds a check by its id, and turns what a playbook wrote into questions.

An area's checks are imported when one of them is asked for, so that a run pays only for what it asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from .check import Check
from .errors import WrongQuestion
from .finding import area_of
from .masking import is_secret_name, mask, passwords_in_urls

DEFAULT_DEADLINE = 10.0
LONGEST_DEADLINE = 600.0
# Options that say where a database is; a login such as scott/tiger@db is typed into them by habit.
_PLACES = ("dsn", "host", "service", "sid")


def _pm2() -> tuple[Check, ...]:
    from .._areas.pm2.area import CHECKS

    return CHECKS


def _host() -> tuple[Check, ...]:
    from .._areas.host.area import CHECKS

    return CHECKS


def _logsdb() -> tuple[Check, ...]:
    from .._areas.logsdb.area import CHECKS

    return CHECKS


def _backend() -> tuple[Check, ...]:
    from .._areas.backend.area import CHECKS

    return CHECKS


def _worker() -> tuple[Check, ...]:
    from .._areas.worker.area import CHECKS

    return CHECKS


def _nginx() -> tuple[Check, ...]:
    from .._areas.nginx.area import CHECKS

    return CHECKS


def _web() -> tuple[Check, ...]:
    from .._areas.web.area import CHECKS

    return CHECKS


def _nas() -> tuple[Check, ...]:
    from .._areas.nas.area import CHECKS

    return CHECKS


def _attachments() -> tuple[Check, ...]:
    from .._areas.attachments.area import CHECKS

    return CHECKS


def _oracle() -> tuple[Check, ...]:
    from .._areas.oracle.area import CHECKS

    return CHECKS


def _ses() -> tuple[Check, ...]:
    from .._areas.ses.area import CHECKS

    return CHECKS


REGISTERED: dict[str, Callable[[], tuple[Check, ...]]] = {
    "pm2": _pm2,
    "host": _host,
    "logsdb": _logsdb,
    "backend": _backend,
    "worker": _worker,
    "nginx": _nginx,
    "web": _web,
    "nas": _nas,
    "attachments": _attachments,
    "oracle": _oracle,
    "ses": _ses,
}


def find(identifier: Any) -> Check | None:
    """Return the check with this id, or None."""
    if not isinstance(identifier, str) or area_of(identifier) not in REGISTERED:
        return None
    return next((check for check in REGISTERED[area_of(identifier)]() if check.id == identifier), None)


def every() -> list[Check]:
    """Return all checks of all areas, for documentation and messages."""
    return [check for area in REGISTERED.values() for check in area()]


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


def parse(asked: Iterable[Mapping[str, Any]], validator: type) -> list[Question]:
    """Turn ``[{check, params, deadline}]`` into questions.

    validator: Ansible's ``ArgumentSpecValidator``, handed in because this code imports no Ansible.
    Raises WrongQuestion for the first entry that cannot be asked; nothing has been read by then.
    """
    return [_question(number, entry, validator) for number, entry in enumerate(asked)]


def _question(number: int, entry: Mapping[str, Any], validator: type) -> Question:
    where = f"checks[{number}]"
    identifier = entry.get("check")
    check = find(identifier)
    if check is None:
        known = sorted(check.id for check in every())
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
    return {*passwords_in_urls(value), *(_in_a_login_to_oracle(value) if name in _PLACES else ())}


def _in_a_login_to_oracle(place: str) -> list[str]:
    from .._areas.oracle.targets import secrets_in_dsn

    return secrets_in_dsn(place)


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
