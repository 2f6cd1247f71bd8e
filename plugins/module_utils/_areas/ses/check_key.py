# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is concluded about the key that sends: taken, allowed to send and no more, young enough, the clock right. Pure functions.

Rules: manual 1 sections 7 and 13, manual 2 section 8.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..._core.finding import Finding, ok, unknown
from ..._core.source import Asked
from .answers import DAY, FACTS, MOST, SENDING_KEY, Refusal, answers_of, cannot, data_of, filled, not_told, refused, taken_elsewhere, whole
from .aws_actions import BEYOND, SENDING
from .faults import fault


def key(asked: Asked) -> list[Finding]:
    """Say whether the key is taken, may send and no more, and how old it is; and whether the clock is right."""
    check = "ses.key"
    facts, parameters = asked.read(FACTS), asked.parameters
    offset = facts["offset_s"]
    told = refused(facts)
    if (told and told.code == "ses.clock") or (offset is not None and abs(offset) >= parameters["clock_seconds"]):
        evidence = filled({"offset": offset, "said": _said(facts, "clock"), "direction": _direction(offset)})
        return [fault("ses.clock", check, "", evidence=evidence, value=offset, threshold=parameters["clock_seconds"], unit="s")]
    if told:
        return [_refused(check, facts, told)]
    found = [*_may_send(check, facts), *_too_wide(check, facts), *_old(check, parameters, facts, asked.now)]
    unanswered = _unanswered(facts)
    if not found and unanswered:
        return [cannot(check, facts, unanswered, SENDING_KEY)]
    return found or [ok(check, SENDING_KEY, evidence=_key_evidence(facts, asked.now))]


def _unanswered(facts: Mapping[str, Any]) -> str:
    """Return the first question that leaves nothing to say of the key: neither its permission is told nor its age; "" for none.

    What a permission is missing for is named beside the answer instead, as is what does not fit the key (a role has none that grows old).
    """
    states = {name: answers_of(facts, name)["state"] for name in ("simulated", "keys")}
    if "ok" in states.values() or not set(states.values()) - {"denied", "needless"}:
        return ""
    who = "caller" if facts["own_key"] else "sender"
    return next(name for name in (who, *states) if answers_of(facts, name)["state"] not in ("ok", "denied", "needless"))


def _said(facts: Mapping[str, Any], state: str) -> str:
    return next((answer["said"] for answer in facts["answers"].values() if answer["state"] == state), "")


def _direction(offset: float | None) -> str:
    return "" if offset is None else "ahead" if offset > 0 else "behind"


