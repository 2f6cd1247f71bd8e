# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""LogsDB for real: PostgreSQL of the replica, MariaDB where it is installed, and the daily check that asks it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy
from ansible_collections.ops.remediation.plugins.module_utils._areas.logsdb.read_facts import READING_PARAMETERS, read_facts
from ansible_collections.ops.remediation.plugins.module_utils._shared import sql as _logsdb

PLANTED = "planted-7a1"
SEOUL = ZoneInfo("Asia/Seoul")


def parameters(**given):
    defaults = {name: READING_PARAMETERS[name].get("default") for name in READING_PARAMETERS}
    return {**defaults, **given}


@pytest.fixture
def monitor(replica):
    """Return the parameters of the replica's account for checks."""
    logsdb = replica["logsdb"]
    names = ("host", "port", "database")
    login = {"file": logsdb["monitor_password_file"]}
    return parameters(**{name: logsdb[name] for name in names}, user=logsdb["monitor_user"], login=login)


def by_check(run, check):
    return next(finding for finding in run.record["findings"] if finding["check"] == check)


# --- PostgreSQL


def test_the_replica_tells_what_works(monitor):
    facts = read_facts(**monitor)
    assert facts["state"] == "up", facts
    assert facts["server"].startswith("postgresql ")
    work = facts["work"]
    assert work["queue"] and work["runs"] > 1000 and work["automations_total"] == 10
    assert work["last_activity"] >= work["last_run_start"]
    assert work["not_asked"] == []
    assert len(json.dumps(facts)) < 4000


def test_the_account_of_the_application_works_through_its_env_file(monitor, replica):
    login = {"env_file": replica["env_file"], "key": "LOGSDB_PASS"}
    assert read_facts(**{**monitor, "user": replica["logsdb"]["user"], "login": login})["state"] == "up"


def test_nothing_can_be_written_even_by_an_account_that_may(monitor, replica):
    target = _logsdb.target_of(
        {**monitor, "user": replica["logsdb"]["user"], "login": {"file": replica["logsdb"]["password_file"]}, "answer_within": 0.5},
    )
    with _logsdb.connected(sqlalchemy, target, SEOUL) as session:
        assert session.rows("write", sqlalchemy.text("DELETE FROM job_queue WHERE job_id < 0")) is None
        assert "read-only" in session.not_asked[0]
        started = time.monotonic()
        assert session.rows("slow", sqlalchemy.text("SELECT pg_sleep(20)")) is None
        assert time.monotonic() - started < 3
        assert "statement timeout" in session.not_asked[1]
        assert session.rows("again", sqlalchemy.text("SELECT 1")) == [(1,)]


@pytest.mark.parametrize(
    ("change", "stage", "reason"),
    [
        ({"database": "nosuchdb"}, "database", "missing"),
        ({"database": "postgres"}, "tables", "missing"),
        ({"user": "nosuchuser"}, "login", "password"),
        ({"port": 1}, "network", "refused"),
    ],
)
def test_what_is_wrong_is_told_apart(monitor, change, stage, reason):
    facts = read_facts(**{**monitor, **change})
    assert (facts["stage"], facts["reason"]) == (stage, reason), facts


# --- the daily check


def test_a_wrong_password_is_tried_once_and_told_by_nobody(play, tmp_path, replica):
    (tmp_path / "wrong").write_text(PLANTED)
    state = json.dumps({"stack_checker_state_dir": str(tmp_path / "state"), "stack_logsdb_login": {"file": str(tmp_path / "wrong")}})
    server_log = Path(replica["logsdb"]["server_log"])

    def refusals():
        return server_log.read_text(encoding="utf-8", errors="replace").count('failed for user "tank_monitor"')

    before = refusals()
    first = play("-e", state, "-vvv")
    after = refusals()
    second = play("-e", state)
    assert after == before + 1
    assert refusals() == after
    third = play("-e", state, "-e", "stack_logsdb_forget_refused=true")
    assert refusals() == after + 1
    assert "not tried again" not in by_check(third, "logsdb.reach")["texts"]["en"]["cause"]
    for run in (first, second, third):
        assert by_check(run, "logsdb.reach")["code"] == "logsdb.unreachable"
        assert by_check(run, "logsdb.work")["follows_from"]
        assert PLANTED not in run.output + json.dumps(run.record)
    held = [
        [one["follows_from"] for one in run.record["findings"] if one["code"] == "run.credentials_held"] for run in (first, second, third)
    ]
    assert held == [[], [by_check(second, "logsdb.reach")["id"]], []]
    assert "not tried again until it changes" in by_check(second, "logsdb.reach")["texts"]["en"]["cause"]
    kept = "".join(path.read_text() for path in (tmp_path / "state").glob("*.json"))
    assert "refused" in kept
    assert PLANTED not in kept


def test_the_password_is_never_printed(play, replica):
    run = play("-vvvv")
    assert run.code == 0, run.output
    secret = Path(replica["logsdb"]["monitor_password_file"]).read_text(encoding="ascii")
    assert secret not in run.output + json.dumps(run.record)
    assert by_check(run, "logsdb.work")["asked_from"] == "localhost"


def test_a_password_in_the_inventory_is_refused(play):
    run = play("-e", json.dumps({"stack_logsdb_login": {"password": PLANTED}}))
    assert run.code != 0
    assert by_check(run, "logsdb.reach")["status"] == "unknown"
    assert PLANTED not in json.dumps(run.record)


