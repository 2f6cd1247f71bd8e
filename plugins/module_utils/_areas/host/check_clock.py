# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""host.clock: is the clock right? Sources: product facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._core.check import Check
from ..._core.errors import RemediationError, WrongQuestion
from ..._core.finding import Finding, ok, unknown
from ..._core.source import Asked
from .faults import fault
from .read_clock import CLOCK, TIME_SERVER, ClockFacts, TimeServerFacts

PARAMETERS: dict[str, dict[str, Any]] = {
    "ntp_server": {
        "type": "str",
        "variable": "stack_host_ntp_server",
        "description": "A time server to compare with, as host or host:port (UDP 123).",
    },
    "clock_offset": {"type": "float", "default": 1.0, "description": "Seconds that the clock may differ from the time server."},
    "clock_synchronised": {
        "type": "bool",
        "default": True,
        "variable": "stack_host_clock_synchronised",
        "description": "Whether a time service must synchronise the clock; false where a hypervisor does it without the kernel.",
    },
}


def judge(asked: Asked) -> list[Finding]:
    """Report whether the clock is right: otherwise AWS rejects signatures, and schedules run at the wrong time."""
    check = "host.clock"
    kernel: ClockFacts = asked.read("host.clock")
    measured, problem = _time_server(asked)
    not_asked = [f"the time server: {problem}"] if problem else []
    evidence: dict[str, Any] = {"synchronised": kernel["synchronised"], "service": kernel["service"], "not_asked": not_asked}
    limit = asked.parameters["clock_offset"]
    measure: dict[str, Any] = {}
    if measured:
        evidence.update(server=measured["server"], delay_ms=round(measured["delay"] * 1000, 1))
        measure = {"value": round(measured["offset"], 3), "threshold": limit, "unit": "s"}
        if abs(measured["offset"]) > limit:
            direction = "behind" if measured["offset"] > 0 else "ahead"
            return [fault("host.clock", check, evidence=_known({**evidence, "how": "offset", "direction": direction}), **measure)]
    if asked.parameters["clock_synchronised"] and kernel["synchronised"] is False:
        return [fault("host.clock", check, evidence=_known({**evidence, "how": "unsynchronised"}), **measure)]
    if measured or kernel["synchronised"]:
        return [ok(check, evidence=_known(evidence), **measure)]
    reason = problem or "the kernel does not report whether its clock is synchronised, and no time server is given (ntp_server)"
    return [unknown(check, f"nothing is known about the clock: {reason}")]


def _time_server(asked: Asked) -> tuple[TimeServerFacts | None, str]:
    """Return the answer of the time server, or the reason why there is none; (None, "") where no server was given."""
    try:
        return asked.read("host.time_server"), ""
    except WrongQuestion:
        raise
    except RemediationError as error:
        return None, error.message


def _known(evidence: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in evidence.items() if value not in (None, "", [])}


CHECK = Check(
    "host.clock",
    "Is the clock right?",
    judge,
    (
        CLOCK,
        TIME_SERVER,
    ),
    PARAMETERS,
)