def _refused_to_ask(facts: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
    """Say that mails may well go out, but nobody can look: it is the key of the monitoring that AWS does not take."""
    place = facts["asked_with"] or "the environment or the instance role"
    return (
        f"AWS refuses the key to ask with, not the one that sends ({answer['code']}: {answer['said']}); it ends in "
        f"{facts['asking_key_id']} and comes from {place}: renew it there"
    )


def _refused(check: str, facts: Mapping[str, Any], refusal: Refusal) -> Finding:
    answer = refusal.answer
    if not refusal.sending:
        return unknown(check, _refused_to_ask(facts, answer), subject="asking key")
    reason = {"expired": "expired", "secret": "secret"}.get(answer["state"], "unknown_key")
    if reason == "unknown_key" and facts["own_key"] and taken_elsewhere(facts):
        reason = "region"
    evidence = {
        "reason": reason,
        "driver_code": answer["code"],
        "said": answer["said"],
        "key_ends_in": facts["key_id"],
        "env_file": facts["env_file"],
        "user": (facts.get("active") or {}).get("user"),
        "region": facts["region"],
        "not_asked": not_told(facts, ("last_used", "keys")),
    }
    return fault(refusal.code, check, SENDING_KEY, evidence=filled(evidence))


def _key_evidence(facts: Mapping[str, Any], now: float) -> dict[str, Any]:
    caller = data_of(facts, "caller" if facts["own_key"] else "sender") or {}
    active = facts.get("active") or {}
    last = (data_of(facts, "last_used") or {}).get("AccessKeyLastUsed") or {}
    age = None if not active.get("created") else round((now - active["created"]) / DAY)
    return filled(
        {
            "arn": caller.get("Arn"),
            "account": caller.get("Account"),
            "user": active.get("user"),
            "status": active.get("status"),
            "age_days": age,
            "key_ends_in": facts["key_id"],
            "last_used": {"service": last.get("ServiceName"), "region": last.get("Region"), "days": _days_since(last, now)},
            "offset": facts["offset_s"],
            "lacking": _lacking(facts),
            "looked_for": _looked_for(facts),
            "not_asked": [*not_told(facts, ("last_used", "keys", "simulated", "rights")), *_undecided(facts)],
        }
    )


def _days_since(last: Mapping[str, Any], now: float) -> int | None:
    return round((now - last["LastUsedDate"]) / DAY) if last.get("LastUsedDate") else None


@dataclass(frozen=True)
class _Decision:
    """What the policies say of one action on one resource. missing: what only the real request has and the decision depends on."""

    action: str
    resource: str
    said: str
    missing: tuple[str, ...]

    @property
    def open(self) -> str:
        """Say on what a denial still depends: a condition (aws:SourceIp), or the identity where none is known; "" for nothing."""
        if self.missing:
            return f"depends on {', '.join(self.missing)} of the request"
        return "depends on the identity, and none is known" if self.resource == "*" else ""


def _decisions(facts: Mapping[str, Any], question: str) -> list[_Decision]:
    """Return what a simulation said; where it was about resources, their own decisions and not the strictest of all (IAM, EvaluationResult)."""
    found = []
    for entry in (data_of(facts, question) or {}).get("EvaluationResults") or []:
        for one in entry.get("ResourceSpecificResults") or [entry]:
            said = one.get("EvalResourceDecision") or entry["EvalDecision"]
            missing = tuple(one.get("MissingContextValues") or ())
            found.append(_Decision(entry["EvalActionName"], one.get("EvalResourceName") or "*", said, missing))
    return found


def _sending(facts: Mapping[str, Any], action: str) -> tuple[str, str]:
    """Return (allowed, explicitDeny, implicitDeny or open) and on what it depends; allowed when it is so for one identity."""
    told = [decision for decision in _decisions(facts, "simulated") if decision.action == action]
    if not told or any(decision.said == "allowed" for decision in told):
        return "allowed", ""
    depends = next((decision.open for decision in told if decision.open), "")
    return ("open", depends) if depends else (told[0].said, "")


def _undecided(facts: Mapping[str, Any]) -> list[str]:
    """Name the sending actions that are open and on what they depend, as evidence.not_asked."""
    told = {action: _sending(facts, action) for action in SENDING}
    return [f"{action}: {depends}" for action, (_said, depends) in told.items() if depends]


def _lacking(facts: Mapping[str, Any]) -> list[str]:
    return [action for action in SENDING if _sending(facts, action)[0] not in ("allowed", "open")]


def _may_send(check: str, facts: Mapping[str, Any]) -> list[Finding]:
    """Report a key that may send in no way. A worker needs one of the two actions only, and its log tells if it is the other."""
    lacking = _lacking(facts)
    if set(lacking) != set(SENDING):
        return []
    explicit = [action for action in lacking if _sending(facts, action)[0] == "explicitDeny"]
    evidence = {"lacking": lacking, "explicit": explicit, "arn": _sender_arn(facts), "region": facts["region"]}
    return [fault("ses.access_denied", check, SENDING_KEY, evidence=filled(evidence), value=len(lacking), unit="actions")]


def _sender_arn(facts: Mapping[str, Any]) -> str:
    return str((data_of(facts, "caller" if facts["own_key"] else "sender") or {}).get("Arn") or "")


def _too_wide(check: str, facts: Mapping[str, Any]) -> list[Finding]:
    arn = _sender_arn(facts)
    if arn.endswith(":root"):
        return [fault("ses.policy_too_wide", check, SENDING_KEY, evidence={"reason": "root", "arn": arn, "rights": []})]
    rights = [decision.action for decision in _decisions(facts, "rights") if decision.said == "allowed"]
    if not rights:
        return []
    evidence = {"reason": "rights", "rights": rights[:MOST], "arn": arn, "asked": len(BEYOND), "looked_for": _looked_for(facts)}
    return [fault("ses.policy_too_wide", check, SENDING_KEY, evidence=filled(evidence), value=len(rights), unit="rights")]


def _looked_for(facts: Mapping[str, Any]) -> str:
    """Say how far the look at other rights went: it is a sample, and no proof that there are none."""
    if data_of(facts, "rights") is None:
        return ""
    return f"a sample of {len(BEYOND)} other rights, on all resources (*): {', '.join(BEYOND)}"


def _old(check: str, parameters: Mapping[str, Any], facts: Mapping[str, Any], now: float) -> list[Finding]:
    active = facts.get("active") or {}
    if not active.get("created"):
        return []
    age = round((now - active["created"]) / DAY)
    stages = (("overdue", "key_overdue_days"), ("warning", "key_warning_days"), ("advice", "key_advice_days"))
    stage = next(((name, parameters[option]) for name, option in stages if age >= parameters[option]), None)
    if stage is None:
        return []
    evidence = {**_key_evidence(facts, now), "stage": stage[0], "overdue_days": whole(parameters["key_overdue_days"])}
    return [fault("ses.key_old", check, SENDING_KEY, evidence=evidence, value=age, threshold=stage[1], unit="days")]
