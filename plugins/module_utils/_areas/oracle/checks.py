# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is concluded about Oracle targets: pure functions of one reading.

Rules: manual 1 section 5 (causes by ORA code), manual 2 section 6 (the connect test), product facts (targets, least privilege).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..._core.errors import from_dict
from ..._core.finding import Finding, from_error, held_back, ok, unknown
from ..._core.source import Asked
from ..._shared.oracle.session import MOST_NAMES, product_target
from ..._shared.oracle.targets import TARGET_OPTIONS, TARGET_RULES
from .faults import fault

NOT_WELL = ("failed", "held", "shared")
DAY = 86400
NEEDED = ("SELECT", "UPDATE")  # what Tank does with the customer's tables
_SHOWN = (
    "place",
    "address",
    "database",
    "user",
    "stage",
    "times",
    "driver_code",
    "reason",
    "number",
    "waited",
    "held_since",
    "refused_for",
    "peer",
    "banner",
    "protocol",
    "said",
    "client",
    "version",
)

READING_PARAMETERS: dict[str, dict[str, Any]] = {
    "targets": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": TARGET_OPTIONS,
        **TARGET_RULES,
        "description": "What to ask: each with name, host, port, service or sid (or dsn), user, password_from; see oracle_connect_test.",
    },
    "timeout": {"type": "float", "default": 9.0, "description": "Seconds for all targets together; less than the deadline of the check."},
    "stage_timeout": {
        "type": "float",
        "default": 5.0,
        "description": "Seconds for one stage of one target: name, tcp, listener, login, query.",
    },
    "lib_dir": {"type": "path", "description": "Folder of Oracle's Instant Client, for thick mode. Thin mode needs none."},
    "forget_refused": {
        "type": "bool",
        "default": False,
        "description": "Forget the passwords that were refused in earlier runs, and try them once more.",
    },
}
CONNECT_PARAMETERS: dict[str, dict[str, Any]] = {
    **READING_PARAMETERS,
    "slow_login": {"type": "float", "default": 1.0, "description": "Seconds from which on a login is slow."},
    "sessions_percent": {
        "type": "float",
        "default": 80.0,
        "description": "Percent of a limit of sessions or processes from which on it is near.",
    },
    "expiry_days": {"type": "float", "default": 14.0, "description": "Days before the end of the password from which on it is reported."},
}
PRIVILEGES_PARAMETERS: dict[str, dict[str, Any]] = {
    **READING_PARAMETERS,
    "allowed": {
        "type": "list",
        "elements": "str",
        "default": [],
        "description": "Rights besides those that sending mail needs which the account may have, such as CREATE VIEW.",
    },
}


# --- oracle.connect


def connect(asked: Asked) -> list[Finding]:
    """Say for each target how far a connection gets and why no further, whether it is slow, and what is about to run out."""
    facts = asked.read("oracle.targets")
    return [
        replace(finding, duration_ms=round(answer["ms"]))
        for answer in facts["targets"]
        for finding in _connect(asked.parameters, answer, facts["driver"])
    ]


def _connect(parameters: Mapping[str, Any], answer: Mapping[str, Any], driver: str) -> list[Finding]:
    check = "oracle.connect"
    if answer["state"] != "up":
        return [_not_up(check, answer, driver), *_held_back(check, answer)]
    evidence = _evidence(answer, driver)
    advice = [_expires, _slow, _near_the_limit]
    found = [finding for look in advice for finding in look(check, parameters, answer, evidence)]
    return found or [ok(check, answer["name"], evidence=evidence)]


def _not_up(check: str, answer: Mapping[str, Any], driver: str) -> Finding:
    name, state = answer["name"], answer["state"]
    if state in NOT_WELL and answer["code"]:
        return fault(answer["code"], check, name, evidence=_evidence(answer, driver))
    if state == "wrong":
        return replace(from_error(check, from_dict(answer["error"])), subject=name)
    if state == "crashed":
        return unknown(check, answer["reason"], code="run.check_crashed", subject=name)
    if state == "late":
        where = f"in the stage {answer['stage']}" if answer["stage"] else "before the first stage"
        reason = f"the time for all targets was over {where}; give them more of it (timeout), or ask fewer"
        return _with(unknown(check, reason, code="run.check_timeout", subject=name), answer, driver)
    if state == "behind":
        reason = f"the login of {answer['refused_for']} with the same account hangs; a second one may count as another wrong password"
        return _with(unknown(check, reason, blocked_by="ORA-12170", subject=name), answer, driver)
    said = f": {answer['said']}" if answer.get("said") else ""
    reason = f"{answer['driver_code']} in the stage {answer['stage']}, which says nothing about the connection{said}"
    return _with(unknown(check, reason, subject=name), answer, driver)


def _held_back(check: str, answer: Mapping[str, Any]) -> list[Finding]:
    """Return what is told beside the refusal of an earlier run: in this one nobody asked."""
    if answer["state"] != "held" or not answer.get("held_since"):
        return []
    known = {"user": answer["user"], "since": answer["held_since"], "known_as": answer["code"]}
    return [held_back(check, answer["name"], forget="stack_oracle_forget_refused", **known)]


