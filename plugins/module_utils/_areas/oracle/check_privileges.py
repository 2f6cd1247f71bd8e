# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``oracle.privileges``: the rights of each account. Tank needs SELECT and UPDATE (M2-6), and least privilege (product facts)."""

from __future__ import annotations

from typing import Any

from ..._core.check import Check
from ..._core.finding import Finding, ok, unknown
from ..._core.source import Asked
from ..._shared.oracle.facts import AccountFacts, Answer
from ..._shared.oracle.session import MOST_NAMES
from .faults import fault
from .read_targets import READING_PARAMETERS, TARGETS, TargetsFacts
from .unusable import unusable

_CHECK = "oracle.privileges"
_NEEDED = ("SELECT", "UPDATE")

PARAMETERS: dict[str, dict[str, Any]] = {
    **READING_PARAMETERS,
    "allowed": {
        "type": "list",
        "elements": "str",
        "default": [],
        "description": "Rights besides those that sending mail needs which the account may have, such as CREATE VIEW.",
    },
}


def judge(asked: Asked) -> list[Finding]:
    """Report for each target whether its account lacks a right that Tank needs, or has one that Tank does not need."""
    facts: TargetsFacts = asked.read("oracle.targets")
    allowed = {name.upper() for name in asked.parameters["allowed"]}
    return [finding for answer in facts["targets"] for finding in _about(answer, facts["driver"], allowed)]


def _about(answer: Answer, driver: str, allowed: set[str]) -> list[Finding]:
    name = answer["name"]
    if answer["state"] != "up":
        finding = unusable(_CHECK, answer, driver)
        return [unknown(_CHECK, f"{name} cannot be used", blocked_by=finding.code, subject=name)]
    facts = answer["facts"]
    where = {"place": answer["place"], "database": answer["database"], "user": answer["user"]}
    not_asked = [*facts["not_asked"], *_untried(facts)]
    evidence = {**{key: value for key, value in where.items() if value}, **({"not_asked": not_asked} if not_asked else {})}
    found = []
    lacking = facts.get("lacking")
    if lacking:
        why = {"reason": "statements", "driver_code": lacking[0]["driver_code"], "lacking": lacking}
        found.append(fault("oracle.no_privilege", _CHECK, name, evidence={**evidence, **why}))
    too_much = [right for right in facts.get("too_much") or [] if right.upper() not in allowed]
    if too_much:
        rights = {**evidence, "rights": too_much[:MOST_NAMES], "roles": facts["roles"]}
        shown = {key: value for key, value in rights.items() if value}
        found.append(fault("oracle.too_much_privilege", _CHECK, name, evidence=shown, value=len(too_much), unit="rights"))
    return found or [ok(_CHECK, name, evidence=evidence)]


def _untried(facts: AccountFacts) -> list[str]:
    """Return a note about rights that Tank needs and that no statement of the target tries."""
    if "tried" not in facts:
        return []  # nothing was read after the query, which not_asked has already
    lacking = [word for word in _NEEDED if word not in facts["tried"]]
    return [f"{' and '.join(lacking)}: none of the target's query and statements tries it"] if lacking else []


CHECK = Check(_CHECK, "May each account do what Tank needs, and no more?", judge, (TARGETS,), PARAMETERS, driver="oracledb")
