# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ses.reputation: whether bounces, complaints and rejects exceed their thresholds, or rise (manual 1 section 7, manual 2 section 8).

Where the manual and AWS disagree, the stricter threshold is the default: complaints are critical at 0.5 %, where AWS pauses an account, and not
at the manual's 1 %.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from ..._core.check import Check
from ..._core.finding import Finding, ok
from ..._core.source import Asked
from ..._shared import rates
from ..._shared.rates import Point, percent
from .answers import answer_to, data_of, filled, points_of, unanswered, whole, without_answer
from .facts import Facts
from .faults import fault
from .parameters import READING_PARAMETERS, number
from .read import FACTS

PARAMETERS: dict[str, dict[str, Any]] = {
    **READING_PARAMETERS,
    "bounce_warning": number(5.0, "Bounces in percent at which a warning is reported."),
    "bounce_critical": number(10.0, "Bounces in percent at which sending should pause."),
    "complaint_warning": number(0.1, "Complaints in percent at which a warning is reported."),
    "complaint_critical": number(
        0.5, "Complaints in percent at which sending should pause. The default is AWS's threshold, stricter than the manual's 1."
    ),
    "reject_critical": number(5.0, "Rejects in percent at which a fault is reported."),
    "least_sends": {
        "type": "int",
        "default": 1000,
        "description": "With fewer sends in a window, a rate must also be significant by a binomial test (1 %) to be reported.",
    },
    "rising_chance": number(0.001, "A rise is reported if its probability by chance is lower (Fisher's exact test)."),
}


class Kind(NamedTuple):
    """One kind of mail that did not arrive.

    name: field of a point. label: CloudWatch's name, "" for none. thresholds: parameter and code, the highest first.
    rising: code of a rise, "" for none. least: the smallest count that is a rise.
    """

    name: str
    label: str
    thresholds: tuple[tuple[str, str], ...]
    rising: str
    least: int


_KINDS = (
    Kind("bounces", "Bounce", (("bounce_critical", "ses.bounce_10"), ("bounce_warning", "ses.bounce_5")), "ses.bounce_rising", 5),
    Kind(
        "complaints",
        "Complaint",
        (("complaint_critical", "ses.complaint_05"), ("complaint_warning", "ses.complaint_01")),
        "ses.complaint_rising",
        3,
    ),
    Kind("rejects", "", (("reject_critical", "ses.reject_5"),), "", 0),
)


def judge(asked: Asked) -> list[Finding]:
    """Return the faults of bounces, complaints and rejects.

    Without SES's statistics, the two rates of CloudWatch are still judged; the rest is ``unknown``, or in evidence.not_asked where the key may
    not read the statistics.
    """
    check = "ses.reputation"
    facts: Facts = asked.read(FACTS.name)
    now = asked.now
    points = points_of(facts, now)
    cloudwatch, missing = _cloudwatch(facts)
    notes = [*without_answer(facts, ("statistics", "reputation")), *missing]
    if points is None:
        notes += ["rejects and rises: only ses:GetSendStatistics returns them"]
    shared = {"region": facts["region"], "not_asked": notes}
    found = [finding for kind in _KINDS for finding in _kind(check, asked.parameters, shared, points or [], cloudwatch, now, kind)]
    if points is None and (not cloudwatch or answer_to(facts, "statistics")["state"] != "denied"):
        reason = unanswered(check, facts, "statistics", facts["region"])
        found.append(replace(reason, evidence=filled({**reason.evidence, **shared, "cloudwatch": cloudwatch})))
    by_window = rates_of(points or [], now)
    return found or [ok(check, facts["region"], evidence=filled({**shared, "rates": by_window, "cloudwatch": cloudwatch}))]


def rates_of(points: Sequence[Point], now: float) -> dict[str, dict[str, float | int]]:
    """Return by window (``1d``, ``7d``, ``14d``) the attempts and the rates in percent."""
    return {
        f"{days}d": {
            "attempts": total.attempts,
            "bounces": round(percent(total.bounces, total.attempts), 2),
            "complaints": round(percent(total.complaints, total.attempts), 3),
            "rejects": round(percent(total.rejects, total.attempts), 2),
        }
        for days, total in rates.windows(points, now).items()
        if total.attempts
    }


def _cloudwatch(facts: Facts) -> tuple[dict[str, float], list[str]]:
    """Return AWS's own rates in percent by label, and notes on those without a datapoint: no datapoint does not mean 0 %."""
    data = data_of(facts, "reputation")
    if data is None:
        return {}, []  # without_answer() reports it
    found, missing = {}, []
    by_label = {entry.get("Id"): entry for entry in data.get("MetricDataResults") or []}
    for label in ("Bounce", "Complaint"):
        entry = by_label.get(label.lower()) or {}
        pairs = sorted(zip(entry.get("Timestamps") or [], entry.get("Values") or []))
        if pairs:
            found[label] = round(100.0 * pairs[-1][1], 3)
        else:
            missing.append(f"Reputation.{label}Rate: no datapoint")
    return found, missing


def _kind(
    check: str,
    parameters: Mapping[str, Any],
    shared: Mapping[str, Any],
    points: Sequence[Point],
    cloudwatch: Mapping[str, float],
    now: float,
    kind: Kind,
) -> list[Finding]:
    """Return the fault of one kind: the highest threshold that is reached in any window or in CloudWatch, otherwise a rise."""
    totals = rates.windows(points, now)
    evidence = filled({**shared, "rates": rates_of(points, now), "cloudwatch": cloudwatch.get(kind.label)})
    for option, code in kind.thresholds:
        threshold = parameters[option]
        for days, total in totals.items():
            count = getattr(total, kind.name)
            if rates.is_over(count, total.attempts, threshold, parameters["least_sends"]):
                numbers = {"window": f"{days} d", "count": count, "attempts": total.attempts}
                value = round(percent(count, total.attempts), 3)
                return [fault(code, check, shared["region"], evidence={**evidence, **numbers}, value=value, threshold=threshold, unit="%")]
        if cloudwatch.get(kind.label, -1.0) >= threshold:
            by_aws = {**evidence, "window": "AWS"}
            value = cloudwatch[kind.label]
            return [fault(code, check, shared["region"], evidence=by_aws, value=value, threshold=threshold, unit="%")]
    return _rise(check, parameters, evidence, points, now, kind) if kind.rising else []


def _rise(
    check: str, parameters: Mapping[str, Any], evidence: Mapping[str, Any], points: Sequence[Point], now: float, kind: Kind
) -> list[Finding]:
    rise = rates.rising(points, now, kind.name, kind.least, parameters["rising_chance"])
    if rise is None:
        return []
    lowest, _code = kind.thresholds[-1]
    numbers = {
        "window": f"{rise.hours:g} h",
        "count": rise.count,
        "attempts": rise.attempts,
        "line": whole(parameters[lowest]),
        "usual": round(rise.usual_rate, 3),
        "usual_count": rise.usual_count,
        "usual_attempts": rise.usual_attempts,
        "chance": float(f"{rise.chance:.1e}"),
        "test": "Fisher's exact test, one side",
    }
    value, threshold = round(rise.rate, 3), round(2 * rise.usual_rate, 3)
    return [fault(kind.rising, check, evidence["region"], evidence={**evidence, **numbers}, value=value, threshold=threshold, unit="%")]


CHECK = Check(
    "ses.reputation",
    "Are bounces, complaints and rejects low, and not rising?",
    judge,
    (FACTS,),
    PARAMETERS,
    driver="boto3",
)
