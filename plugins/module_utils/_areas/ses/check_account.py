# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ses.account: whether AWS lets the account send (product facts, sending)."""

from __future__ import annotations

from ..._core.check import Check
from ..._core.finding import Finding, ok
from ..._core.source import Asked
from .answers import data_of, unanswered
from .facts import Facts
from .faults import fault
from .parameters import READING_PARAMETERS
from .read import FACTS

PARAMETERS = READING_PARAMETERS


def judge(asked: Asked) -> list[Finding]:
    """Return the faults of the account: paused, on probation, or in the sandbox."""
    check = "ses.account"
    facts: Facts = asked.read(FACTS.name)
    data = data_of(facts, "account")
    region = facts["region"]
    if data is None:
        return [unanswered(check, facts, "account", region)]
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


CHECK = Check("ses.account", "Does AWS let this account send?", judge, (FACTS,), PARAMETERS, driver="boto3")
