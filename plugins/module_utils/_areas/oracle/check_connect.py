# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``oracle.connect``: how far a connection to each database gets. Causes by ORA code: M1-5; the connect test: M2-6."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..._core.check import Check
from ..._core.finding import Finding, held_back, ok
from ..._core.source import Asked
from ..._shared.oracle.facts import Answer
from ..._shared.oracle.session import product_target
from .faults import fault
from .read_targets import READING_PARAMETERS, TARGETS, TargetsFacts
from .unusable import evidence_of, unusable

_CHECK = "oracle.connect"
_DAY = 86400

PARAMETERS: dict[str, dict[str, Any]] = {
    **READING_PARAMETERS,
    "slow_login": {"type": "float", "default": 1.0, "description": "Seconds from which on a login is slow."},
    "sessions_percent": {
        "type": "float",
        "default": 80.0,
        "description": "Percent of a limit of sessions or processes from which on it is near.",
    },
    "expiry_days": {"type": "float", "default": 14.0, "description": "Days before the end of the password from which on it is reported."},
}


def judge(asked: Asked) -> list[Finding]:
    """Report for each target why a connection fails, whether it is slow, and which limit is near."""
    facts: TargetsFacts = asked.read("oracle.targets")
    return [
        replace(finding, duration_ms=round(answer["ms"]))
        for answer in facts["targets"]
        for finding in _about(asked.parameters, answer, facts["driver"])
    ]


def _about(parameters: Mapping[str, Any], answer: Answer, driver: str) -> list[Finding]:
    if answer["state"] != "up":
        return [unusable(_CHECK, answer, driver), *_held_back(answer)]
    evidence = evidence_of(answer, driver)
    found = [finding for rule in (_expires, _slow, _near_the_limit) for finding in rule(parameters, answer, evidence)]
    return found or [ok(_CHECK, answer["name"], evidence=evidence)]


def _held_back(answer: Answer) -> list[Finding]:
    """Report that this run did not try a password which an earlier run was refused."""
    if answer["state"] != "held" or not answer.get("held_since"):
        return []
    known = {"user": answer["user"], "since": answer["held_since"], "known_as": answer["code"]}
    return [held_back(_CHECK, answer["name"], forget="stack_oracle_forget_refused", **known)]


def _expires(parameters: Mapping[str, Any], answer: Answer, evidence: dict[str, Any]) -> list[Finding]:
    """Report a password that expires soon: by the server's warning in the grace period, or by the account's date of expiry."""
    facts = answer["facts"]
    expires = facts.get("expires_s")
    left = None if expires is None else round(expires / _DAY, 1)
    if not facts.get("warned") and (left is None or left > parameters["expiry_days"]):
        return []
    known = {**evidence, "warned": bool(facts.get("warned")), **({} if left is None else {"days": max(0, round(left))})}
    return [fault("ORA-28002", _CHECK, answer["name"], evidence=known, value=left, threshold=parameters["expiry_days"], unit="days")]


def _slow(parameters: Mapping[str, Any], answer: Answer, evidence: dict[str, Any]) -> list[Finding]:
    """Report one finding for login and query: the one that exceeds its target by the larger factor."""
    measured = {
        "login": (answer["times"].get("login", 0.0) / 1000, parameters["slow_login"]),
        "query": (answer["times"].get("query", 0.0) / 1000, product_target(answer["rows"])),
    }
    over = {what: seconds / target for what, (seconds, target) in measured.items() if seconds > target}
    if answer.get("unfinished"):
        over["query"] = max(over.get("query", 0.0), 1.0)
    if not over:
        return []
    what = max(over, key=lambda one: over[one])
    seconds, target = measured[what]
    known = {**evidence, "what": what, "unfinished": bool(answer.get("unfinished")), "login_s": round(measured["login"][0], 2)}
    return [fault("oracle.slow", _CHECK, answer["name"], evidence=known, value=round(seconds, 2), threshold=target, unit="s")]


def _near_the_limit(parameters: Mapping[str, Any], answer: Answer, evidence: dict[str, Any]) -> list[Finding]:
    limits = [limit for limit in answer["facts"].get("sessions") or [] if limit["limit"] > 0]
    if not limits:
        return []
    nearest = max(limits, key=lambda limit: limit["used"] / limit["limit"])
    percent = round(100 * nearest["used"] / nearest["limit"], 1)
    threshold = parameters["sessions_percent"]
    if percent < threshold:
        return []
    known = {**evidence, "resource": nearest["name"], "used": nearest["used"], "limit": nearest["limit"]}
    return [fault("oracle.pool_exhausted", _CHECK, answer["name"], evidence=known, value=percent, threshold=threshold, unit="%")]


CHECK = Check(
    _CHECK,
    "How far does a connection to each database get, and is it fast enough?",
    judge,
    (TARGETS,),
    PARAMETERS,
    driver="oracledb",
)
