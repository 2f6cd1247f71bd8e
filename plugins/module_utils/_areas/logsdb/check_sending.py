# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``logsdb.sending``: failures of sending by SES that are more than usual, and the peak rate (M2-8, M2-11).

Failures are compared with the same hours and weekday of the previous four weeks by Fisher's exact test, one side.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._core.check import Check
from ..._core.finding import Finding, ok, reporter, unknown
from ..._core.source import Asked
from ..._shared.logs.signatures import matching
from ..._shared.rates import binomial_tail, fisher_tail, percent
from ..ses.faults import FAULTS as SES_FAULTS
from ..worker.faults import FAULTS as WORKER_FAULTS
from .faults import FAULTS
from .read_facts import FACTS, READING_PARAMETERS, Facts
from .read_mails import Failures, Mails

fault = reporter(FAULTS, SES_FAULTS, WORKER_FAULTS)

_CHECK = "logsdb.sending"
_SUBJECT = "LogsDB"
_REPORTED_ALONE = ("ses.throttled", "ses.invalid_address")
_MOST_DETAILS = 5
# ERROR_TYPE has the name only. All mails of a worker differ in nothing but the address, so a bad request is a bad address.
_NAMES = {"BadRequestException": ["ses.invalid_address"]}
PARAMETERS: dict[str, dict[str, Any]] = {
    **READING_PARAMETERS,
    "least_failures": {
        "type": "int",
        "default": 5,
        "description": "Failures of one cause in the window from which on they may be a surge.",
    },
    "surge_chance": {
        "type": "float",
        "default": 0.001,
        "description": "Chance by luck below which failures are a surge (Fisher's exact test, one side).",
    },
    "max_send_rate": {
        "type": "float",
        "variable": "stack_ses_max_send_rate",
        "description": "Mails a second that SES allows: max_rate of ses.quota. Without it the peak in LogsDB is not judged, and not_asked has a note.",
    },
    "rate_percent": {"type": "float", "default": 80.0, "description": "Percent of it from which on the peak is reported."},
}


def judge(asked: Asked) -> list[Finding]:
    """Report failures of sending that are more than usual, and a peak near the send rate."""
    facts: Facts = asked.read("logsdb.facts")
    if facts["state"] != "up":
        why = f"LogsDB cannot be used ({facts['stage']}: {facts['reason']})"
        return [unknown(_CHECK, why, blocked_by="logsdb.unreachable", subject=_SUBJECT)]
    mails = facts["mails"]
    now, usual = mails["now"], mails["usual"]
    if now is None or usual is None:
        return [unknown(_CHECK, "LogsDB did not answer: " + "; ".join(mails["not_asked"] or ["no reason given"]), subject=_SUBJECT)]
    found = [*_surges(asked.parameters, mails, now, usual), *_peak(asked.parameters, mails)]
    notes = list(mails["not_asked"])
    if not asked.parameters["max_send_rate"]:
        # SES is read elsewhere, often on another host and with another key; its limit is unknown here.
        notes.append("the peak against the send rate: max_send_rate is not given (ses.quota tells it as max_rate)")
    evidence = {
        "hours": mails["hours"],
        "attempts": now["attempts"],
        "errors": now["errors"],
        "peak_rate": mails["peak"],
        "not_asked": notes,
    }
    return found or [ok(_CHECK, _SUBJECT, evidence={name: value for name, value in evidence.items() if value not in (None, {}, [])})]


def by_code(errors: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Return the error names of SES with their counts, by the code of the fault that each means; other names are left out."""
    sorted_out: dict[str, dict[str, int]] = {}
    for name, count in errors.items():
        codes = [signature.code for signature, _detail in matching(name) if signature.name.startswith("ses_")] or _NAMES.get(name, [])
        if codes:
            sorted_out.setdefault(codes[0], {})[name] = count
    return sorted_out


def _surges(parameters: Mapping[str, Any], mails: Mails, now: Failures, usual: Failures) -> list[Finding]:
    codes, before = by_code(now["errors"]), by_code(usual["errors"])
    found, others = [], {}
    for code, names in sorted(codes.items()):
        numbers = _numbers(sum(names.values()), sum(before.get(code, {}).values()), mails, now, usual)
        if numbers["count"] < parameters["least_failures"] or numbers["chance"] >= parameters["surge_chance"]:
            continue
        if code in _REPORTED_ALONE:
            found.append(_surge(code, names, numbers, mails))
        else:
            others[code] = (names, numbers)
    if others:
        found.append(_other_causes(others))
    return found


def _numbers(count: int, before: int, mails: Mails, now: Failures, usual: Failures) -> dict[str, Any]:
    attempts, attempts_before = now["attempts"], usual["attempts"]
    chance = fisher_tail(count, attempts, before, attempts_before) if attempts_before else binomial_tail(count, attempts, 0.01)
    return {
        "count": count,
        "attempts": attempts,
        "usual_count": before,
        "usual_attempts": attempts_before,
        "chance": float(f"{chance:.1e}"),
        "window": f"{mails['hours']} h",
        "weeks": mails["weeks"],
    }


def _surge(code: str, names: Mapping[str, int], numbers: Mapping[str, Any], mails: Mails) -> Finding:
    domains = [{"name": name, "count": count} for name, count in mails["domains"].items()] if code == "ses.invalid_address" else []
    evidence = {**numbers, "from": "logsdb", "details": _details(names), **({"domains": domains} if domains else {})}
    return fault(code, _CHECK, _SUBJECT, evidence=evidence, value=numbers["count"], unit="mails")


def _other_causes(others: Mapping[str, tuple[Mapping[str, int], Mapping[str, Any]]]) -> Finding:
    """Return one finding for all causes that other checks explain, where they can read SES."""
    count = sum(numbers["count"] for _names, numbers in others.values())
    names = {name: number for named, _numbers_of in others.values() for name, number in named.items()}
    least = min((numbers for _named, numbers in others.values()), key=lambda numbers: numbers["chance"])
    causes = [{"code": code, "count": numbers["count"]} for code, (_named, numbers) in others.items()]
    evidence = {**least, "count": count, "from": "logsdb", "details": _details(names), "causes": causes}
    return fault("worker.ses_error", _CHECK, _SUBJECT, evidence=evidence, value=count, unit="mails")


def _details(names: Mapping[str, int]) -> list[dict[str, Any]]:
    ordered = sorted(names.items(), key=lambda pair: -pair[1])
    return [{"name": name, "count": count} for name, count in ordered[:_MOST_DETAILS]]


def _peak(parameters: Mapping[str, Any], mails: Mails) -> list[Finding]:
    limit, peak = parameters["max_send_rate"] or 0, mails["peak"] or 0
    share = round(percent(peak, limit), 1) if limit else 0.0
    if not limit or share < parameters["rate_percent"]:
        return []
    evidence = {"max_rate": limit, "peak_rate": peak, "from": "logsdb"}
    return [fault("ses.rate_near_limit", _CHECK, _SUBJECT, evidence=evidence, value=share, threshold=parameters["rate_percent"], unit="%")]


CHECK = Check(
    _CHECK,
    "Are failures of sending more than usual for this hour and weekday?",
    judge,
    (FACTS,),
    PARAMETERS,
    runs_on="checker",
)
