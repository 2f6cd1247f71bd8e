# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ses.quota: how much of the quota and the send rate is used, and when the quota runs out (manual 2 section 8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from ..._core.check import Check
from ..._core.finding import Finding, ok
from ..._core.source import Asked
from ..._shared import rates
from ..._shared.rates import Point, percent
from .answers import DAY, data_of, filled, points_of, unanswered, without_answer
from .facts import Facts
from .faults import fault
from .parameters import READING_PARAMETERS, number
from .read import FACTS

PARAMETERS: dict[str, dict[str, Any]] = {
    **READING_PARAMETERS,
    "quota_percent": number(80.0, "Percent of the rolling 24 hour quota at which a fault is reported.", "stack_ses_quota_percent"),
    "forecast_hours": number(24.0, "A quota that runs out within this number of hours is reported."),
    "rate_percent": number(80.0, "Percent of the send rate at which the peak is reported."),
    "mail_seconds": number(
        0.3, "Seconds that the worker takes for one mail, with its pause against throttling; for the parallelism that fits."
    ),
}


class Limits(TypedDict):
    """The quota of an account. limit: recipients in 24 hours, negative for no limit. used: recipients so far. rate: mails a second."""

    limit: float
    used: float
    rate: float


def judge(asked: Asked) -> list[Finding]:
    """Return the faults of quota and send rate, with the forecast and the parallelism that fits as evidence."""
    check = "ses.quota"
    facts: Facts = asked.read(FACTS.name)
    limits = limits_of(facts)
    if limits is None:
        return [unanswered(check, facts, "quota", facts["region"])]
    points = points_of(facts, asked.now)
    evidence = _evidence(asked.parameters, facts, limits, points, asked.now)
    return [*_volume(check, asked.parameters, facts["region"], evidence), *_rate(check, asked.parameters, facts["region"], evidence)] or [
        ok(check, facts["region"], evidence=evidence)
    ]


def limits_of(facts: Facts) -> Limits | None:
    """Return the quota from either version of the API, None when neither answered."""
    data = data_of(facts, "quota") or (data_of(facts, "account") or {}).get("SendQuota")
    if not data:
        return None
    return {"limit": data["Max24HourSend"], "used": data["SentLast24Hours"], "rate": data["MaxSendRate"]}


def _evidence(parameters: Mapping[str, Any], facts: Facts, limits: Limits, points: list[Point] | None, now: float) -> dict[str, Any]:
    unlimited = limits["limit"] < 0
    evidence: dict[str, Any] = {
        "region": facts["region"],
        "used": round(limits["used"]),
        "limit": None if unlimited else round(limits["limit"]),
        "unlimited": unlimited or None,
        "max_rate": limits["rate"],
        "parallel": facts["parallel"],
        "not_asked": without_answer(facts, ("quota", "statistics")),
    }
    if points is not None:
        peak = rates.peak([point for point in points if point.start >= now - DAY])
        evidence["peak_rate"] = round(peak, 2)
        evidence["parallel_fits"] = rates.parallel_that_fits(limits["rate"], parameters["mail_seconds"], facts["parallel"], peak)
        if not unlimited:
            forecast = rates.forecast(points, now, limits["used"], limits["limit"], parameters["forecast_hours"])
            rounded = {key: None if value is None else round(value, 1) for key, value in forecast._asdict().items() if key != "unusual"}
            evidence["forecast"] = filled({**rounded, "unusual": forecast.unusual or None})
    return filled(evidence)


def _volume(check: str, parameters: Mapping[str, Any], subject: str, evidence: Mapping[str, Any]) -> list[Finding]:
    """Return the fault of the quota: exhausted, nearly used, or used up within hours."""
    limit, used = evidence.get("limit"), evidence.get("used", 0)
    if limit is None:
        return []
    share = round(percent(used, limit), 1) if limit else 100.0
    measure = {"value": share, "threshold": parameters["quota_percent"], "unit": "%"}
    if used >= limit:
        return [fault("ses.quota_exhausted", check, subject, evidence=dict(evidence), **{**measure, "threshold": 100.0})]
    if share >= parameters["quota_percent"]:
        return [fault("ses.quota_80", check, subject, evidence=dict(evidence), **measure)]
    hours = evidence.get("forecast", {}).get("alarm_h")
    if hours is None:
        return []
    measure = {"value": hours, "threshold": parameters["forecast_hours"], "unit": "h"}
    return [fault("ses.quota_forecast", check, subject, evidence=dict(evidence), **measure)]


def _rate(check: str, parameters: Mapping[str, Any], subject: str, evidence: Mapping[str, Any]) -> list[Finding]:
    """Return the fault of a peak near the send rate."""
    limit, peak = evidence.get("max_rate") or 0, evidence.get("peak_rate") or 0
    share = round(percent(peak, limit), 1)
    if not limit or share < parameters["rate_percent"]:
        return []
    source = {**evidence, "from": "statistics"}
    return [fault("ses.rate_near_limit", check, subject, evidence=source, value=share, threshold=parameters["rate_percent"], unit="%")]


CHECK = Check(
    "ses.quota",
    "How much of quota and send rate is used, and when does the quota run out?",
    judge,
    (FACTS,),
    PARAMETERS,
    driver="boto3",
)
