# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The finding, version 1: one answer of a check about one subject."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

from .errors import RemediationError
from .faults import ENGINE, Fault
from .masking import mask, mask_all

MOST_OF_A_NAME = 200
STATUSES = ("ok", "warning", "critical", "unknown")


@dataclass(frozen=True)
class Finding:
    """One answer. Identity is host + check + subject + code.

    code: "" when all is well. severity: P0 to P3, "" when ok. evidence: small, masked, what texts need;
    ``evidence.blocked_by`` names the code that kept an ``unknown`` from being asked, ``evidence.caused_by`` the code that says the
    same more exactly, ``evidence.not_asked`` what a least-privileged account may not see. checked_at: RFC 3339, UTC. duration_ms: what the sources took.
    """

    check: str
    area: str
    code: str = ""
    subject: str = ""
    status: str = "ok"
    severity: str = ""
    asked_from: str = ""
    evidence: dict[str, Any] = field(default_factory=dict)
    value: Any = None
    threshold: Any = None
    unit: str = ""
    remedies: tuple[str, ...] = ()
    checked_at: str = ""
    duration_ms: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return the published form, masked."""
        data = asdict(self)
        data["remedies"] = list(self.remedies)
        data["subject"] = " ".join(mask(self.subject, limit=MOST_OF_A_NAME).split())
        data["evidence"] = mask_all(self.evidence)
        return data


def ok(check: str, subject: str = "", **fields: Any) -> Finding:
    """Say that all is well with one subject of a check."""
    return Finding(check=check, area=area_of(check), subject=subject, **fields)


class Reporter(Protocol):
    """Makes a finding of a fault's code, the check that found it, its subject and further fields of :class:`Finding`."""

    def __call__(self, code: str, check: str, subject: str = "", **fields: Any) -> Finding:
        """Return the finding; a code that is not in the tables raises KeyError."""


def reporter(*tables: Mapping[str, Fault]) -> Reporter:
    """Return the function that reports the faults of these tables."""
    known = {code: entry for one in tables for code, entry in one.items()}

    def report(code: str, check: str, subject: str = "", **fields: Any) -> Finding:
        entry = known[code]
        return Finding(
            check=check,
            area=area_of(check),
            code=code,
            subject=subject,
            status=entry.status,
            severity=entry.severity,
            remedies=tuple(remedy.id for remedy in entry.remedies),
            **fields,
        )

    return report


_report = reporter(ENGINE)


def unknown(check: str, reason: str, *, code: str = "run.check_unknown", blocked_by: str = "", subject: str = "") -> Finding:
    """Say that a question could not be asked, and why; ``blocked_by`` is the code of the finding that explains it."""
    evidence = {"reason": reason}
    if blocked_by:
        evidence["blocked_by"] = blocked_by
    return _report(code, check, subject, evidence=evidence)


def held_back(check: str, subject: str, *, user: str, since: str, forget: str, known_as: str) -> Finding:
    """Say that a login was not tried, because the same password was refused in an earlier run: accounts lock.

    since: when it was refused. forget: the variable that has it tried once more. known_as: the code that the refusal has; it holds until the
    credentials change, and is told beside this.
    """
    reason = f"the login of {user or 'the account'} was refused at {since}; it is held back until the credentials change, so that no account locks"
    finding = unknown(check, reason, code="run.credentials_held", blocked_by=known_as, subject=subject)
    return replace(finding, evidence={**finding.evidence, "held_since": since, "forget": forget})


def from_error(check: str, error: RemediationError) -> Finding:
    """Turn the error of a source into the ``unknown`` finding of a check that needed it."""
    codes = {"too_slow": "run.check_timeout", "crashed": "run.check_crashed", "driver_missing": "run.driver_missing"}
    finding = unknown(check, error.message, code=codes.get(error.kind, "run.check_unknown"))
    return replace(finding, evidence={**finding.evidence, **error.details}) if error.kind == "driver_missing" else finding


def area_of(check: str) -> str:
    """Return the area of a check id, ``<area>.<question>``."""
    return check.split(".", 1)[0]