def _with(finding: Finding, answer: Mapping[str, Any], driver: str) -> Finding:
    return replace(finding, evidence={**_evidence(answer, driver), **finding.evidence})


def _evidence(answer: Mapping[str, Any], driver: str) -> dict[str, Any]:
    evidence = {name: answer.get(name) for name in _SHOWN}
    evidence["driver"] = driver
    evidence["mode"] = "" if answer["mode"] == "default" else answer["mode"]
    if answer["state"] == "up":
        evidence["rows"] = answer["rows"]
        evidence["not_asked"] = answer["facts"]["not_asked"]
    return {name: value for name, value in evidence.items() if value not in (None, "", [], {})}


def _expires(check: str, parameters: Mapping[str, Any], answer: Mapping[str, Any], evidence: dict[str, Any]) -> list[Finding]:
    """Report a password at its end: the server warns in the time of grace, and the account sees its date of expiry."""
    facts = answer["facts"]
    left = None if facts.get("expires_s") is None else round(facts["expires_s"] / DAY, 1)
    if not facts.get("warned") and (left is None or left > parameters["expiry_days"]):
        return []
    told = {**evidence, "warned": bool(facts.get("warned")), **({} if left is None else {"days": max(0, round(left))})}
    return [fault("ORA-28002", check, answer["name"], evidence=told, value=left, threshold=parameters["expiry_days"], unit="days")]


def _slow(check: str, parameters: Mapping[str, Any], answer: Mapping[str, Any], evidence: dict[str, Any]) -> list[Finding]:
    """One finding for login and query: the one that is further over its target."""
    name, rows = answer["name"], answer["rows"]
    measured = {
        "login": (answer["times"].get("login", 0.0) / 1000, parameters["slow_login"]),
        "query": (answer["times"].get("query", 0.0) / 1000, product_target(rows)),
    }
    over = {what: seconds / target for what, (seconds, target) in measured.items() if seconds > target}
    if answer.get("unfinished"):
        over["query"] = max(over.get("query", 0.0), 1.0)
    if not over:
        return []
    what = max(over, key=lambda one: over[one])
    seconds, target = measured[what]
    told = {**evidence, "what": what, "unfinished": bool(answer.get("unfinished")), "login_s": round(measured["login"][0], 2)}
    return [fault("oracle.slow", check, name, evidence=told, value=round(seconds, 2), threshold=target, unit="s")]


def _near_the_limit(check: str, parameters: Mapping[str, Any], answer: Mapping[str, Any], evidence: dict[str, Any]) -> list[Finding]:
    limits = [limit for limit in answer["facts"].get("sessions") or [] if limit["limit"] > 0]
    if not limits:
        return []
    nearest = max(limits, key=lambda limit: limit["used"] / limit["limit"])
    percent = round(100 * nearest["used"] / nearest["limit"], 1)
    if percent < parameters["sessions_percent"]:
        return []
    told = {**evidence, "resource": nearest["name"], "used": nearest["used"], "limit": nearest["limit"]}
    return [
        fault(
            "oracle.pool_exhausted", check, answer["name"], evidence=told, value=percent, threshold=parameters["sessions_percent"], unit="%"
        )
    ]


# --- oracle.privileges


def privileges(asked: Asked) -> list[Finding]:
    """Say for each target whether its account may do what Tank needs, and nothing that it does not need."""
    facts = asked.read("oracle.targets")
    allowed = {name.upper() for name in asked.parameters["allowed"]}
    return [finding for answer in facts["targets"] for finding in _privileges(answer, facts["driver"], allowed)]


def _untried(facts: Mapping[str, Any]) -> list[str]:
    """Name what Tank needs (manual 2 section 6: SELECT and UPDATE) and no statement of the target tries."""
    if "tried" not in facts:
        return []  # nothing was asked after the query, which is said already
    lacking = [word for word in NEEDED if word not in facts["tried"]]
    return [f"{' and '.join(lacking)}: none of the target's query and statements tries it"] if lacking else []


def _privileges(answer: Mapping[str, Any], driver: str, allowed: set[str]) -> list[Finding]:
    check, name = "oracle.privileges", answer["name"]
    if answer["state"] != "up":
        finding = _not_up(check, answer, driver)
        return [unknown(check, f"{name} cannot be used", blocked_by=finding.code, subject=name)]
    facts = answer["facts"]
    known = {key: answer[key] for key in ("place", "database", "user") if answer[key]}
    not_asked = [*facts["not_asked"], *_untried(facts)]
    evidence = {**known, **({"not_asked": not_asked} if not_asked else {})}
    found = []
    if facts.get("lacking"):
        more = {"reason": "statements", "driver_code": facts["lacking"][0]["driver_code"], "lacking": facts["lacking"]}
        found.append(fault("oracle.no_privilege", check, name, evidence={**evidence, **more}))
    too_much = [right for right in facts.get("too_much") or [] if right.upper() not in allowed]
    if too_much:
        more = {"rights": too_much[:MOST_NAMES], "roles": facts["roles"]}
        told = {key: value for key, value in {**evidence, **more}.items() if value}
        found.append(fault("oracle.too_much_privilege", check, name, evidence=told, value=len(too_much), unit="rights"))
    return found or [ok(check, name, evidence=evidence)]
