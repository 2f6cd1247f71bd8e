# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the readings of LogsDB mean, and how the texts read."""

from __future__ import annotations

import re

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.logsdb import area as _logsdb_area
from ansible_collections.ops.remediation.plugins.module_utils._areas.logsdb import checks as _logsdb_checks
from ansible_collections.ops.remediation.plugins.module_utils._core.children import Outcome
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import CannotRead, DriverMissing
from ansible_collections.ops.remediation.plugins.module_utils._core.finding import from_error
from ansible_collections.ops.remediation.plugins.module_utils._core.source import Asked
from ansible_collections.ops.remediation.plugins.module_utils._shared import sql as _logsdb
from ansible_collections.ops.remediation.plugins.plugin_utils.texts import catalogue as faults_catalogue

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
REASONS = {
    ("name", "not_resolved"),
    *(("network", reason) for reason in ("refused", "timeout", "silent", "unreachable", "dropped", "tls")),
    *((stage, reason) for _pattern, stage, reason in _logsdb._SAYINGS),
    ("database", "unusable"),
    ("tables", "missing"),
    ("tables", "no_privilege"),
}


def asked(facts=None, error=None, **parameters):
    given = {name: spec.get("default") for name, spec in _logsdb_checks.PARAMETERS.items()}
    outcome = Outcome(value=facts, error=error)
    return Asked({**given, **WHERE, **parameters}, NOW, {"logsdb.facts": outcome})


def away(stage, reason, said="", held_since=None):
    return {"state": "away", "stage": stage, "reason": reason, "said": said, "held_since": held_since, "refused": None}


def test_all_is_well():
    (reach,) = _logsdb_checks.reach(asked(UP))
    (work,) = _logsdb_checks.work(asked(UP))
    assert (reach.status, work.status) == ("ok", "ok")
    assert reach.evidence["optional_tables_missing"] == ["JOB_QUEUE"]
    assert work.evidence == {name: value for name, value in WORK.items() if name != "not_asked"}
    assert "login" not in reach.evidence


def test_what_makes_it_unreachable_blocks_the_rest():
    facts = away("network", "refused")
    (reach,) = _logsdb_checks.reach(asked(facts))
    (work,) = _logsdb_checks.work(asked(facts))
    assert (reach.code, reach.severity, reach.remedies) == ("logsdb.unreachable", "P1", ())
    assert (work.status, work.evidence["blocked_by"]) == ("unknown", "logsdb.unreachable")


@pytest.mark.parametrize("part", ["waiting", "open_runs"])
def test_a_part_that_did_not_answer_is_unknown(part):
    facts = {**UP, "work": {**WORK, part: None, "not_asked": ["JOB_QUEUE: canceling statement due to statement timeout"]}}
    (work,) = _logsdb_checks.work(asked(facts))
    assert work.status == "unknown"
    assert "statement timeout" in work.evidence["reason"]


def test_times_in_the_future_point_to_the_zone():
    (work,) = _logsdb_checks.work(asked({**UP, "work": {**WORK, "last_activity": "2026-11-21T20:00:00Z"}}))
    assert work.status == "unknown"
    assert "read as Asia/Seoul; give the right timezone" in work.evidence["reason"]


def test_a_reader_that_failed_is_unknown_by_its_error():
    for function in (_logsdb_checks.reach, _logsdb_checks.work):
        with pytest.raises(CannotRead):
            function(asked(error=CannotRead("no")))


def test_a_missing_driver_has_a_code_of_its_own():
    finding = from_error(
        "logsdb.reach", DriverMissing("no sqlalchemy", libraries=["sqlalchemy"], install="python -m pip install sqlalchemy")
    )
    assert (finding.code, finding.status) == ("run.driver_missing", "unknown")
    texts = faults_catalogue.render({"host": "h", **finding.as_dict()})
    assert "python -m pip install sqlalchemy" in texts["en"]["next"]


def test_a_held_login_is_told_as_what_was_not_asked_beside_the_fault_that_holds_on():
    assert len(_logsdb_checks.reach(asked(away("login", "password")))) == 1
    fault, held = _logsdb_checks.reach(asked(away("login", "password", held_since="2026-11-20T00:00:00Z")))
    assert (fault.code, fault.status, held.code, held.status, held.severity) == (
        *("logsdb.unreachable", "critical"),
        *("run.credentials_held", "unknown", "P2"),
    )
    assert (held.evidence["blocked_by"], held.subject) == ("logsdb.unreachable", fault.subject)
    for texts in faults_catalogue.render({"host": "tank-app", **held.as_dict()}).values():
        assert "2026-11-20T00:00:00Z" in texts["cause"]
        assert "-e stack_logsdb_forget_refused=true" in texts["next"]


@pytest.mark.parametrize(("stage", "reason"), sorted(REASONS))
@pytest.mark.parametrize("held", [None, "2026-11-20T00:00:00Z"])
def test_every_reason_has_a_text_of_its_own(stage, reason, held):
    finding, *_more = _logsdb_checks.reach(asked(away(stage, reason, "AUTOMATION" if stage == "tables" else "", held)))
    texts = faults_catalogue.render({"host": "tank-app", **finding.as_dict(), "asked_from": "localhost"})
    for language in ("en", "ko"):
        for text in texts[language].values():
            assert text
            assert not re.search(r"\bNone\b|undefined|\{\{|\{%|  ", text), text
    if (stage, reason) != ("database", "unusable"):
        assert "connection to db:5432 failed" not in texts["en"]["cause"]
    assert (held in texts["en"]["cause"]) if held else "tried again" not in texts["en"]["cause"]
    for language in ("en", "ko"):
        assert ("-e stack_logsdb_forget_refused=true" in texts[language]["next"]) == (reason == "password")
    (work,) = _logsdb_checks.work(asked(away(stage, reason, held_since=held)))
    assert ("stack_logsdb_forget_refused" in work.evidence["reason"]) == bool(held)


def test_both_checks_share_one_reading():
    reach, work, _sending = _logsdb_area.CHECKS
    assert reach.sources == work.sources
    assert reach.parameters is work.parameters
    assert {check.runs_on for check in _logsdb_area.CHECKS} == {"checker"}
