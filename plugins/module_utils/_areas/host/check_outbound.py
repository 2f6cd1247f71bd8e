# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FIXME: say what this file holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._core.check import Check
from ..._core.finding import Finding, ok, unknown
from ..._core.source import Asked
from .faults import fault
from .read_connections import CONNECTIONS

PARAMETERS: dict[str, dict[str, Any]] = {
    "targets": {
        "type": "list",
        "elements": "str",
        "default": [],
        "description": "Places that must be reachable by TCP, as host:port, such as email.ap-southeast-1.amazonaws.com:443; at most 24.",
    },
    "connect_within": {"type": "float", "default": 3.0, "description": "Seconds that each connection may take, name included."},
}


def judge(asked: Asked) -> list[Finding]:
    """Say for each target whether a TCP connection is possible, and otherwise what stands in the way (product facts)."""
    check = "host.outbound"
    answers = asked.read("host.connections")
    if not answers:
        return [ok(check, evidence={"not_asked": ["outbound connections: no target is named (targets)"]})]
    return [_one_target(asked, answer) for answer in answers]


def _one_target(asked: Asked, answer: Mapping[str, Any]) -> Finding:
    check, subject = "host.outbound", f"{answer['host']}:{answer['port']}"
    if answer["state"] == "unknown":
        return unknown(check, f"{subject} could not be asked: {answer['detail']}", subject=subject)
    evidence = {name: answer[name] for name in ("host", "port", "state", "detail", "address") if answer[name]}
    measure = {"value": answer["duration_ms"], "threshold": round(asked.parameters["connect_within"] * 1000), "unit": "ms"}
    if answer["state"] == "open":
        return ok(check, subject, evidence=evidence, **measure)
    return fault("host.outbound_blocked", check, subject, evidence=evidence, **measure)


CHECK = Check("host.outbound", "Can the places that the applications need be reached?", judge, (CONNECTIONS,), PARAMETERS)
