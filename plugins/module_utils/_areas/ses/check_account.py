# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ses.account. Pure functions of one reading (product facts, sending)."""

from __future__ import annotations

from ..._core.finding import Finding, ok
from ..._core.source import Asked
from .answers import FACTS, cannot, data_of
from .faults import fault


def account(asked: Asked) -> list[Finding]:
    """Say whether AWS lets this account send: not paused, not on probation, out of the sandbox."""
    check = "ses.account"
    facts = asked.read(FACTS)
    data = data_of(facts, "account")
    region = facts["region"]
    if data is None:
        return [cannot(check, facts, "account", region)]
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
