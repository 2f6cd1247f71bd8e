# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is concluded about SES: whether it can be reached, the account, the quota and the reputation. Pure functions of one reading.

Rules: manual 1 section 7 (causes by error), manual 2 section 8 (quota, rate, bounce, complaint, reject), product facts (sending).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..._core.finding import Finding, ok, unknown
from ..._core.source import Asked
from ..._shared import rates as _ses_rates
from ..._shared.rates import Point, percent
from .answers import DAY, FACTS, answers_of, cannot, data_of, filled, not_told, of_ses, ses_is_silent, whole
from .faults import fault


def _points(facts: Mapping[str, Any], now: float) -> list[Point] | None:
    data = data_of(facts, "statistics")
    return None if data is None else _ses_rates.points_of(data.get("SendDataPoints") or [], now)


# --- ses.reach


def reach(asked: Asked) -> list[Finding]:
    """Say whether the API and SMTP of SES can be reached from here."""
    check = "ses.reach"
    facts = asked.read(FACTS)
    silent = ses_is_silent(facts)
    found = []
    for role, port in sorted(facts["ports"].items()):
        api, place = role == "api", port["place"]
        # Through a proxy there is no direct way, and none is needed.
        if (port["state"] == "open" and not (api and silent)) or (api and not silent):
            found.append(ok(check, place, evidence={"waited": port["waited"], "region": facts["region"]}))
            continue
        reason = "no_answer" if port["state"] == "open" else port["state"]
        failed = next((answer for answer in of_ses(facts).values() if answer["state"] == "unreachable"), {})
        evidence = filled(
            {
                "reason": reason,
                "place": place,
                "host": place.rpartition(":")[0],
                "port": place.rpartition(":")[2],
                "waited": port["waited"],
                "said": port["said"] or (failed.get("said") if api else ""),
                "region": facts["region"],
                "api": api,
            }
        )
        found.append(fault("ses.unreachable", check, place, evidence=evidence))
    return found or [unknown(check, "no place to reach is known; give region")]


# --- ses.account


def account(asked: Asked) -> list[Finding]:
    """Say whether AWS lets this account send: not paused, not on probation, out of the sandbox."""
    check = "ses.account"
    facts = asked.read(FACTS)
    data = data_of(facts, "account")
    region = facts["region"]
    if data is None:
        return [cannot(check, facts, "account", region)]
    status = str(data.get("EnforcementStatus") or "")
    evidence = {"region": region, "enforcement": status, "sending_enabled": bool(data.get("SendingEnabled", True))}
    found = []
    if status == "SHUTDOWN" or not evidence["sending_enabled"]:
        reason = "shutdown" if status == "SHUTDOWN" else "switched_off"
        found.append(fault("ses.account_paused", check, region, evidence={**evidence, "reason": reason}))
    elif status == "PROBATION":
        found.append(fault("ses.account_probation", check, region, evidence=evidence))
    if not data.get("ProductionAccessEnabled", True):
        found.append(fault("ses.sandbox", check, region, evidence=evidence))
    return found or [ok(check, region, evidence=evidence)]


# --- ses.quota


def quota(asked: Asked) -> list[Finding]:
    """Say how much of the quota and of the send rate is used, when it runs out, and which parallelism fits."""
    check = "ses.quota"
    facts, now = asked.read(FACTS), asked.now
    limits = quota_of(facts)
    if limits is None:
        return [cannot(check, facts, "quota", facts["region"])]
    points = _points(facts, now)
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


# --- ses.reputation


_KINDS = (
    ("bounces", "Bounce", ("bounce_critical", "ses.bounce_10"), ("bounce_warning", "ses.bounce_5"), "ses.bounce_rising", 5),
    (
        "complaints",
        "Complaint",
        ("complaint_critical", "ses.complaint_05"),
        ("complaint_warning", "ses.complaint_01"),
        "ses.complaint_rising",
        3,
    ),
    ("rejects", "", ("reject_critical", "ses.reject_5"), None, "", 0),
)


