# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the checks of SES look up an answer of AWS, and the finding they return where there is none. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..._core.finding import Finding, unknown
from ..._shared import rates
from ..._shared.rates import Point
from .aws_actions import ACTIONS
from .facts import Answer, Facts

DAY = 86400.0
MOST = 5  # entries of a list in the evidence
SENDING_KEY = "sending key"
SES_QUERIES = ("account", "quota", "statistics", "identity_list")
REFUSED = {"key": "ses.key_invalid", "expired": "ses.key_invalid", "secret": "ses.key_invalid", "clock": "ses.clock"}
_SERVICES = {"ses": "SES", "iam": "IAM", "sts": "STS", "cloudwatch": "CloudWatch"}


def answer_to(facts: Facts, name: str) -> Answer:
    """Return the answer to a query; its state is ``late`` when none arrived in time."""
    late: Answer = {"state": "late", "action": ACTIONS.get(name.partition(" ")[0], ""), "code": "", "said": ""}
    return facts["answers"].get(name) or late


def data_of(facts: Facts, name: str) -> Any:
    """Return the data of an answer, None when the query failed."""
    answer = answer_to(facts, name)
    return answer.get("data") if answer["state"] == "ok" else None


def points_of(facts: Facts, now: float) -> list[Point] | None:
    """Return SES's sending statistics, None when SES did not return them."""
    data = data_of(facts, "statistics")
    return None if data is None else rates.points_of(data.get("SendDataPoints") or [], now)


def unanswered(check: str, facts: Facts, name: str, subject: str = "") -> Finding:
    """Return the ``unknown`` finding for a query without an answer, with the reason and the code of the finding that explains it."""
    answer = answer_to(facts, name)
    state, code = answer["state"], answer.get("code") or ""
    said = f" ({': '.join(text for text in (code, answer.get('said')) if text)})" if code or answer.get("said") else ""
    if state == "denied":
        return unknown(
            check, f"the key may not call {answer['action']}; allow it in the policy of the key that signs the queries", subject=subject
        )
    if state in REFUSED:
        refusal = refusal_of(facts)
        blocked = refusal.code if refusal and (refusal.sending or refusal.code == "ses.clock") else ""
        return unknown(check, f"AWS rejected the key that signs the queries{said}", blocked_by=blocked, subject=subject)
    service = _SERVICES.get(answer["action"].partition(":")[0], "AWS")
    silent = "ses.unreachable" if ses_is_silent(facts) else ""
    if state == "unreachable":
        return unknown(check, f"{service} cannot be reached{said}", blocked_by=silent, subject=subject)
    if state == "late":
        reason = f"{service} did not answer in time; raise timeout, or check the network"
        return unknown(check, reason, code="run.check_timeout", blocked_by=silent, subject=subject)
    if state == "skipped":
        return unknown(check, f"{answer['action']} was not called{said}", subject=subject)
    if state == "throttled":
        return unknown(check, f"{service} throttled the queries of this check, also after retries{said}", subject=subject)
    if state == "server":
        return unknown(check, f"{service} returned a server error{said}", subject=subject)
    return unknown(check, f"{service} returned no usable answer{said}", subject=subject)


def of_ses(facts: Facts) -> dict[str, Answer]:
    """Return the answers of SES alone: IAM, STS and CloudWatch have other endpoints, and a firewall may open only those."""
    return {name: answer for name, answer in facts["answers"].items() if name in SES_QUERIES or name.startswith("identity ")}


def ses_is_silent(facts: Facts) -> bool:
    """Return whether SES returned nothing at all, not even an error."""
    return all(answer["state"] in ("unreachable", "late") for answer in of_ses(facts).values())


@dataclass(frozen=True)
class Refusal:
    """AWS rejected a key.

    code: the fault. sending: whether it is the key that sends, and not only the key that signs the queries. answer: AWS's answer.
    """

    code: str
    sending: bool
    answer: Answer


def refusal_of(facts: Facts) -> Refusal | None:
    """Return the first rejection of a key, that of the sending key first; None when AWS accepts the keys.

    STS checks both keys. Where STS cannot be reached, SES's own answers show whether AWS accepts the key that signs the queries.
    """
    signing = [answer_to(facts, "caller"), *of_ses(facts).values()]
    for answer, sending in ((answer_to(facts, "sender"), True), *((one, bool(facts["own_key"])) for one in signing)):
        if answer["state"] in REFUSED:
            active = facts.get("active")
            inactive = sending and active is not None and active["status"] == "Inactive" and answer["state"] != "clock"
            return Refusal("ses.key_inactive" if inactive else REFUSED[answer["state"]], sending, answer)
    return None


def without_answer(facts: Facts, names: Sequence[str]) -> list[str]:
    """Return the actions whose queries have no answer, each with the reason, for evidence.not_asked."""
    found = []
    for answer in (answer_to(facts, name) for name in names):
        if answer["state"] not in ("ok", "needless"):
            code = f" ({answer['code']})" if answer["state"] == "failed" and answer.get("code") else ""
            found.append(f"{answer['action']}: {'not allowed' if answer['state'] == 'denied' else answer['state']}{code}")
    return list(dict.fromkeys(found))


def accepted_elsewhere(facts: Facts) -> bool:
    """Return whether another AWS service accepts the key that signs the queries.

    If one does and SES does not, the account has not enabled the region of SES.
    """
    states = {answer_to(facts, name)["state"] for name in ("caller", "last_used", "keys", "simulated", "rights", "reputation")}
    return bool({"ok", "denied"} & states)


def whole(number: float) -> float:
    """Return 5 for 5.0, as the texts print it."""
    return int(number) if float(number).is_integer() else number


def filled(evidence: Mapping[str, Any]) -> dict[str, Any]:
    """Return the evidence without its empty entries."""
    return {name: value for name, value in evidence.items() if value not in (None, "", [], {})}
