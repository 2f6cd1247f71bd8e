# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FIXME: say what this file holds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..._core.check import Check
from ..._core.finding import Finding, ok
from ..._core.source import Asked, Source
from ..._shared.health import read_health
from .faults import fault

SLOW_MS = 150  # product facts: API p95 < 150 ms


REQUESTS = 20


PARAMETERS: dict[str, dict[str, Any]] = {
    "url": {"type": "str", "required": True, "description": "Address of the health API, such as http://127.0.0.1:3000/api/health."},
    "process": {"type": "str", "default": "backend", "description": "PM2's name of the process that answers; the findings are about it."},
    "timeout": {"type": "float", "default": 5.0, "description": "Seconds for one answer, redirects included."},
    "requests": {"type": "int", "default": REQUESTS, "description": "How often to ask; fewer times when four seconds are over."},
    "slow_ms": {"type": "int", "default": SLOW_MS, "description": "Milliseconds that 95 of 100 answers must stay below."},
    "healthy": {"type": "str", "default": "ok", "description": "What the status in the answer must be; an empty text accepts any body."},
}


def judge(asked: Asked) -> list[Finding]:
    """Say whether the health API answers, with what it should, and fast enough."""
    check, subject = "backend.health", asked.parameters["process"]
    said = asked.read("backend.health")
    evidence = {"url": said["url"], "status": said["status"]}
    if said["problem"]:
        more = {"problem": said["problem"], "detail": said["detail"], "waited": said["waited"], "answers": len(said["times"])}
        return [fault("backend.no_answer", check, subject, evidence={**evidence, **more})]
    if said["status"] >= 500:
        return [fault("backend.error_5xx", check, subject, evidence={**evidence, "sample": said["sample"]})]
    problem = _wrong_body(said, asked.parameters["healthy"])
    if problem:
        more = {"problem": problem, "said": said["said"], "wanted": asked.parameters["healthy"], "sample": said["sample"]}
        return [fault("backend.wrong_body", check, subject, evidence={**evidence, **more})]
    p95 = percentile(said["times"], 0.95)
    evidence.update(answers=len(said["times"]), median_ms=percentile(said["times"], 0.5), slowest_ms=max(said["times"]))
    measure = {"value": p95, "threshold": asked.parameters["slow_ms"], "unit": "ms"}
    if p95 > asked.parameters["slow_ms"]:
        return [fault("backend.slow", check, subject, evidence=evidence, **measure)]
    return [ok(check, subject, evidence=evidence, **measure)]


def _wrong_body(said: Mapping[str, Any], healthy: str) -> str:
    if not 200 <= said["status"] < 300:
        return "status"
    if not healthy:
        return ""
    if not said["json"]:
        return "not_json"
    return "" if said["said"].lower() == healthy.lower() else "said"


def percentile(values: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile of some values."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)]


HEALTH = Source("backend.health", read_health, ("url", "timeout", "requests"))

CHECK = Check("backend.health", "Does the health API answer, well and fast?", judge, (HEALTH,), PARAMETERS)
