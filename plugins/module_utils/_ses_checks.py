# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is concluded about SES: pure functions of one reading.

Rules: manual 1 section 7 (causes by error), manual 2 section 8 (quota, rate, bounce, complaint, reject), product facts (sending).
Where manual and AWS disagree the stricter line is the default: complaints are critical at 0.5 %, where AWS pauses, not at the manual's 1 %.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from . import _ses_rates
from ._finding import Finding, fault, ok, unknown
from ._ses_ask import BEYOND, MOST_IDENTITIES, SENDING
from ._ses_rates import Point, percent
from ._sources import Asked

FACTS = "ses.facts"
DAY = 86400.0
MOST = 5
SENDING_KEY = "sending key"
SPF_INCLUDE = "include:amazonses.com"
_REFUSED = {"key": "ses.key_invalid", "expired": "ses.key_invalid", "secret": "ses.key_invalid", "clock": "ses.clock"}

CREDENTIAL_OPTIONS: dict[str, dict[str, Any]] = {
    "env_file": {"type": "path", "required": True, "description": "A file of NAME=value lines, such as config/.env."},
    "access_key": {
        "type": "str",
        "no_log": False,
        "description": "Name in it of the key's id, by default AWS_ACCESS_KEY or SES_ACCESS_KEY.",
    },
    "secret_key": {"type": "str", "no_log": False, "description": "Name of its secret, by default AWS_SECRET_KEY or SES_SECRET_KEY."},
    "session_token": {
        "type": "str",
        "no_log": False,
        "description": "Name of its token, for temporary keys, by default AWS_SESSION_TOKEN.",
    },
    "region": {"type": "str", "description": "Name of the region's variable, by default AWS_REGION or SES_REGION."},
    "parallel": {"type": "str", "description": "Name of the variable with the worker's parallelism, by default MAX_PARALLEL."},
}
ENDPOINT_OPTIONS: dict[str, dict[str, Any]] = {
    name: {"type": "str", "description": f"Address of {title}, instead of the region's."}
    for name, title in (("ses", "SES"), ("sesv2", "SES, version 2"), ("iam", "IAM"), ("sts", "STS"), ("cloudwatch", "CloudWatch"))
}
READING_PARAMETERS: dict[str, dict[str, Any]] = {
    "region": {"type": "str", "description": "Region of SES, such as ap-southeast-1, by default what the .env or the profile says."},
    "credentials_from": {
        "type": "dict",
        "options": CREDENTIAL_OPTIONS,
        "description": "The .env that holds the key to ask with, by the names of its variables. Without it, profile, environment or instance role.",
    },
    "sender_from": {
        "type": "dict",
        "options": CREDENTIAL_OPTIONS,
        "description": "The .env of the worker, where the key that sends is another than the one to ask with.",
    },
    "profile": {"type": "str", "description": "A profile of the AWS configuration, instead of credentials_from."},
    "endpoint_urls": {"type": "dict", "options": ENDPOINT_OPTIONS, "description": "Addresses of private endpoints, by service."},
    "identities": {
        "type": "list",
        "elements": "str",
        "default": [],
        "description": f"Domains and addresses that mails are sent from, by default all that SES lists ({MOST_IDENTITIES} at most).",
    },
    "resolver": {
        "type": "list",
        "elements": "str",
        "default": [],
        "description": "DNS servers to ask, as address or address:port, by default those of the host that asks.",
    },
    "smtp_endpoint": {
        "type": "str",
        "description": "host:port of the SMTP interface, by default the region's at 587; - leaves it out.",
    },
    "iam_user": {"type": "str", "description": "IAM user of the key that sends, where AWS does not tell it to the key that asks."},
    "timeout": {"type": "float", "default": 9.0, "description": "Seconds for all questions together; less than the deadline of the check."},
}


def _number(default: float, description: str) -> dict[str, Any]:
    return {"type": "float", "default": default, "description": description}


