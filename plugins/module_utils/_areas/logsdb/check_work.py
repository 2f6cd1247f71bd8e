# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``logsdb.work``: the work that waits and runs, for other checks (AUTO_RUN_LOG: M2-5)."""

from __future__ import annotations

from datetime import datetime

from ..._core.check import Check
from ..._core.finding import Finding, ok, unknown
from ..._core.source import Asked
from .read_facts import FACTS, READING_PARAMETERS, Facts

_CHECK = "logsdb.work"
_AHEAD = 600.0  # seconds that a time of LogsDB may be in the future; beyond that the zone is wrong
PARAMETERS = READING_PARAMETERS


def judge(asked: Asked) -> list[Finding]:
    """Report the work that waits and runs. Other checks are given the evidence as ``work``."""
    facts: Facts = asked.read("logsdb.facts")
    if facts["state"] != "up":
        why = f"LogsDB cannot be used ({facts['stage']}: {facts['reason']})"
        if facts["held_since"]:
            why += f"; refused at {facts['held_since']}, it is tried once more with stack_logsdb_forget_refused=true"
        return [unknown(_CHECK, why, blocked_by="logsdb.unreachable")]
    found = {name: value for name, value in facts["work"].items() if name != "not_asked" or value}
    if found["waiting"] is None or found["open_runs"] is None:
        return [unknown(_CHECK, "LogsDB did not answer: " + "; ".join(facts["work"].get("not_asked") or ["no reason given"]))]
    ahead = _seconds(facts["work"]["last_activity"]) - asked.now
    if ahead > _AHEAD:
        zone = asked.parameters["timezone"]
        why = f"the times in LogsDB lie {ahead / 3600:.1f} h in the future when read as {zone}; give the right timezone"
        return [unknown(_CHECK, why)]
    return [ok(_CHECK, evidence=found)]


def _seconds(stamp: str | None) -> float:
    """Return a time (RFC 3339) as epoch seconds, 0 when there is none."""
    return datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp() if stamp else 0.0


CHECK = Check(
    _CHECK,
    "What work waits or runs, and when did the worker last do something?",
    judge,
    (FACTS,),
    PARAMETERS,
    runs_on="checker",
)
