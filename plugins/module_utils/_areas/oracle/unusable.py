# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The finding about a target that cannot be used, and the evidence of any target. Causes by ORA code: M1-5, M2-6."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..._core.errors import from_dict
from ..._core.finding import Finding, from_error, unknown
from ..._shared.oracle.facts import Answer
from .faults import fault

_FAILED = ("failed", "held", "shared")
_SHOWN = (
    "place",
    "address",
    "database",
    "user",
    "stage",
    "times",
    "driver_code",
    "reason",
    "number",
    "waited",
    "held_since",
    "refused_for",
    "peer",
    "banner",
    "protocol",
    "said",
    "client",
    "version",
)


def unusable(check: str, answer: Answer, driver: str) -> Finding:
    """Return the finding about a target whose state is not ``up``."""
    name, state = answer["name"], answer["state"]
    if state in _FAILED and answer["code"]:
        return fault(answer["code"], check, name, evidence=evidence_of(answer, driver))
    if state == "wrong":
        return replace(from_error(check, from_dict(answer["error"])), subject=name)
    if state == "crashed":
        return unknown(check, answer["reason"], code="run.check_crashed", subject=name)
    if state == "late":
        where = f"in the stage {answer['stage']}" if answer["stage"] else "before the first stage"
        reason = f"the time for all targets was over {where}; increase it (timeout), or check fewer targets"
        return _with(unknown(check, reason, code="run.check_timeout", subject=name), answer, driver)
    if state == "behind":
        reason = f"the login of {answer['refused_for']} with the same account hangs; a second one may count as another wrong password"
        return _with(unknown(check, reason, blocked_by="ORA-12170", subject=name), answer, driver)
    said = f": {answer['said']}" if answer.get("said") else ""
    reason = f"{answer['driver_code']} in the stage {answer['stage']}, which does not explain the state of the connection{said}"
    return _with(unknown(check, reason, subject=name), answer, driver)


def _with(finding: Finding, answer: Answer, driver: str) -> Finding:
    return replace(finding, evidence={**evidence_of(answer, driver), **finding.evidence})


def evidence_of(answer: Answer, driver: str) -> dict[str, Any]:
    """Return what findings show of a target."""
    known: Mapping[str, Any] = answer
    evidence = {name: known.get(name) for name in _SHOWN}
    evidence["driver"] = driver
    evidence["mode"] = "" if answer["mode"] == "default" else answer["mode"]
    if answer["state"] == "up":
        evidence["rows"] = answer["rows"]
        evidence["not_asked"] = answer["facts"]["not_asked"]
    return {name: value for name, value in evidence.items() if value not in (None, "", [], {})}
