# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is concluded from LogsDB about sending by SES: failures that are more than usual, and the peak a second. Pure functions.

Rules: manual 2 section 8 (when failures grow) and section 11 (growth patterns of EMAIL_SEND_LOG). A rise is judged against the same hours
and weekday of the former four weeks by Fisher's exact test, one side.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._core.finding import Finding, ok, reporter, unknown
from ..._core.source import Asked
from ..._shared import rates as _ses_rates
from ..._shared.logs.signatures import matching
from ..ses.faults import FAULTS as SES_FAULTS
from ..worker.faults import FAULTS as WORKER_FAULTS
from . import checks as _logsdb_checks
from .faults import FAULTS

fault = reporter(FAULTS, SES_FAULTS, WORKER_FAULTS)

LOGSDB = "LogsDB"
TOLD_BY_ITSELF = ("ses.throttled", "ses.invalid_address")
MOST_DETAILS = 5
# ERROR_TYPE has no more than the name. What a worker asks for is the same for all mails but their addresses.
_NAMES = {"BadRequestException": ["ses.invalid_address"]}
PARAMETERS: dict[str, dict[str, Any]] = {
    **_logsdb_checks.PARAMETERS,
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
        "description": "Mails a second that SES allows, which ses.quota tells; without it the peak in LogsDB is not judged, and the answer says so.",
    },
    "rate_percent": {"type": "float", "default": 80.0, "description": "Percent of it from which on the peak is reported."},
}


def sent(asked: Asked) -> list[Finding]:
    """Say which failures of sending are more than usual, and how near the peak came to the send rate."""
    check = "logsdb.sending"
    facts = asked.read("logsdb.facts")
    if facts["state"] != "up":
        return [
            unknown(check, f"LogsDB cannot be used ({facts['stage']}: {facts['reason']})", blocked_by="logsdb.unreachable", subject=LOGSDB)
        ]
    mails = facts["mails"]
    if mails["now"] is None:
        return [unknown(check, "LogsDB did not answer: " + "; ".join(mails["not_asked"] or ["no reason given"]), subject=LOGSDB)]
    found = [*_surges(check, asked.parameters, mails), *_peak(check, asked.parameters, mails)]
    notes = list(mails["not_asked"])
    if not asked.parameters["max_send_rate"]:
        # SES is asked elsewhere, often on another host and with another key; here nobody knows its limit.
        notes.append("the peak against the send rate: max_send_rate is not given (ses.quota tells it as max_rate)")
    evidence = {
        "hours": mails["hours"],
        "attempts": mails["now"]["attempts"],
        "errors": mails["now"]["errors"],
        "peak_rate": mails["peak"],
        "not_asked": notes,
    }
    return found or [ok(check, LOGSDB, evidence={name: value for name, value in evidence.items() if value not in (None, {}, [])})]


def by_code(errors: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Return SES's error names with their counts by the fault that each means; names of other areas are left out."""
    sorted_out: dict[str, dict[str, int]] = {}
    for name, count in errors.items():
        codes = [signature.code for signature, _detail in matching(name) if signature.name.startswith("ses_")] or _NAMES.get(name, [])
        if codes:
            sorted_out.setdefault(codes[0], {})[name] = count
    return sorted_out


def _surges(check: str, parameters: Mapping[str, Any], mails: Mapping[str, Any]) -> list[Finding]:
    now, usual = by_code(mails["now"]["errors"]), by_code(mails["usual"]["errors"])
    found, others = [], {}
    for code, names in sorted(now.items()):
        numbers = _numbers(sum(names.values()), sum(usual.get(code, {}).values()), mails)
        if numbers["count"] < parameters["least_failures"] or numbers["chance"] >= parameters["surge_chance"]:
            continue
        if code in TOLD_BY_ITSELF:
            found.append(_surge(check, code, names, numbers, mails))
        else:
            others[code] = (names, numbers)
    if others:
        found.append(_other_causes(check, others))
    return found


def _numbers(count: int, usual: int, mails: Mapping[str, Any]) -> dict[str, Any]:
    attempts, before = mails["now"]["attempts"], mails["usual"]["attempts"]
    chance = _ses_rates.fisher_tail(count, attempts, usual, before) if before else _ses_rates.binomial_tail(count, attempts, 0.01)
    return {
        "count": count,
        "attempts": attempts,
        "usual_count": usual,
        "usual_attempts": before,
        "chance": float(f"{chance:.1e}"),
        "window": f"{mails['hours']} h",
        "weeks": mails["weeks"],
    }


def _surge(check: str, code: str, names: Mapping[str, int], numbers: Mapping[str, Any], mails: Mapping[str, Any]) -> Finding:
    domains = [{"name": name, "count": count} for name, count in mails["domains"].items()] if code == "ses.invalid_address" else []
    evidence = {**numbers, "from": "logsdb", "details": _details(names), **({"domains": domains} if domains else {})}
    return fault(code, check, LOGSDB, evidence=evidence, value=numbers["count"], unit="mails")


def _other_causes(check: str, others: Mapping[str, tuple[Mapping[str, int], Mapping[str, Any]]]) -> Finding:
    """Make the one finding of what the area's other checks explain, where they can ask."""
    count = sum(numbers["count"] for _names, numbers in others.values())
    names = {name: number for named, _numbers_of in others.values() for name, number in named.items()}
    least = min((numbers for _named, numbers in others.values()), key=lambda numbers: numbers["chance"])
    causes = [{"code": code, "count": numbers["count"]} for code, (_named, numbers) in others.items()]
    evidence = {**least, "count": count, "from": "logsdb", "details": _details(names), "causes": causes}
    return fault("worker.ses_error", check, LOGSDB, evidence=evidence, value=count, unit="mails")


def _details(names: Mapping[str, int]) -> list[dict[str, Any]]:
    ordered = sorted(names.items(), key=lambda pair: -pair[1])
    return [{"name": name, "count": count} for name, count in ordered[:MOST_DETAILS]]


def _peak(check: str, parameters: Mapping[str, Any], mails: Mapping[str, Any]) -> list[Finding]:
    limit, peak = parameters["max_send_rate"] or 0, mails["peak"] or 0
    share = round(_ses_rates.percent(peak, limit), 1) if limit else 0.0
    if not limit or share < parameters["rate_percent"]:
        return []
    evidence = {"max_rate": limit, "peak_rate": peak, "from": "logsdb"}
    return [fault("ses.rate_near_limit", check, LOGSDB, evidence=evidence, value=share, threshold=parameters["rate_percent"], unit="%")]
