# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Readings of LogsDB, made up for tests of the checks."""

from __future__ import annotations

from ansible_collections.ops.remediation.plugins.module_utils._areas.logsdb.read_facts import READING_PARAMETERS
from ansible_collections.ops.remediation.plugins.module_utils._core.children import Outcome
from ansible_collections.ops.remediation.plugins.module_utils._core.source import Asked

NOW = 1_795_258_000.0
WORK = {
    "look_back_days": 35,
    "queue": True,
    "waiting": 2,
    "waiting_since": "2026-11-21T10:00:00Z",
    "running": 0,
    "runs": 5,
    "open_runs": 1,
    "oldest_open": None,
    "last_run_start": None,
    "last_run_end": None,
    "last_activity": "2026-11-21T10:30:00Z",
    "automations": [],
    "automations_total": 0,
    "not_asked": [],
}
UP = {
    "state": "up",
    "server": "postgresql 15",
    "connect_ms": 4,
    "tables": {"automation": "there", "job_queue": "missing"},
    "work": WORK,
    "refused": None,
}
WHERE = {"dialect": "postgresql", "host": "db", "port": 5432, "database": "logs", "user": "monitor", "login": {"file": "/etc/x"}}


def asked(facts=None, error=None, **parameters):
    given = {name: spec.get("default") for name, spec in READING_PARAMETERS.items()}
    outcome = Outcome(value=facts, error=error)
    return Asked({**given, **WHERE, **parameters}, NOW, {"logsdb.facts": outcome})


def away(stage, reason, said="", held_since=None):
    return {"state": "away", "stage": stage, "reason": reason, "said": said, "held_since": held_since, "refused": None}
