# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ses.quota. Pure functions of one reading (manual 2 section 8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._core.finding import Finding, ok
from ..._core.source import Asked
from ..._shared import rates as _ses_rates
from ..._shared.rates import Point, percent
from .answers import DAY, FACTS, cannot, data_of, filled, not_told, points_of
from .faults import fault


def quota(asked: Asked) -> list[Finding]:
    """Say how much of the quota and of the send rate is used, when it runs out, and which parallelism fits."""
    check = "ses.quota"
    facts, now = asked.read(FACTS), asked.now
    limits = quota_of(facts)
    if limits is None:
        return [cannot(check, facts, "quota", facts["region"])]
    points = points_of(facts, now)
    evidence = _quota_evidence(asked.parameters, facts, limits, points, now)
    return [*_volume(check, asked.parameters, facts["region"], evidence), *_rate(check, asked.parameters, facts["region"], evidence)] or [
        ok(check, facts["region"], evidence=evidence)
    ]


def quota_of(facts: Mapping[str, Any]) -> dict[str, float] | None:
    """Return ``limit used rate``; from either version of the API, None when neither answered."""
    data = data_of(facts, "quota") or (data_of(facts, "account") or {}).get("SendQuota")
    if not data:
        return None
    return {"limit": data["Max24HourSend"], "used": data["SentLast24Hours"], "rate": data["MaxSendRate"]}


def _quota_evidence(
    parameters: Mapping[str, Any], facts: Mapping[str, Any], limits: Mapping[str, float], points: list[Point] | None, now: float
) -> dict[str, Any]:
    unlimited = limits["limit"] < 0
    evidence: dict[str, Any] = {
        "region": facts["region"],
        "used": round(limits["used"]),
        "limit": None if unlimited else round(limits["limit"]),
        "unlimited": unlimited or None,
        "max_rate": limits["rate"],
        "parallel": facts["parallel"],
        "not_asked": not_told(facts, ("quota", "statistics")),
    }
    if points is not None:
        peak = _ses_rates.peak([point for point in points if point.start >= now - DAY])
        evidence["peak_rate"] = round(peak, 2)
        evidence["parallel_fits"] = _ses_rates.parallel_that_fits(limits["rate"], parameters["mail_seconds"], facts["parallel"], peak)
        if not unlimited:
            told = _ses_rates.forecast(points, now, limits["used"], limits["limit"], parameters["forecast_hours"])
            rounded = {key: None if value is None else round(value, 1) for key, value in told._asdict().items() if key != "unusual"}
            evidence["forecast"] = filled({**rounded, "unusual": told.unusual or None})
    return filled(evidence)


def _volume(check: str, parameters: Mapping[str, Any], subject: str, evidence: Mapping[str, Any]) -> list[Finding]:
    limit, used = evidence.get("limit"), evidence.get("used", 0)
    if limit is None:
        return []
    share = round(percent(used, limit), 1) if limit else 100.0
    told = {"value": share, "threshold": parameters["quota_percent"], "unit": "%"}
    if used >= limit:
        return [fault("ses.quota_exhausted", check, subject, evidence=dict(evidence), **{**told, "threshold": 100.0})]
    if share >= parameters["quota_percent"]:
        return [fault("ses.quota_80", check, subject, evidence=dict(evidence), **told)]
    hours = evidence.get("forecast", {}).get("alarm_h")
    if hours is None:
        return []
    told = {"value": hours, "threshold": parameters["forecast_hours"], "unit": "h"}
    return [fault("ses.quota_forecast", check, subject, evidence=dict(evidence), **told)]


def _rate(check: str, parameters: Mapping[str, Any], subject: str, evidence: Mapping[str, Any]) -> list[Finding]:
    limit, peak = evidence.get("max_rate") or 0, evidence.get("peak_rate") or 0
    share = round(percent(peak, limit), 1)
    if not limit or share < parameters["rate_percent"]:
        return []
    told = {**evidence, "from": "statistics"}
    return [fault("ses.rate_near_limit", check, subject, evidence=told, value=share, threshold=parameters["rate_percent"], unit="%")]