QUOTA_PARAMETERS: dict[str, dict[str, Any]] = {
    **READING_PARAMETERS,
    "quota_percent": _number(80.0, "Percent of the rolling 24 hour quota from which on its use is reported."),
    "forecast_hours": _number(24.0, "Hours ahead within which the quota must not run out."),
    "rate_percent": _number(80.0, "Percent of the send rate from which on its peak is reported."),
    "mail_seconds": _number(
        0.3, "Seconds that one mail takes the worker, with its pause against throttling, to tell which parallelism fits."
    ),
}
REPUTATION_PARAMETERS: dict[str, dict[str, Any]] = {
    **READING_PARAMETERS,
    "bounce_warning": _number(5.0, "Bounces in percent from which on they are reported."),
    "bounce_critical": _number(10.0, "Bounces in percent from which on sending should pause."),
    "complaint_warning": _number(0.1, "Complaints in percent from which on they are reported."),
    "complaint_critical": _number(
        0.5, "Complaints in percent from which on sending should pause; AWS's line, stricter than the manual's 1."
    ),
    "reject_critical": _number(5.0, "Rejects in percent from which on they are reported."),
    "least_sends": {
        "type": "int",
        "default": 1000,
        "description": "Sends in a window from which on its rate counts as it is; below, it must also be more than luck (binomial test, 1 %).",
    },
    "rising_chance": _number(0.001, "Chance by luck below which a rise over the usual is reported (Fisher's exact test)."),
}
KEY_PARAMETERS: dict[str, dict[str, Any]] = {
    **READING_PARAMETERS,
    "key_advice_days": {**_number(30.0, "Days from which on a new key is advised."), "no_log": False},
    "key_warning_days": {**_number(150.0, "Days from which on a key is old."), "no_log": False},
    "key_overdue_days": {**_number(180.0, "Days at which a key must have been replaced."), "no_log": False},
    "clock_seconds": _number(240.0, "Seconds that the clock may differ from AWS's, which refuses at 300."),
}


# --- shared


