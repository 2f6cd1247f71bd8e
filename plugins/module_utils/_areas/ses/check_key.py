# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ses.key: whether AWS accepts the sending key, what it may do, its age, and the clock (manual 1 sections 7 and 13, manual 2 section 8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..._core.check import Check
from ..._core.finding import Finding, ok, unknown
from ..._core.source import Asked
from .answers import (
    DAY,
    MOST,
    SENDING_KEY,
    Refusal,
    accepted_elsewhere,
    answer_to,
    data_of,
    filled,
    refusal_of,
    unanswered,
    whole,
    without_answer,
)
from .aws_actions import BEYOND, SENDING
from .facts import Answer, Facts
from .faults import fault
from .parameters import READING_PARAMETERS, number
from .read import FACTS

PARAMETERS: dict[str, dict[str, Any]] = {
    **READING_PARAMETERS,
    "key_advice_days": {
        **number(30.0, "Age in days at which a new key is recommended.", "stack_ses_key_advice_days"),
        "no_log": False,
    },
    "key_warning_days": {**number(150.0, "Age in days at which the key must be replaced soon."), "no_log": False},
    "key_overdue_days": {**number(180.0, "Age in days by which the key must have been replaced."), "no_log": False},
    "clock_seconds": number(240.0, "Seconds that the clock may differ from AWS's, which rejects at 300."),
}


def judge(asked: Asked) -> list[Finding]:
    """Return the faults of the clock, otherwise of a rejected key, otherwise of the key's permissions and age."""
    check = "ses.key"
    facts: Facts = asked.read(FACTS.name)
    parameters, offset = asked.parameters, facts["offset_s"]
    refusal = refusal_of(facts)
    if (refusal and refusal.code == "ses.clock") or (offset is not None and abs(offset) >= parameters["clock_seconds"]):
        evidence = filled({"offset": offset, "said": _said(facts, "clock"), "direction": _direction(offset)})
        return [fault("ses.clock", check, "", evidence=evidence, value=offset, threshold=parameters["clock_seconds"], unit="s")]
    if refusal:
        return [_refused(check, facts, refusal)]
    found = [*_denied(check, facts), *_too_wide(check, facts), *_old(check, parameters, facts, asked.now)]
    missing = _missing_query(facts)
    if not found and missing:
        return [unanswered(check, facts, missing, SENDING_KEY)]
    return found or [ok(check, SENDING_KEY, evidence=_key_evidence(facts, asked.now))]


def _missing_query(facts: Facts) -> str:
    """Return the first query whose failure leaves both permissions and age of the key unknown; "" where one of them is known.

    Queries that the key may not make, or that do not apply (a role has no key that ages), are reported in evidence.not_asked instead.
    """
    states = {name: answer_to(facts, name)["state"] for name in ("simulated", "keys")}
    if "ok" in states.values() or not set(states.values()) - {"denied", "needless"}:
        return ""
    return next(name for name in (_caller(facts), *states) if answer_to(facts, name)["state"] not in ("ok", "denied", "needless"))


def _caller(facts: Facts) -> str:
    """Return the query that names the owner of the sending key."""
    return "caller" if facts["own_key"] else "sender"


def _said(facts: Facts, state: str) -> str:
    return next((answer["said"] for answer in facts["answers"].values() if answer["state"] == state), "")


def _direction(offset: float | None) -> str:
    return "" if offset is None else "ahead" if offset > 0 else "behind"


def _refused_to_ask(facts: Facts, answer: Answer) -> str:
    """Return the reason for ``unknown``: AWS rejected only the key that signs the queries, so mails may still be sent."""
    place = facts["asked_with"] or "the environment or the instance role"
    return (
        f"AWS rejected the key that signs the queries, not the sending key ({answer['code']}: {answer['said']}); it ends in "
        f"{facts['asking_key_id']} and comes from {place}: renew it there"
    )


def _refused(check: str, facts: Facts, refusal: Refusal) -> Finding:
    answer = refusal.answer
    if not refusal.sending:
        return unknown(check, _refused_to_ask(facts, answer), subject="asking key")
    reason = {"expired": "expired", "secret": "secret"}.get(answer["state"], "unknown_key")
    if reason == "unknown_key" and facts["own_key"] and accepted_elsewhere(facts):
        reason = "region"
    active = facts.get("active")
    evidence = {
        "reason": reason,
        "driver_code": answer["code"],
        "said": answer["said"],
        "key_ends_in": facts["key_id"],
        "env_file": facts["env_file"],
        "user": active["user"] if active else None,
        "region": facts["region"],
        "not_asked": without_answer(facts, ("last_used", "keys")),
    }
    return fault(refusal.code, check, SENDING_KEY, evidence=filled(evidence))


def _key_evidence(facts: Facts, now: float) -> dict[str, Any]:
    caller = data_of(facts, _caller(facts)) or {}
    active = facts.get("active")
    last = (data_of(facts, "last_used") or {}).get("AccessKeyLastUsed") or {}
    return filled(
        {
            "arn": caller.get("Arn"),
            "account": caller.get("Account"),
            "user": active["user"] if active else None,
            "status": active["status"] if active else None,
            "age_days": _age(facts, now),
            "key_ends_in": facts["key_id"],
            "last_used": {"service": last.get("ServiceName"), "region": last.get("Region"), "days": _days_since(last, now)},
            "offset": facts["offset_s"],
            "lacking": _lacking(facts),
            "looked_for": _looked_for(facts),
            "not_asked": [*without_answer(facts, ("last_used", "keys", "simulated", "rights")), *_undecided(facts)],
        }
    )


