# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``logsdb.reach``: LogsDB must be monitored, because it shows the state of everything else (M2-11)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._core.check import Check
from ..._core.finding import Finding, held_back, ok
from ..._core.source import Asked
from ..._shared.sql_dialects import DIALECTS
from .faults import fault
from .read_facts import FACTS, READING_PARAMETERS, Facts

_CHECK = "logsdb.reach"
PARAMETERS = READING_PARAMETERS


def judge(asked: Asked) -> list[Finding]:
    """Report whether LogsDB can be reached, logged in to, and read."""
    facts: Facts = asked.read("logsdb.facts")
    given = asked.parameters
    where = {name: given[name] for name in ("dialect", "host", "port", "database", "user") if given.get(name)}
    if facts["state"] == "up":
        absent = sorted(name.upper() for name, state in facts["tables"].items() if state == "missing")
        evidence = {**where, "server": facts["server"], "connect_ms": facts["connect_ms"], "optional_tables_missing": absent}
        return [ok(_CHECK, _subject(given), evidence=evidence)]
    evidence = {
        **where,
        "stage": facts["stage"],
        "reason": facts["reason"],
        "said": facts["said"],
        "held_since": facts["held_since"],
        "waited": given["connect_within"],
    }
    known = {name: value for name, value in evidence.items() if value not in (None, "")}
    found = [fault("logsdb.unreachable", _CHECK, _subject(given), evidence=known)]
    if facts["held_since"]:
        held = {"user": given.get("user") or "", "since": facts["held_since"], "forget": "stack_logsdb_forget_refused"}
        found.append(held_back(_CHECK, _subject(given), known_as="logsdb.unreachable", **held))
    return found


def _subject(parameters: Mapping[str, Any]) -> str:
    """Return host and port, as the check of outbound connections names them; the database where there is no host."""
    port = parameters.get("port") or DIALECTS[parameters["dialect"]].port
    return f"{parameters['host']}:{port}" if parameters.get("host") else str(parameters.get("database") or "")


CHECK = Check(_CHECK, "Can LogsDB be reached, logged into and read?", judge, (FACTS,), PARAMETERS, runs_on="checker")