def test_a_checker_without_drivers(play):
    run = play("-e", "stack_checker=tank-app")
    found = by_check(run, "logsdb.reach")
    assert (found["code"], found["asked_from"]) == ("run.driver_missing", "tank-app")
    assert by_check(run, "worker.rhythm")["status"] == "ok"


# --- MariaDB


def _free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.fixture(scope="module")
def mariadb(tmp_path_factory):
    """Return how to reach a MariaDB with LogsDB's tables, one of them in lower case."""
    programs = [shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") for name in ("mariadbd", "mariadb-install-db", "mariadb")]
    if None in programs:
        pytest.skip("MariaDB is not installed: tools/install_os_packages mariadb-server-core mariadb-client-core")
    server, install, client = programs
    folder, port = tmp_path_factory.mktemp("mariadb"), _free_port()
    common = ["--no-defaults", f"--datadir={folder}/data"]
    who = ["--user=root"] if os.geteuid() == 0 else []
    subprocess.run([install, *common, *who, "--auth-root-authentication-method=normal", "--skip-test-db"], check=True, capture_output=True)
    sock = f"{folder}/s"
    argv = [server, *common, *who, f"--socket={sock}", f"--port={port}", "--bind-address=127.0.0.1", f"--pid-file={folder}/pid"]
    with (folder / "log").open("w") as log, subprocess.Popen(argv, stdout=log, stderr=log) as process:
        try:
            _until(lambda: (folder / "s").exists(), 30)
            subprocess.run([client, "--no-defaults", f"--socket={sock}", "-uroot"], input=MARIADB, text=True, check=True)
            (folder / "login").write_text(PLANTED)
            yield parameters(
                dialect="mysql", host="127.0.0.1", port=port, database="logsdb", user="monitor", login={"file": str(folder / "login")}
            )
        finally:
            process.terminate()


def _until(condition, seconds):
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.1)


MARIADB = """
CREATE DATABASE logsdb; USE logsdb;
CREATE TABLE AUTOMATION (AUTO_ID int, STATUS varchar(9), LAST_RUN_AT datetime, NEXT_RUN_AT datetime);
CREATE TABLE SCHEDULER (AUTO_ID int, TYPE varchar(9), DAY int, HOUR int, MINUTE int);
CREATE TABLE AUTO_RUN_LOG (RUN_ID bigint PRIMARY KEY, AUTO_ID int, START_AT datetime, END_AT datetime);
CREATE TABLE email_send_log (SEND_ID bigint PRIMARY KEY, SEND_AT datetime);
CREATE TABLE JOB_QUEUE (JOB_ID bigint PRIMARY KEY, AUTO_ID int, STATUS varchar(9), START_AT datetime, END_AT datetime);
INSERT INTO AUTO_RUN_LOG VALUES (1, 7, NOW() - INTERVAL 2 HOUR, NULL), (2, 8, NOW() - INTERVAL 3 HOUR, NOW() - INTERVAL 2 HOUR);
INSERT INTO JOB_QUEUE VALUES (1, 7, 'RUNNING', NOW(), NULL), (2, 8, 'WAITING', NULL, NULL);
INSERT INTO SCHEDULER VALUES (8, 'DAILY', NULL, 9, 0);
CREATE USER monitor@'127.0.0.1' IDENTIFIED BY 'planted-7a1';
GRANT SELECT, DELETE ON logsdb.* TO monitor@'127.0.0.1';
CREATE USER blind@'127.0.0.1' IDENTIFIED BY 'planted-7a1';
GRANT INSERT ON logsdb.* TO blind@'127.0.0.1';
"""


def test_mariadb_tells_what_works(mariadb):
    facts = read_facts(**{**mariadb, "timezone": "UTC" if time.timezone == 0 else "Asia/Seoul"})
    assert facts["state"] == "up", facts
    assert facts["server"].startswith("mariadb 1")
    assert set(facts["tables"].values()) == {"there"}
    work = facts["work"]
    assert (work["waiting"], work["running"], work["open_runs"], work["runs"]) == (1, 1, 1, 2)
    assert work["waiting_since"]
    assert work["not_asked"] == []


def test_mariadb_is_read_only_and_bounded(mariadb):
    target = _logsdb.target_of({**mariadb, "answer_within": 0.5})
    with _logsdb.connected(sqlalchemy, target, SEOUL) as session:
        assert session.rows("write", sqlalchemy.text("DELETE FROM JOB_QUEUE")) is None
        assert "READ ONLY" in session.not_asked[0]
        started = time.monotonic()
        assert session.rows("slow", sqlalchemy.text("SELECT SLEEP(20)")) is None
        assert time.monotonic() - started < 3


@pytest.mark.parametrize(
    ("change", "stage", "reason"),
    [
        ({"database": "nosuchdb"}, "database", "no_privilege"),
        ({"database": "information_schema"}, "tables", "missing"),
        ({"user": "nosuchuser"}, "login", "password"),
        ({"user": "blind"}, "tables", "no_privilege"),
        ({"login": None}, "login", "password"),
    ],
)
def test_mariadb_tells_what_is_wrong(mariadb, change, stage, reason):
    facts = read_facts(**{**mariadb, **change})
    assert (facts["stage"], facts["reason"]) == (stage, reason), facts
    assert PLANTED not in json.dumps(facts)