def _age(facts: Facts, now: float) -> int | None:
    """Return the age of the sending key in days, None where IAM did not return it."""
    active = facts.get("active")
    return round((now - active["created"]) / DAY) if active and active["created"] else None


def _days_since(last: Mapping[str, Any], now: float) -> int | None:
    return round((now - last["LastUsedDate"]) / DAY) if last.get("LastUsedDate") else None


@dataclass(frozen=True)
class _Decision:
    """The decision of the policies about one action on one resource. missing: context keys of a real request that the decision depends on."""

    action: str
    resource: str
    decision: str
    missing: tuple[str, ...]

    @property
    def open(self) -> str:
        """On what a denial still depends: a condition (aws:SourceIp), or the identity where none is known; "" for nothing."""
        if self.missing:
            return f"depends on {', '.join(self.missing)} of the request"
        return "depends on the identity, and none is known" if self.resource == "*" else ""


def _decisions(facts: Facts, query: str) -> list[_Decision]:
    """Return the decisions of a simulation, for each resource where there are any (IAM API reference, EvaluationResult)."""
    found = []
    for entry in (data_of(facts, query) or {}).get("EvaluationResults") or []:
        for one in entry.get("ResourceSpecificResults") or [entry]:
            decision = one.get("EvalResourceDecision") or entry["EvalDecision"]
            missing = tuple(one.get("MissingContextValues") or ())
            found.append(_Decision(entry["EvalActionName"], one.get("EvalResourceName") or "*", decision, missing))
    return found


def _sending(facts: Facts, action: str) -> tuple[str, str]:
    """Return allowed, explicitDeny, implicitDeny or open, and on what an open decision depends; allowed where one identity allows it."""
    decisions = [decision for decision in _decisions(facts, "simulated") if decision.action == action]
    if not decisions or any(one.decision == "allowed" for one in decisions):
        return "allowed", ""
    depends = next((one.open for one in decisions if one.open), "")
    return ("open", depends) if depends else (decisions[0].decision, "")


def _undecided(facts: Facts) -> list[str]:
    """Return the sending actions whose decision is open, and on what they depend, for evidence.not_asked."""
    decisions = {action: _sending(facts, action) for action in SENDING}
    return [f"{action}: {depends}" for action, (_decision, depends) in decisions.items() if depends]


def _lacking(facts: Facts) -> list[str]:
    return [action for action in SENDING if _sending(facts, action)[0] not in ("allowed", "open")]


def _denied(check: str, facts: Facts) -> list[Finding]:
    """Return the fault of a key that allows none of the sending actions. A worker needs only one; if the other is denied, its log shows it."""
    lacking = _lacking(facts)
    if set(lacking) != set(SENDING):
        return []
    explicit = [action for action in lacking if _sending(facts, action)[0] == "explicitDeny"]
    evidence = {"lacking": lacking, "explicit": explicit, "arn": _sender_arn(facts), "region": facts["region"]}
    return [fault("ses.access_denied", check, SENDING_KEY, evidence=filled(evidence), value=len(lacking), unit="actions")]


def _sender_arn(facts: Facts) -> str:
    return str((data_of(facts, _caller(facts)) or {}).get("Arn") or "")


def _too_wide(check: str, facts: Facts) -> list[Finding]:
    """Return the fault of a key that allows more than sending."""
    arn = _sender_arn(facts)
    if arn.endswith(":root"):
        return [fault("ses.policy_too_wide", check, SENDING_KEY, evidence={"reason": "root", "arn": arn, "rights": []})]
    rights = [one.action for one in _decisions(facts, "rights") if one.decision == "allowed"]
    if not rights:
        return []
    evidence = {"reason": "rights", "rights": rights[:MOST], "arn": arn, "asked": len(BEYOND), "looked_for": _looked_for(facts)}
    return [fault("ses.policy_too_wide", check, SENDING_KEY, evidence=filled(evidence), value=len(rights), unit="rights")]


def _looked_for(facts: Facts) -> str:
    """Return which other rights were checked: a sample, which does not prove that there are no more."""
    if data_of(facts, "rights") is None:
        return ""
    return f"a sample of {len(BEYOND)} other rights, on all resources (*): {', '.join(BEYOND)}"


def _old(check: str, parameters: Mapping[str, Any], facts: Facts, now: float) -> list[Finding]:
    """Return the fault of a key whose age reaches the highest stage that applies: overdue, warning or advice."""
    age = _age(facts, now)
    if age is None:
        return []
    stages = (("overdue", "key_overdue_days"), ("warning", "key_warning_days"), ("advice", "key_advice_days"))
    stage = next(((name, parameters[option]) for name, option in stages if age >= parameters[option]), None)
    if stage is None:
        return []
    evidence = {**_key_evidence(facts, now), "stage": stage[0], "overdue_days": whole(parameters["key_overdue_days"])}
    return [fault("ses.key_old", check, SENDING_KEY, evidence=evidence, value=age, threshold=stage[1], unit="days")]


CHECK = Check(
    "ses.key",
    "Does AWS accept the key, may it send and nothing else, and is it recent enough?",
    judge,
    (FACTS,),
    PARAMETERS,
    driver="boto3",
)
