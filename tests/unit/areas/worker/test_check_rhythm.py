# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker's rhythm: read from its logs, and judged."""

from __future__ import annotations

import gzip
import json
import os
import time
from datetime import datetime, timedelta, timezone

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.worker import check_rhythm as worker
from ansible_collections.ops.remediation.plugins.module_utils._core.children import Outcome
from ansible_collections.ops.remediation.plugins.module_utils._core.source import Asked
from ansible_collections.ops.remediation.plugins.module_utils._shared.logs.records import Clock
from ansible_collections.ops.remediation.plugins.plugin_utils.texts import catalogue as faults_catalogue
from hypothesis import given, settings
from hypothesis import strategies as some

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
    given_ = {name: spec.get("default") for name, spec in worker.PARAMETERS.items()}
    return worker.check(Asked({**given_, "pm2_home": "/h/.pm2", **parameters}, NOW, {"worker.rhythm": Outcome(value=facts)}))


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


# --- rhythm


def test_the_usual_gap_is_that_between_bunches():
    marks = [(start + offset, "7") for start in range(0, 600, 30) for offset in (0, 0.1, 0.2)]
    assert worker.rhythm(marks)["usual"] == pytest.approx(29.8)


def test_a_gap_over_a_restart_says_nothing():
    marks = [(float(second), "7") for second in range(0, 50, 5)] + [(float(second), "8") for second in range(9000, 9050, 5)]
    assert worker.rhythm(marks)["usual"] == 5.0


def test_few_lines_tell_no_rhythm():
    assert worker.rhythm([(1.0, ""), (2.0, ""), (3.0, "")])["usual"] is None
    assert worker.rhythm([]) == {"count": 0, "undated": 0, "last": None, "gaps": 0, "usual": None}


# --- reading


STYLES = {
    "Nest, American": lambda at: f"\x1b[32m[Nest] 77  - \x1b[39m{at:%m/%d/%Y}, {at.hour % 12 or 12}:{at:%M:%S %p} \x1b[32m    LOG\x1b[39m ",
    "Nest, narrow space": lambda at: f"[Nest] 77  - {at:%m/%d/%Y}, {at.hour % 12 or 12}:{at:%M:%S}\u202f{at:%p}     LOG ",
    "Nest, British": lambda at: f"[Nest] 77  - {at:%d/%m/%Y, %H:%M:%S}     LOG ",
    "Nest, Korean": lambda at: (
        f"[Nest] 77  - {at:%Y. %m. %d.} {'오전' if at.hour < 12 else '오후'} {at.hour % 12 or 12}:{at:%M:%S}     LOG "
    ),
    "PM2 with --time": lambda at: f"{at:%Y-%m-%dT%H:%M:%S}: ",
    "with a zone": lambda at: f"{at.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%SZ} ",
}


@pytest.mark.parametrize("zone", [0, 9, -5])
@pytest.mark.parametrize("style", sorted(STYLES))
def test_dates_of_any_locale_and_zone(tmp_path, style, zone):
    path, now = tmp_path / "worker-out.log", int(time.time())
    moments = [now - back for back in range(300, 0, -30)]
    clock = timezone(timedelta(hours=zone))
    path.write_text(
        "".join(f"{STYLES[style](datetime.fromtimestamp(at, clock))}[Scheduler] Scheduler created 2 job(s)\n" for at in moments)
    )
    os.utime(path, (moments[-1], moments[-1]))
    found = worker._rhythms([str(path)], worker._clock([str(path)], 0), "Processing job", "Scheduler")
    assert found["scheduler"]["last"] == moments[-1]
    assert found["scheduler"]["usual"] == 30.0
    assert found["since"] == moments[0]
    assert found["jobs"]["count"] == 0


def test_lines_without_dates_are_counted_as_such(tmp_path):
    path = tmp_path / "worker-out.log"
    path.write_text("Scheduler created 1 job(s)\n" * 9)
    found = worker._rhythms([str(path)], Clock(), "Processing job", "Scheduler")
    assert (found["scheduler"]["undated"], found["scheduler"]["last"], found["since"]) == (9, None, None)


