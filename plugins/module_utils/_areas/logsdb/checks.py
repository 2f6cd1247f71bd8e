# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked about LogsDB: pure functions of one reading.

Rules: manual 2, section 11 (LogsDB must be watched: it shows the state of everything), section 5 (AUTO_RUN_LOG).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..._core.finding import Finding, held_back, ok, unknown
from ..._core.references import LOGIN_OPTIONS
from ..._core.source import Asked
from ..._shared.sql import DIALECTS
from .faults import fault

AHEAD = 600.0  # seconds that a time of LogsDB may lie in the future before the zone is to blame

PARAMETERS: dict[str, dict[str, Any]] = {
    "dialect": {
        "type": "str",
        "default": "postgresql",
        "choices": ["postgresql", "mysql", "oracle", "sqlite"],
        "description": "Kind of database; mysql stands for MariaDB as well.",
    },
    "host": {"type": "str", "description": "Server of LogsDB, as the checker sees it; none for sqlite."},
    "port": {"type": "int", "description": "Its port, by default the usual one of the dialect."},
    "database": {"type": "str", "required": True, "description": "Name of the database; the service name for oracle, the file for sqlite."},
    "user": {"type": "str", "description": "An account that may read and nothing else."},
    "login": {
        "type": "dict",
        "options": LOGIN_OPTIONS,
        "description": "Where the checker finds the password: {file: ...}, or {env_file: ..., key: ...}. Never the password itself.",
    },
    "timezone": {"type": "str", "default": "Asia/Seoul", "description": "Zone of the times in LogsDB, which are local and do not name it."},
    "connect_within": {"type": "float", "default": 3.0, "description": "Seconds that connecting and logging in may take."},
    "answer_within": {"type": "float", "default": 2.0, "description": "Seconds that one statement may take; the database then stops it."},
    "look_back_days": {
        "type": "int",
        "default": 35,
        "description": "Days of AUTO_RUN_LOG that are looked at; a monthly run must be in them.",
    },
    "forget_refused": {
        "type": "bool",
        "default": False,
        "description": "Forget that the password was refused in an earlier run, and try it once more.",
    },
}


def reach(asked: Asked) -> list[Finding]:
    """Say whether LogsDB can be reached, logged into, and read."""
    check = "logsdb.reach"
    facts = asked.read("logsdb.facts")
    where = _where(asked.parameters)
    if facts["state"] == "up":
        absent = sorted(name.upper() for name, state in facts["tables"].items() if state == "missing")
        evidence = {**where, "server": facts["server"], "connect_ms": facts["connect_ms"], "optional_tables_missing": absent}
        return [ok(check, _subject(asked.parameters), evidence=evidence)]
    evidence = {
        **where,
        "stage": facts["stage"],
        "reason": facts["reason"],
        "said": facts["said"],
        "held_since": facts["held_since"],
        "waited": asked.parameters["connect_within"],
    }
    known = {name: value for name, value in evidence.items() if value not in (None, "")}
    found = [fault("logsdb.unreachable", check, _subject(asked.parameters), evidence=known)]
    if facts["held_since"]:
        held = {"user": asked.parameters.get("user") or "", "since": facts["held_since"], "forget": "stack_logsdb_forget_refused"}
        found.append(held_back(check, _subject(asked.parameters), known_as="logsdb.unreachable", **held))
    return found


def work(asked: Asked) -> list[Finding]:
    """Say what waits and runs; the evidence is what other checks are given as ``work``."""
    check = "logsdb.work"
    facts = asked.read("logsdb.facts")
    if facts["state"] != "up":
        why = f"LogsDB cannot be used ({facts['stage']}: {facts['reason']})"
        if facts["held_since"]:
            why += f"; refused at {facts['held_since']}, it is tried once more with stack_logsdb_forget_refused=true"
        return [unknown(check, why, blocked_by="logsdb.unreachable")]
    found = {name: value for name, value in facts["work"].items() if name != "not_asked" or value}
    if found["waiting"] is None or found["open_runs"] is None:
        return [unknown(check, "LogsDB did not answer: " + "; ".join(found.get("not_asked", ["no reason given"])))]
    ahead = _seconds(found["last_activity"]) - asked.now
    if ahead > AHEAD:
        hours = f"{ahead / 3600:.1f}"
        zone = asked.parameters["timezone"]
        return [unknown(check, f"the times in LogsDB lie {hours} h in the future when read as {zone}; give the right timezone")]
    return [ok(check, evidence=found)]


def _seconds(stamp: Any) -> float:
    """Return a time (RFC 3339) as epoch seconds, 0 when there is none."""
    return datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp() if stamp else 0.0


def _subject(parameters: Mapping[str, Any]) -> str:
    """Return host and port, as the check of outbound connections names them; the database where there is no host."""
    port = parameters.get("port") or DIALECTS[parameters["dialect"]].port
    return f"{parameters['host']}:{port}" if parameters.get("host") else str(parameters.get("database") or "")


def _where(parameters: Mapping[str, Any]) -> dict[str, Any]:
    names = ("dialect", "host", "port", "database", "user")
    return {name: parameters[name] for name in names if parameters.get(name)}
