# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ses.reputation. Pure functions of one reading (manual 1 section 7, manual 2 section 8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..._core.finding import Finding, ok
from ..._core.source import Asked
from ..._shared import rates as _ses_rates
from ..._shared.rates import Point, percent
from .answers import FACTS, answers_of, cannot, data_of, filled, not_told, points_of, whole
from .faults import fault

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
    points = points_of(facts, now)
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