def reputation(asked: Asked) -> list[Finding]:
    """Say whether bounces, complaints and rejects are over the lines, or rising before they reach them.

    Without SES's statistics, CloudWatch's two rates are judged all the same; the rest is unknown, or named where it is not allowed.
    """
    check = "ses.reputation"
    facts, now = asked.read(FACTS), asked.now
    points = _points(facts, now)
    seen, missing = _cloudwatch(facts)
    notes = [*not_told(facts, ("statistics", "reputation")), *missing]
    if points is None:
        # CloudWatch knows bounces and complaints only, and no rise.
        notes += ["rejects and rises: told by ses:GetSendStatistics only"]
    shared = {"region": facts["region"], "not_asked": notes}
    found = [finding for kind in _KINDS for finding in _kind(check, asked.parameters, shared, points or [], seen, now, kind)]
    if points is None and (not seen or answers_of(facts, "statistics")["state"] != "denied"):
        reason = cannot(check, facts, "statistics", facts["region"])
        found.append(replace(reason, evidence=filled({**reason.evidence, **shared, "cloudwatch": seen})))
    rates = rates_of(points or [], now)
    return found or [ok(check, facts["region"], evidence=filled({**shared, "rates": rates, "cloudwatch": seen}))]


def rates_of(points: Sequence[Point], now: float) -> dict[str, dict[str, float | int]]:
    """Return by window (``1d``, ``7d``, ``14d``) the attempts and the rates in percent."""
    return {
        f"{days}d": {
            "attempts": total.attempts,
            "bounces": round(percent(total.bounces, total.attempts), 2),
            "complaints": round(percent(total.complaints, total.attempts), 3),
            "rejects": round(percent(total.rejects, total.attempts), 2),
        }
        for days, total in _ses_rates.windows(points, now).items()
        if total.attempts
    }


def _cloudwatch(facts: Mapping[str, Any]) -> tuple[dict[str, float], list[str]]:
    """Return AWS's own rates in percent by kind, and which of them it does not tell: no datapoint is unknown, not nought."""
    data = data_of(facts, "reputation")
    if data is None:
        return {}, []  # the check names it
    seen, missing = {}, []
    by_label = {entry.get("Id"): entry for entry in data.get("MetricDataResults") or []}
    for label in ("Bounce", "Complaint"):
        entry = by_label.get(label.lower()) or {}
        pairs = sorted(zip(entry.get("Timestamps") or [], entry.get("Values") or []))
        if pairs:
            seen[label] = round(100.0 * pairs[-1][1], 3)
        else:
            missing.append(f"Reputation.{label}Rate: no datapoint")
    return seen, missing


def _kind(
    check: str,
    parameters: Mapping[str, Any],
    shared: Mapping[str, Any],
    points: Sequence[Point],
    seen: Mapping[str, float],
    now: float,
    kind: tuple[Any, ...],
) -> list[Finding]:
    name, label, *lines, rising_code, least = kind
    totals = _ses_rates.windows(points, now)
    evidence = filled({**shared, "rates": rates_of(points, now), "cloudwatch": seen.get(label)})
    for line in lines:
        if line is None:
            continue
        option, code = line
        threshold = parameters[option]
        for days, total in totals.items():
            count = getattr(total, name)
            if _ses_rates.is_over(count, total.attempts, threshold, parameters["least_sends"]):
                numbers = {"window": f"{days} d", "count": count, "attempts": total.attempts}
                value = round(percent(count, total.attempts), 3)
                return [fault(code, check, shared["region"], evidence={**evidence, **numbers}, value=value, threshold=threshold, unit="%")]
        if seen.get(label, -1.0) >= threshold:
            told = {**evidence, "window": "AWS"}
            return [fault(code, check, shared["region"], evidence=told, value=seen[label], threshold=threshold, unit="%")]
    rise = _ses_rates.rising(points, now, name, least, parameters["rising_chance"]) if rising_code else None
    if rise is None:
        return []
    numbers = {
        "window": f"{rise.hours:g} h",
        "count": rise.count,
        "attempts": rise.attempts,
        "line": whole(parameters[lines[-1][0]]),
        "usual": round(rise.usual_rate, 3),
        "usual_count": rise.usual_count,
        "usual_attempts": rise.usual_attempts,
        "chance": float(f"{rise.chance:.1e}"),
        "test": "Fisher's exact test, one side",
    }
    value = round(rise.rate, 3)
    threshold = round(2 * rise.usual_rate, 3)
    return [fault(rising_code, check, shared["region"], evidence={**evidence, **numbers}, value=value, threshold=threshold, unit="%")]
