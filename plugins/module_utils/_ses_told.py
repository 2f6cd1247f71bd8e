# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the checks of SES share: how an answer of the reading is looked up, and what is said where there is none. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ._finding import Finding, unknown

FACTS = "ses.facts"
DAY = 86400.0
MOST = 5
SENDING_KEY = "sending key"
SES_QUESTIONS = ("account", "quota", "statistics", "identity_list")
REFUSED = {"key": "ses.key_invalid", "expired": "ses.key_invalid", "secret": "ses.key_invalid", "clock": "ses.clock"}


def answers_of(facts: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return an answer; one that did not come in time is late."""
    return facts["answers"].get(name) or {"state": "late", "action": "", "code": "", "said": ""}


def data_of(facts: Mapping[str, Any], name: str) -> Any:
    answer = answers_of(facts, name)
    return answer.get("data") if answer["state"] == "ok" else None


def cannot(check: str, facts: Mapping[str, Any], name: str, subject: str = "") -> Finding:
    """Say why a question has no answer; the finding that explains it is named where there is one."""
    answer = answers_of(facts, name)
    state, code = answer["state"], answer.get("code") or ""
    said = f" ({code}: {answer['said']})" if answer.get("said") else f" ({code})" if code else ""
    if state == "denied":
        return unknown(check, f"the key may not call {answer['action']}; allow it in the policy of the key that asks", subject=subject)
    if state in REFUSED:
        return unknown(check, f"AWS refuses the key{said}", blocked_by=refusal(facts) or REFUSED[state], subject=subject)
    if state == "unreachable":
        return unknown(check, f"SES cannot be reached{said}", blocked_by="ses.unreachable", subject=subject)
    if state == "late":
        late = unknown(check, "AWS did not answer in time; give more of it (timeout), or look at the network", code="run.check_timeout")
        blocked = {"blocked_by": "ses.unreachable"} if ses_is_silent(facts) else {}
        return replace(late, subject=subject, evidence={**late.evidence, **blocked})
    if state == "throttled":
        return unknown(check, f"AWS throttles the questions of this check, also when asked again{said}", subject=subject)
    if state == "server":
        return unknown(check, f"AWS has a fault of its own{said}", subject=subject)
    return unknown(check, f"AWS gave no usable answer{said}", subject=subject)


def of_ses(facts: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the answers of SES itself; IAM, STS and CloudWatch have other places, and a firewall may open only these."""
    return {name: answer for name, answer in facts["answers"].items() if name in SES_QUESTIONS or name.startswith("identity ")}


def ses_is_silent(facts: Mapping[str, Any]) -> bool:
    """Return whether nothing at all came from SES, not even a refusal."""
    return all(answer["state"] in ("unreachable", "late") for answer in of_ses(facts).values())


def refusal(facts: Mapping[str, Any]) -> str:
    """Return the code of what is wrong with the keys, "" when AWS takes them."""
    for name in ("sender", "caller"):
        state = answers_of(facts, name)["state"]
        if state == "clock":
            return "ses.clock"
        if state in REFUSED:
            inactive = (facts.get("active") or {}).get("status") == "Inactive" and (name == "sender" or facts["own_key"])
            return "ses.key_inactive" if inactive else "ses.key_invalid"
    return ""


def denied(facts: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Name what could not be asked for want of a permission, as evidence.not_asked."""
    told = [answers_of(facts, name) for name in names]
    return [f"{answer['action']}: not allowed" for answer in told if answer["state"] == "denied"]


def filled(evidence: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in evidence.items() if value not in (None, "", [], {})}
