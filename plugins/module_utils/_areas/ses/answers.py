# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the checks of SES share: how an answer of the reading is looked up, and what is said where there is none. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..._core.finding import Finding, unknown
from ..._shared import rates as _ses_rates
from ..._shared.rates import Point
from .aws_actions import ACTIONS

FACTS = "ses.facts"
DAY = 86400.0
MOST = 5
SENDING_KEY = "sending key"
_SERVICES = {"ses": "SES", "iam": "IAM", "sts": "STS", "cloudwatch": "CloudWatch"}
SES_QUESTIONS = ("account", "quota", "statistics", "identity_list")
REFUSED = {"key": "ses.key_invalid", "expired": "ses.key_invalid", "secret": "ses.key_invalid", "clock": "ses.clock"}


def answers_of(facts: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return an answer; one that did not come in time is late."""
    action = ACTIONS.get(name.partition(" ")[0], "")
    return facts["answers"].get(name) or {"state": "late", "action": action, "code": "", "said": ""}


def data_of(facts: Mapping[str, Any], name: str) -> Any:
    answer = answers_of(facts, name)
    return answer.get("data") if answer["state"] == "ok" else None


def cannot(check: str, facts: Mapping[str, Any], name: str, subject: str = "") -> Finding:
    """Say why a question has no answer; the finding that explains it is named where there is one."""
    answer = answers_of(facts, name)
    state, code = answer["state"], answer.get("code") or ""
    said = f" ({': '.join(text for text in (code, answer.get('said')) if text)})" if code or answer.get("said") else ""
    if state == "denied":
        return unknown(check, f"the key may not call {answer['action']}; allow it in the policy of the key that asks", subject=subject)
    if state in REFUSED:
        told = refused(facts)
        blocked = told.code if told and (told.sending or told.code == "ses.clock") else ""
        return unknown(check, f"AWS refuses the key to ask with{said}", blocked_by=blocked, subject=subject)
    service = _SERVICES.get(answer["action"].partition(":")[0], "AWS")
    silent = "ses.unreachable" if ses_is_silent(facts) else ""
    if state == "unreachable":
        return unknown(check, f"{service} cannot be reached{said}", blocked_by=silent, subject=subject)
    if state == "late":
        reason = f"{service} did not answer in time; give more of it (timeout), or look at the network"
        return unknown(check, reason, code="run.check_timeout", blocked_by=silent, subject=subject)
    if state == "skipped":
        return unknown(check, f"{answer['action']} was not asked{said}", subject=subject)
    if state == "throttled":
        return unknown(check, f"{service} throttles the questions of this check, also when asked again{said}", subject=subject)
    if state == "server":
        return unknown(check, f"{service} has a fault of its own{said}", subject=subject)
    return unknown(check, f"{service} gave no usable answer{said}", subject=subject)


def of_ses(facts: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the answers of SES itself; IAM, STS and CloudWatch have other places, and a firewall may open only these."""
    return {name: answer for name, answer in facts["answers"].items() if name in SES_QUESTIONS or name.startswith("identity ")}


def ses_is_silent(facts: Mapping[str, Any]) -> bool:
    """Return whether nothing at all came from SES, not even a refusal."""
    return all(answer["state"] in ("unreachable", "late") for answer in of_ses(facts).values())


@dataclass(frozen=True)
class Refusal:
    """AWS takes a key not. code: what that means. sending: whether it is the key that sends, or only that to ask with."""

    code: str
    sending: bool
    answer: Mapping[str, Any]


def refused(facts: Mapping[str, Any]) -> Refusal | None:
    """Return the first refusal of a key, that of the sending key before that of another one to ask with; None when AWS takes them.

    STS is asked about both. Where it cannot be reached, SES's own answers tell of the key to ask with.
    """
    asking = [answers_of(facts, "caller"), *of_ses(facts).values()]
    for answer, sending in ((answers_of(facts, "sender"), True), *((one, bool(facts["own_key"])) for one in asking)):
        if answer["state"] in REFUSED:
            inactive = sending and (facts.get("active") or {}).get("status") == "Inactive" and answer["state"] != "clock"
            return Refusal("ses.key_inactive" if inactive else REFUSED[answer["state"]], sending, answer)
    return None


def not_told(facts: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Name the questions that have no answer, each with the reason, as evidence.not_asked."""
    found = []
    for answer in (answers_of(facts, name) for name in names):
        if answer["state"] not in ("ok", "needless"):
            code = f" ({answer['code']})" if answer["state"] == "failed" and answer.get("code") else ""
            found.append(f"{answer['action']}: {'not allowed' if answer['state'] == 'denied' else answer['state']}{code}")
    return list(dict.fromkeys(found))


def taken_elsewhere(facts: Mapping[str, Any]) -> bool:
    """Return whether AWS takes the key to ask with at another service: then a region that the account has not opted in to refuses it."""
    told = (answers_of(facts, name)["state"] for name in ("caller", "last_used", "keys", "simulated", "rights", "reputation"))
    return bool({"ok", "denied"} & set(told))


def whole(number: float) -> float:
    """Return 5 for 5.0, as texts say it."""
    return int(number) if float(number).is_integer() else number


def filled(evidence: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in evidence.items() if value not in (None, "", [], {})}


def points_of(facts: Mapping[str, Any], now: float) -> list[Point] | None:
    data = data_of(facts, "statistics")
    return None if data is None else _ses_rates.points_of(data.get("SendDataPoints") or [], now)