def answers_of(facts: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return an answer; one that did not come in time is late."""
    return facts["answers"].get(name) or {"state": "late", "action": "", "code": "", "said": ""}


def _data(facts: Mapping[str, Any], name: str) -> Any:
    answer = answers_of(facts, name)
    return answer.get("data") if answer["state"] == "ok" else None


def _cannot(check: str, facts: Mapping[str, Any], name: str, subject: str = "") -> Finding:
    """Say why a question has no answer; the finding that explains it is named where there is one."""
    answer = answers_of(facts, name)
    state, code = answer["state"], answer.get("code") or ""
    said = f" ({code}: {answer['said']})" if answer.get("said") else f" ({code})" if code else ""
    if state == "denied":
        return unknown(check, f"the key may not call {answer['action']}; allow it in the policy of the key that asks", subject=subject)
    if state in _REFUSED:
        return unknown(check, f"AWS refuses the key{said}", blocked_by=refusal(facts) or _REFUSED[state], subject=subject)
    if state == "unreachable":
        return unknown(check, f"SES cannot be reached{said}", blocked_by="ses.unreachable", subject=subject)
    if state == "late":
        late = unknown(check, "AWS did not answer in time; give more of it (timeout), or look at the network", code="run.check_timeout")
        blocked = {"blocked_by": "ses.unreachable"} if _nothing_answered(facts) else {}
        return replace(late, subject=subject, evidence={**late.evidence, **blocked})
    if state == "throttled":
        return unknown(check, f"AWS throttles the questions of this check, also when asked again{said}", subject=subject)
    if state == "server":
        return unknown(check, f"AWS has a fault of its own{said}", subject=subject)
    return unknown(check, f"AWS gave no usable answer{said}", subject=subject)


def _nothing_answered(facts: Mapping[str, Any]) -> bool:
    return all(answer["state"] in ("unreachable", "late", "skipped") for answer in facts["answers"].values())


def refusal(facts: Mapping[str, Any]) -> str:
    """Return the code of what is wrong with the keys, "" when AWS takes them."""
    for name in ("sender", "caller"):
        state = answers_of(facts, name)["state"]
        if state == "clock":
            return "ses.clock"
        if state in _REFUSED:
            inactive = (facts.get("active") or {}).get("status") == "Inactive" and (name == "sender" or facts["own_key"])
            return "ses.key_inactive" if inactive else "ses.key_invalid"
    return ""


def _denied(facts: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Name what could not be asked for want of a permission, as evidence.not_asked."""
    told = [answers_of(facts, name) for name in names]
    return [f"{answer['action']}: not allowed" for answer in told if answer["state"] == "denied"]


def _filled(evidence: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in evidence.items() if value not in (None, "", [], {})}


def _points(facts: Mapping[str, Any], now: float) -> list[Point] | None:
    data = _data(facts, "statistics")
    return None if data is None else _ses_rates.points_of(data.get("SendDataPoints") or [], now)


# --- ses.reach


def reach(asked: Asked) -> list[Finding]:
    """Say whether the API and SMTP of SES can be reached from here."""
    check = "ses.reach"
    facts = asked.read(FACTS)
    ports = facts["ports"]
    silent = _nothing_answered(facts)
    found = []
    for number, (place, port) in enumerate(sorted(ports.items(), key=lambda item: item[0].startswith("email-smtp."))):
        api = number == 0
        # Through a proxy there is no direct way, and none is needed.
        if (port["state"] == "open" and not (api and silent)) or (api and not silent):
            found.append(ok(check, place, evidence={"waited": port["waited"], "region": facts["region"]}))
            continue
        reason = "no_answer" if port["state"] == "open" else port["state"]
        failed = next((answer for answer in facts["answers"].values() if answer["state"] == "unreachable"), {})
        evidence = _filled(
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
    data = _data(facts, "account")
    region = facts["region"]
    if data is None:
        return [_cannot(check, facts, "account", region)]
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
        return [_cannot(check, facts, "quota", facts["region"])]
    points = _points(facts, now)
    evidence = _quota_evidence(asked.parameters, facts, limits, points, now)
    return [*_volume(check, asked.parameters, facts["region"], evidence), *_rate(check, asked.parameters, facts["region"], evidence)] or [
        ok(check, facts["region"], evidence=evidence)
    ]


def quota_of(facts: Mapping[str, Any]) -> dict[str, float] | None:
    """Return ``limit used rate``; from either version of the API, None when neither answered."""
    data = _data(facts, "quota") or (_data(facts, "account") or {}).get("SendQuota")
    if not data:
        return None
    return {"limit": data["Max24HourSend"], "used": data["SentLast24Hours"], "rate": data["MaxSendRate"]}


def remember(facts: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what the check of LogsDB needs in the next run: the send rate that SES allows."""
    limits = quota_of(facts)
    return {"max_rate": limits["rate"]} if limits else None


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
        "not_asked": _denied(facts, ("quota", "statistics")),
    }
    if points is not None:
        peak = _ses_rates.peak([point for point in points if point.start >= now - DAY])
        evidence["peak_rate"] = round(peak, 2)
        evidence["parallel_fits"] = _ses_rates.parallel_that_fits(limits["rate"], parameters["mail_seconds"], facts["parallel"], peak)
        if not unlimited:
            told = _ses_rates.forecast(points, now, limits["used"], limits["limit"], parameters["forecast_hours"])
            rounded = {key: None if value is None else round(value, 1) for key, value in told._asdict().items() if key != "unusual"}
            evidence["forecast"] = _filled({**rounded, "unusual": told.unusual or None})
    elif answers_of(facts, "statistics")["state"] != "denied":
        evidence["not_asked"].append(f"ses:GetSendStatistics: {answers_of(facts, 'statistics')['state']}")
    return _filled(evidence)


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
    """Say whether bounces, complaints and rejects are over the lines, or rising before they reach them."""
    check = "ses.reputation"
    facts, now = asked.read(FACTS), asked.now
    points = _points(facts, now)
    seen, missing = _cloudwatch(facts)
    if points is None and not seen:
        return [_cannot(check, facts, "statistics", facts["region"])]
    notes = [*_denied(facts, ("statistics", "reputation")), *missing]
    shared = {"region": facts["region"], "not_asked": notes}
    found = [finding for kind in _KINDS for finding in _kind(check, asked.parameters, shared, points or [], seen, now, kind)]
    rates = rates_of(points or [], now)
    return found or [ok(check, facts["region"], evidence=_filled({**shared, "rates": rates, "cloudwatch": seen}))]


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
    data = _data(facts, "reputation")
    if data is None:
        state = answers_of(facts, "reputation")["state"]
        return {}, [] if state == "denied" else [f"cloudwatch:GetMetricData: {state}"]
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
    evidence = _filled({**shared, "rates": rates_of(points, now), "cloudwatch": seen.get(label)})
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
        "usual": round(rise.usual_rate, 3),
        "usual_count": rise.usual_count,
        "usual_attempts": rise.usual_attempts,
        "chance": float(f"{rise.chance:.1e}"),
        "test": "Fisher's exact test, one side",
    }
    value = round(rise.rate, 3)
    threshold = round(2 * rise.usual_rate, 3)
    return [fault(rising_code, check, shared["region"], evidence={**evidence, **numbers}, value=value, threshold=threshold, unit="%")]


# --- ses.key


def key(asked: Asked) -> list[Finding]:
    """Say whether the key is taken, may send and no more, and how old it is; and whether the clock is right."""
    check = "ses.key"
    facts, parameters = asked.read(FACTS), asked.parameters
    offset = facts["offset_s"]
    refused = refusal(facts)
    if refused == "ses.clock" or (offset is not None and abs(offset) >= parameters["clock_seconds"]):
        evidence = _filled({"offset": offset, "said": _said(facts, "clock"), "direction": _direction(offset)})
        return [fault("ses.clock", check, "", evidence=evidence, value=offset, threshold=parameters["clock_seconds"], unit="s")]
    if refused:
        return _refused(check, facts, refused)
    found = [*_may_send(check, facts), *_too_wide(check, facts), *_old(check, parameters, facts, asked.now)]
    if not found and answers_of(facts, "caller")["state"] != "ok":
        return [_cannot(check, facts, "caller", SENDING_KEY)]
    return found or [ok(check, SENDING_KEY, evidence=_key_evidence(facts, asked.now))]


def _said(facts: Mapping[str, Any], state: str) -> str:
    return next((answer["said"] for answer in facts["answers"].values() if answer["state"] == state), "")


def _direction(offset: float | None) -> str:
    return "" if offset is None else "ahead" if offset > 0 else "behind"


def _refused(check: str, facts: Mapping[str, Any], code: str) -> list[Finding]:
    sender = answers_of(facts, "sender")
    mine = "sender" if sender["state"] in _REFUSED else "caller"
    answer = answers_of(facts, mine)
    asking = mine == "caller" and not facts["own_key"]
    subject = "asking key" if asking else SENDING_KEY
    reason = {"expired": "expired", "secret": "secret"}.get(answer["state"], "unknown_key")
    evidence = {
        "reason": reason,
        "driver_code": answer["code"],
        "said": answer["said"],
        "key_ends_in": facts["key_id"],
        "env_file": facts["env_file"],
        "user": (facts.get("active") or {}).get("user"),
        "region": facts["region"],
        "not_asked": _denied(facts, ("last_used", "keys")),
    }
    return [fault(code, check, subject, evidence=_filled(evidence))]


def _key_evidence(facts: Mapping[str, Any], now: float) -> dict[str, Any]:
    caller = _data(facts, "caller" if facts["own_key"] else "sender") or {}
    active = facts.get("active") or {}
    last = (_data(facts, "last_used") or {}).get("AccessKeyLastUsed") or {}
    age = None if not active.get("created") else round((now - active["created"]) / DAY)
    return _filled(
        {
            "arn": caller.get("Arn"),
            "account": caller.get("Account"),
            "user": active.get("user"),
            "status": active.get("status"),
            "age_days": age,
            "key_ends_in": facts["key_id"],
            "last_used": {"service": last.get("ServiceName"), "region": last.get("Region"), "days": _days_since(last, now)},
            "offset": facts["offset_s"],
            "not_asked": _denied(facts, ("last_used", "keys", "simulated")),
        }
    )


def _days_since(last: Mapping[str, Any], now: float) -> int | None:
    return round((now - last["LastUsedDate"]) / DAY) if last.get("LastUsedDate") else None


def _decisions(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return by action whether the policies allow it; what depends on the mail itself (conditions) is left out."""
    results = (_data(facts, "simulated") or {}).get("EvaluationResults") or []
    return {
        entry["EvalActionName"]: entry["EvalDecision"]
        for entry in results
        if not (entry["EvalDecision"] == "implicitDeny" and entry.get("MissingContextValues"))
    }


def _may_send(check: str, facts: Mapping[str, Any]) -> list[Finding]:
    decisions = _decisions(facts)
    lacking = [action for action in SENDING if decisions.get(action, "allowed") != "allowed"]
    if not lacking:
        return []
    explicit = [action for action in lacking if decisions[action] == "explicitDeny"]
    evidence = {"lacking": lacking, "explicit": explicit, "arn": _sender_arn(facts), "region": facts["region"]}
    return [fault("ses.access_denied", check, SENDING_KEY, evidence=_filled(evidence), value=len(lacking), unit="actions")]


def _sender_arn(facts: Mapping[str, Any]) -> str:
    return str((_data(facts, "caller" if facts["own_key"] else "sender") or {}).get("Arn") or "")


def _too_wide(check: str, facts: Mapping[str, Any]) -> list[Finding]:
    arn = _sender_arn(facts)
    if arn.endswith(":root"):
        return [fault("ses.policy_too_wide", check, SENDING_KEY, evidence={"reason": "root", "arn": arn, "rights": []})]
    decisions = _decisions(facts)
    rights = [action for action in BEYOND if decisions.get(action) == "allowed"]
    if not rights:
        return []
    evidence = {"reason": "rights", "rights": rights[:MOST], "arn": arn, "asked": len(BEYOND)}
    return [fault("ses.policy_too_wide", check, SENDING_KEY, evidence=_filled(evidence), value=len(rights), unit="rights")]


def _old(check: str, parameters: Mapping[str, Any], facts: Mapping[str, Any], now: float) -> list[Finding]:
    active = facts.get("active") or {}
    if not active.get("created"):
        return []
    age = round((now - active["created"]) / DAY)
    stages = (("overdue", "key_overdue_days"), ("warning", "key_warning_days"), ("advice", "key_advice_days"))
    stage = next(((name, parameters[option]) for name, option in stages if age >= parameters[option]), None)
    if stage is None:
        return []
    evidence = {**_key_evidence(facts, now), "stage": stage[0]}
    return [fault("ses.key_old", check, SENDING_KEY, evidence=evidence, value=age, threshold=stage[1], unit="days")]


# --- ses.identities


def identities(asked: Asked) -> list[Finding]:
    """Say for each identity whether SES may send from it, and whether DNS says what it must."""
    check = "ses.identities"
    facts = asked.read(FACTS)
    names = [key.partition(" ")[2] for key in facts["answers"] if key.startswith("identity ")]
    if not names:
        listed = _data(facts, "identity_list")
        if listed is None:
            return [_cannot(check, facts, "identity_list", facts["region"])]
        evidence = {"reason": "none", "region": facts["region"]}
        return [fault("ses.identity_unverified", check, facts["region"], evidence=evidence)]
    return [finding for name in sorted(names) for finding in _identity(check, facts, name)]


def _identity(check: str, facts: Mapping[str, Any], name: str) -> list[Finding]:
    answer = answers_of(facts, f"identity {name}")
    shared = {"region": facts["region"], "identity": name}
    if answer["state"] != "ok":
        if answer.get("code") in ("NotFoundException", "NotFound"):
            return [fault("ses.identity_unverified", check, name, evidence={**shared, "reason": "missing"})]
        return [_cannot(check, facts, f"identity {name}", name)]
    data = answer["data"]
    found = []
    if not data.get("VerifiedForSendingStatus"):
        evidence = {**shared, "reason": "unverified", "status": str(data.get("VerificationStatus") or "")}
        found.append(fault("ses.identity_unverified", check, name, evidence=_filled(evidence)))
    if "@" not in name:
        found += [
            *_spf(check, facts, name, shared),
            *_dkim(check, facts, name, data, shared),
            *_mail_from(check, facts, name, data, shared),
        ]
    return found or [ok(check, name, evidence=_filled({**shared, "dmarc": dmarc_of(facts, name)}))]


def _records(facts: Mapping[str, Any], name: str, kind: str) -> Mapping[str, Any]:
    return facts["dns"].get(f"{name} {kind}") or {"state": "late", "values": [], "said": "not asked"}


def _unasked(check: str, name: str, kind: str, answer: Mapping[str, Any]) -> Finding:
    what = "did not answer in time" if answer["state"] == "late" else f"failed ({answer['said']})"
    return unknown(check, f"DNS {what} for {kind} of {name}; look at the resolver", subject=name)


def dmarc_of(facts: Mapping[str, Any], name: str) -> str:
    """Return the policy of DMARC (none, quarantine, reject), or what to do about it: advice, no fault."""
    answer = _records(facts, f"_dmarc.{name}", "TXT")
    record = next((value for value in answer["values"] if value.lower().startswith("v=dmarc1")), "")
    if answer["state"] in ("failed", "late"):
        return "unknown"
    if not record:
        return f"missing; advice: TXT _dmarc.{name} v=DMARC1; p=none"
    tags = dict(part.strip().partition("=")[::2] for part in record.split(";"))
    return tags.get("p", "none").strip()


def spf_problem(values: Sequence[str]) -> str:
    """Return what is wrong with the SPF among TXT records: missing, several, without (the include), "" for nothing."""
    records = [value for value in values if value.lower() == "v=spf1" or value.lower().startswith("v=spf1 ")]
    if not records:
        return "missing"
    if len(records) > 1:
        return "several"
    words = [word.lower().lstrip("+") for word in records[0].split()]
    return "" if SPF_INCLUDE in words else "without"


def _spf(check: str, facts: Mapping[str, Any], name: str, shared: Mapping[str, Any]) -> list[Finding]:
    answer = _records(facts, name, "TXT")
    if answer["state"] in ("failed", "late"):
        return [_unasked(check, name, "TXT", answer)]
    problem = spf_problem(answer["values"])
    if not problem:
        return []
    has = [value for value in answer["values"] if value.lower().startswith("v=spf1")]
    evidence = {**shared, "reason": problem, "record": f"TXT {name}", "wanted": "v=spf1 include:amazonses.com ~all", "has": has[:MOST]}
    return [fault("ses.spf", check, name, evidence=_filled({**evidence, "dmarc": dmarc_of(facts, name)}))]


def _dkim(check: str, facts: Mapping[str, Any], name: str, data: Mapping[str, Any], shared: Mapping[str, Any]) -> list[Finding]:
    from ._ses import dkim_zone, tokens

    zone = dkim_zone(data)
    missing, has = [], []
    for token in tokens(data):
        record, wanted = f"{token}._domainkey.{name}", f"{token}.{zone}"
        answer = _records(facts, record, "CNAME")
        if answer["state"] in ("failed", "late"):
            return [_unasked(check, name, f"CNAME ({record})", answer)]
        if [value.lower() for value in answer["values"]] != [wanted.lower()]:
            missing.append(f"CNAME {record} {wanted}")
            has += answer["values"]
    dkim = data.get("DkimAttributes") or {}
    status = str(dkim.get("Status") or "")
    if missing:
        reason = "records"
    elif status not in ("", "SUCCESS"):
        reason = "status"
    elif dkim and not dkim.get("SigningEnabled", True):
        reason = "switched_off"
    else:
        return []
    evidence = {**shared, "reason": reason, "status": status, "missing": missing, "has": has[:MOST]}
    return [
        fault(
            "ses.dkim", check, name, evidence=_filled(evidence), value=len(missing) if missing else None, unit="records" if missing else ""
        )
    ]


def _mail_from(check: str, facts: Mapping[str, Any], name: str, data: Mapping[str, Any], shared: Mapping[str, Any]) -> list[Finding]:
    settings = data.get("MailFromAttributes") or {}
    domain = settings.get("MailFromDomain")
    if not domain:
        return []
    exchange, texts = _records(facts, domain, "MX"), _records(facts, domain, "TXT")
    for kind, answer in (("MX", exchange), ("TXT", texts)):
        if answer["state"] in ("failed", "late"):
            return [_unasked(check, name, f"{kind} ({domain})", answer)]
    host = f"feedback-smtp.{facts['region']}.amazonses.com"
    missing = []
    if host not in [value.split()[-1].rstrip(".").lower() for value in exchange["values"]]:
        missing.append(f"MX {domain} 10 {host}")
    if spf_problem(texts["values"]):
        missing.append(f"TXT {domain} v=spf1 include:amazonses.com ~all")
    status = str(settings.get("MailFromDomainStatus") or "")
    if not missing and status in ("", "SUCCESS"):
        return []
    has = [*exchange["values"], *texts["values"]][:MOST]
    behaviour = str(settings.get("BehaviorOnMxFailure") or "")
    evidence = {**shared, "domain": domain, "status": status, "missing": missing, "has": has, "on_failure": behaviour}
    return [fault("ses.mail_from", check, name, evidence=_filled(evidence))]
