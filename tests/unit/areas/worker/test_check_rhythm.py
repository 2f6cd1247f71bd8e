# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker's rhythm, judged."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.worker import check_rhythm
from ansible_collections.ops.remediation.plugins.module_utils._core.children import Outcome
from ansible_collections.ops.remediation.plugins.module_utils._core.source import Asked
from ansible_collections.ops.remediation.plugins.plugin_utils.texts import catalogue as faults_catalogue

NOW = 1_795_258_000.0
IDLE = {"waiting": 0, "waiting_since": None, "last_activity": None, "open_runs": 0}


def stamp(before):
    return datetime.fromtimestamp(NOW - before, tz=timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def waiting(since=3000, activity=3000, **more):
    return {"waiting": 2, "waiting_since": stamp(since), "last_activity": stamp(activity), "open_runs": 0, **more}


def lines(last=5.0, usual=5.0, count=50, undated=0):
    return {"count": count, "undated": undated, "last": None if last is None else NOW - last, "gaps": max(0, count - 1), "usual": usual}


def about(jobs=None, scheduler=None, started=90000.0, **more):
    found = {
        "state": "up",
        "problem": "",
        "user": "tank",
        "status": "online",
        "pid": 7,
        "started_at": NOW - started,
        "frozen": False,
        "logs": ["/l/worker-out.log"],
        "since": NOW - 86400,
        "written": NOW - 1,
        "jobs": jobs or lines(),
        "scheduler": scheduler or lines(),
    }
    return {**found, **more}


def findings(facts, **parameters):
    given_ = {name: spec.get("default") for name, spec in check_rhythm.PARAMETERS.items()}
    return check_rhythm.judge(Asked({**given_, "pm2_home": "/h/.pm2", **parameters}, NOW, {"worker.rhythm": Outcome(value=facts)}))


def one(facts, **parameters):
    (finding,) = findings(facts, **parameters)
    return finding


# --- judging


def test_a_worker_in_its_rhythm_is_well_whatever_waits():
    finding = one(about(), work=waiting())
    assert finding.status == "ok"
    assert finding.evidence["jobs"]["usual"] == 5.0
    assert one(about()).status == "ok"


def test_silent_while_work_waits_is_stalled():
    finding = one(about(lines(last=2000)), work=waiting(open_runs=1))
    assert (finding.code, finding.severity, finding.value, finding.threshold, finding.subject) == (
        "worker.stalled",
        "P0",
        2000,
        300,
        "worker",
    )
    assert finding.evidence["waiting"] == 2
    texts = faults_catalogue.render({"host": "h", **finding.as_dict()})
    assert "no job taken for 33 min, 2 waiting" in texts["en"]["title"]
    assert "A mail run is open: restart only with approval" in texts["en"]["next"]


@pytest.mark.parametrize(
    ("facts", "work"),
    [
        (about(lines(last=2000)), IDLE),  # nothing to do
        (about(lines(last=2000)), waiting(since=10)),  # a job that was made just now, after an idle time
        (about(lines(last=2000)), waiting(activity=10)),  # one long run: mails go out
        (about(lines(last=2000), started=20.0), waiting()),  # just started
        (about(lines(last=250)), waiting()),  # below what is never too long
        (about(lines(last=2000, usual=900.0)), waiting()),  # usually as rare
    ],
)
def test_what_is_not_stalled(facts, work):
    assert one(facts, work=work).status == "ok"


def test_rare_jobs_are_no_excuse_for_ever():
    facts = about(lines(last=4000, usual=86400.0))
    assert one(facts, work=waiting(since=3500, activity=86000)).status == "ok"
    assert one(facts, work=waiting(since=3700, activity=86000)).code == "worker.stalled"


def test_silent_and_nobody_knows_whether_work_waits():
    finding = one(about(lines(last=2000)), work={"reason": "LogsDB cannot be used", "blocked_by": "logsdb.unreachable"})
    assert (finding.status, finding.evidence["blocked_by"]) == ("unknown", "logsdb.unreachable")
    assert "logsdb.work was not asked" in one(about(lines(last=2000))).evidence["reason"]


def test_the_scheduler_alone():
    finding = one(about(scheduler=lines(last=400)), work=IDLE)
    assert (finding.code, finding.severity, finding.value, finding.threshold) == ("worker.scheduler_silent", "P1", 400, 300)
    assert "every 5.0 s" in faults_catalogue.render({"host": "h", **finding.as_dict()})["en"]["cause"]


def test_a_rare_scheduler_is_measured_by_its_own_interval():
    assert one(about(scheduler=lines(last=4000, usual=3600.0))).status == "ok"
    assert one(about(scheduler=lines(last=19000, usual=3600.0))).code == "worker.scheduler_silent"


def test_a_frozen_process_is_one_finding():
    facts = about(lines(last=2000), lines(last=2000), frozen=True)
    finding = one(facts, work=waiting())
    assert (finding.code, finding.evidence["frozen"]) == ("worker.stalled", True)
    assert "kill -CONT 7" in faults_catalogue.render({"host": "h", **finding.as_dict()})["en"]["next"]
    assert [finding.code for finding in findings(facts)] == ["worker.scheduler_silent", "run.check_unknown"]
    assert [finding.code for finding in findings(facts, work=IDLE)] == ["worker.scheduler_silent"]


def test_too_few_lines_are_said_to_be_too_few():
    facts = about(scheduler=lines(last=None, usual=None, count=0))
    assert "0 line(s) with 'Scheduler', too few" in one(facts).evidence["reason"]
    assert one(facts, scheduler_interval=30.0).code == "worker.scheduler_silent"
    assert one({**facts, "since": NOW - 60}).status == "ok"
    undated = about(scheduler=lines(last=None, usual=None, undated=9), since=None)
    assert one(undated).status == "ok"
    assert "they carry no date" in one({**undated, "written": NOW - 4000}).evidence["reason"]


@pytest.mark.parametrize(
    ("facts", "blocked_by"),
    [
        ({"state": "stopped", "problem": "no daemon"}, "pm2.daemon_down"),
        ({"state": "killed", "problem": "no daemon"}, "pm2.daemon_down"),
        ({"state": "hung", "problem": "no answer"}, "pm2.daemon_hung"),
        ({"state": "denied", "problem": "not ours"}, None),
        ({"state": "up", "problem": "", "status": ""}, "pm2.missing"),
        (about(status="stopped"), "pm2.stopped"),
        (about(status="errored"), "pm2.errored"),
        (about(status="waiting restart"), "pm2.restart_loop"),
        (about(logs=[]), None),
    ],
)
def test_a_worker_that_does_not_run_cannot_be_judged(facts, blocked_by):
    finding = one(facts)
    assert finding.status == "unknown"
    assert finding.evidence.get("blocked_by") == blocked_by