def test_a_frame_of_a_stack_is_no_line_of_the_scheduler(tmp_path):
    path = tmp_path / "worker-error.log"
    path.write_text("Error: no\n    at Scheduler.tick (/opt/worker.js:1:1)\n")
    assert worker._rhythms([str(path)], Clock(), "Processing job", "Scheduler")["scheduler"]["count"] == 0


@pytest.mark.parametrize(
    "name", ["worker-out.log.1", "worker-out.log-20261121", "worker-out__2026-11-21_00-00-00.log", "worker-out.log.1.gz"]
)
@pytest.mark.parametrize("left", ["absent lines", "copytruncate"])
def test_a_freshly_rotated_log_is_read_together_with_what_was_rotated(tmp_path, name, left):
    path, now = tmp_path / "worker-out.log", int(time.time())
    text = "".join(f"{datetime.fromtimestamp(now - back).astimezone():%Y-%m-%dT%H:%M:%S%z} Scheduler\n" for back in range(60, 0, -5))
    data = text.encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    path.write_text("" if left == "copytruncate" else "a line\n")
    found = worker._rhythms([str(path)], Clock(), "Processing job", "Scheduler")
    assert (found["scheduler"]["last"], found["scheduler"]["usual"]) == (now - 5, 5.0)


def test_a_compressed_log_that_grows_too_large_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "MAX_UNPACKED", 1000)
    (tmp_path / "big.gz").write_bytes(gzip.compress(b"Scheduler\n" * 10000))
    (tmp_path / "damaged.gz").write_bytes(gzip.compress(b"Scheduler\n" * 10)[:-12] + b"xx")
    assert worker._unpacked(str(tmp_path / "big.gz")) == ""
    assert len(worker._unpacked(str(tmp_path / "damaged.gz"))) <= 100


def test_more_is_read_of_a_busy_log(tmp_path):
    path = tmp_path / "worker-out.log"
    path.write_text("2026-11-21T10:00:00Z Scheduler\n" + "2026-11-21T10:00:01Z another line of a busy worker\n" * 40000)
    assert worker._rhythms([str(path)], Clock(), "Processing job", "Scheduler")["scheduler"]["count"] == 1


def test_the_zone_of_the_process_where_the_file_does_not_tell(monkeypatch):
    monkeypatch.setattr(worker, "_environment", lambda _pid: ["A=b", "TZ=Asia/Seoul"])
    assert worker._clock([], 7).offset == -9 * 3600
    monkeypatch.setattr(worker, "_environment", lambda _pid: ["TZ=Nowhere/At all"])
    assert worker._clock([], 7).offset is None


def listed(*statuses):
    """Return the lists that PM2 gives one after the other."""
    answers = [
        {
            "state": "up",
            "problem": "",
            "user": "tank",
            "processes": [
                {
                    "name": "worker",
                    "module": False,
                    "status": status,
                    "pid": 0,
                    "started_at": 1.0,
                    "autorestart": True,
                    "out_log": "/dev/null",
                    "err_log": "",
                }
            ],
        }
        for status in statuses
    ]
    return lambda *_arguments: answers.pop(0) if len(answers) > 1 else answers[0]


def test_a_process_that_is_just_starting_is_looked_at_again(monkeypatch):
    monkeypatch.setattr(worker, "STARTING", 0.0)
    monkeypatch.setattr(worker.pm2_list, "read_list", listed("stopped", "online"))
    assert worker.read("/h")["status"] == "online"
    monkeypatch.setattr(worker.pm2_list, "read_list", listed("stopped"))
    found = worker.read("/h")
    assert (found["status"], found["logs"]) == ("stopped", [])
    json.dumps(found)


@settings(max_examples=60, deadline=None)
@given(some.binary(max_size=4000))
def test_any_bytes_are_read_without_an_exception(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("log") / "worker-out.log"
    path.write_bytes(data + b"\nScheduler \xff Processing job\n" + data)
    (path.parent / "worker-out.log.1.gz").write_bytes(data)
    found = worker._rhythms([str(path)], worker._clock([str(path)], 0), "Processing job", "Scheduler")
    json.dumps(found)
