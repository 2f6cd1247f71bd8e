# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""host.outbound: can the places be reached that the applications need? Sources: product facts (443, 587 and 1521)."""

from __future__ import annotations

from typing import Any

from ..._core.check import Check
from ..._core.finding import Finding, ok, unknown
from ..._core.source import Asked
from .faults import fault
from .read_connections import CONNECTIONS, ConnectionFacts

PARAMETERS: dict[str, dict[str, Any]] = {
    "targets": {
        "type": "list",
        "elements": "str",
        "default": [],
        "variable": "stack_host_outbound",
        "description": "Places that must be reachable by TCP, as host:port, such as email.ap-southeast-1.amazonaws.com:443; at most 24.",
    },
    "connect_within": {
        "type": "float",
        "default": 3.0,
        "description": "Seconds that each connection may take, with the look-up of the name.",
    },
}


def judge(asked: Asked) -> list[Finding]:
    """Report for each target whether a TCP connection is possible, and how it fails."""
    check = "host.outbound"
    answers: list[ConnectionFacts] = asked.read("host.connections")
    if not answers:
        return [ok(check, evidence={"not_asked": ["outbound connections: no target is named (targets)"]})]
    return [_one_target(asked, answer) for answer in answers]


def _one_target(asked: Asked, answer: ConnectionFacts) -> Finding:
    check, subject = "host.outbound", f"{answer['host']}:{answer['port']}"
    if answer["state"] == "unknown":
        return unknown(check, f"the connection to {subject} could not be tested: {answer['detail']}", subject=subject)
    shown = {key: answer[key] for key in ("host", "port", "state", "detail", "address")}
    evidence = {key: value for key, value in shown.items() if value}
    measure = {"value": answer["duration_ms"], "threshold": round(asked.parameters["connect_within"] * 1000), "unit": "ms"}
    if answer["state"] == "open":
        return ok(check, subject, evidence=evidence, **measure)
    return fault("host.outbound_blocked", check, subject, evidence=evidence, **measure)


CHECK = Check("host.outbound", "Can the places that the applications need be reached?", judge, (CONNECTIONS,), PARAMETERS)
