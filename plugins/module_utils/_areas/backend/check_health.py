# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""backend.health: does the health API answer, report a healthy application, and answer fast? Sources: M1-3, M2-4."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..._core.check import Check
from ..._core.finding import Finding, ok
from ..._core.source import Asked, Source
from ..._shared.health import HealthFacts, flaw_of, read_health
from .faults import fault

SLOW_MS = 150  # product facts: API p95 < 150 ms
REQUESTS = 20
PARAMETERS: dict[str, dict[str, Any]] = {
    "url": {
        "type": "str",
        "required": True,
        "variable": "stack_health_url",
        "description": "Address of the health API, such as http://127.0.0.1:3000/api/health.",
    },
    "process": {
        "type": "str",
        "default": "backend",
        "variable": "stack_backend_process",
        "description": "PM2's name of the process that answers; the findings are about it.",
    },
    "timeout": {"type": "float", "default": 5.0, "description": "Seconds for one answer."},
    "requests": {
        "type": "int",
        "default": REQUESTS,
        "description": "How often the health API is requested; fewer times when four seconds are over.",
    },
    "slow_ms": {"type": "int", "default": SLOW_MS, "description": "Milliseconds that 95 of 100 answers must stay below."},
    "healthy": {"type": "str", "default": "ok", "description": "The status that the answer must have; an empty text accepts any body."},
}


def judge(asked: Asked) -> list[Finding]:
    """Report whether the health API answers, whether its answer is a healthy one, and whether it is fast enough."""
    check, subject, healthy = "backend.health", asked.parameters["process"], asked.parameters["healthy"]
    facts: HealthFacts = asked.read("backend.health")
    evidence: dict[str, Any] = {"url": facts["url"], "status": facts["status"]}
    flaw = flaw_of(facts, healthy)
    if flaw == "no_answer":
        more = {"problem": facts["problem"], "detail": facts["detail"], "waited": facts["waited"], "answers": len(facts["times"])}
        return [fault("backend.no_answer", check, subject, evidence={**evidence, **more})]
    if flaw == "error_5xx":
        return [fault("backend.error_5xx", check, subject, evidence={**evidence, "sample": facts["sample"]})]
    if flaw:
        more = {"problem": flaw, "said": facts["said"], "wanted": healthy, "sample": facts["sample"]}
        return [fault("backend.wrong_body", check, subject, evidence={**evidence, **more})]
    p95 = percentile(facts["times"], 0.95)
    evidence.update(answers=len(facts["times"]), median_ms=percentile(facts["times"], 0.5), slowest_ms=max(facts["times"]))
    measure = {"value": p95, "threshold": asked.parameters["slow_ms"], "unit": "ms"}
    if p95 > asked.parameters["slow_ms"]:
        return [fault("backend.slow", check, subject, evidence=evidence, **measure)]
    return [ok(check, subject, evidence=evidence, **measure)]


def percentile(values: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile of values; share: 0 to 1."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)]


HEALTH = Source("backend.health", read_health, ("url", "timeout", "requests"))

CHECK = Check("backend.health", "Does the health API answer, well and fast?", judge, (HEALTH,), PARAMETERS)
