# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection to LogsDB: what it says, why it cannot say it, and that it never tells a password."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import sqlite3
import threading
import time
from contextlib import contextmanager
from datetime import datetime, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.logsdb import area as _logsdb_area
from ansible_collections.ops.remediation.plugins.module_utils._areas.logsdb.checks import PARAMETERS
from ansible_collections.ops.remediation.plugins.module_utils._core import children as _process
from ansible_collections.ops.remediation.plugins.module_utils._core import state as _state
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import Crashed, DriverMissing, RemediationError, WrongQuestion
from ansible_collections.ops.remediation.plugins.module_utils._shared import sql as _logsdb

SEOUL = ZoneInfo("Asia/Seoul")
PLANTED = "pla nted/p@ss:w%rd'7\"a1"
SCHEMA = """
CREATE TABLE AUTOMATION (AUTO_ID int, STATUS text, LAST_RUN_AT text, NEXT_RUN_AT text);
CREATE TABLE SCHEDULER (AUTO_ID int, TYPE text, HOUR int, MINUTE int);
CREATE TABLE AUTO_RUN_LOG (RUN_ID integer PRIMARY KEY, AUTO_ID int, START_AT text, END_AT text);
CREATE TABLE EMAIL_SEND_LOG (SEND_ID integer PRIMARY KEY, SEND_AT text);
CREATE TABLE JOB_QUEUE (JOB_ID integer PRIMARY KEY, AUTO_ID int, STATUS text, START_AT text, END_AT text);
"""


def parameters(**given):
    """Return the parameters of the source as the module hands them over, defaults filled in."""
    defaults = {name: PARAMETERS[name].get("default") for name in _logsdb.PARAMETERS}
    return {**defaults, **given}


@pytest.fixture
def login(tmp_path):
    """Return a reference to the planted password."""
    path = tmp_path / "login"
    path.write_text(PLANTED + "\n")
    return {"file": str(path)}


@pytest.fixture
def database(tmp_path):
    """Return a function that makes an SQLite LogsDB with more statements, and returns its path."""

    def make(*statements, schema=SCHEMA):
        path = str(tmp_path / "logs.db")
        with sqlite3.connect(path) as connection:
            connection.executescript(schema)
            for statement, *values in statements:
                connection.execute(statement, values)
        connection.close()
        return path

    return make


def local(**before):
    """Return a local time of LogsDB, some time before now."""
    return (datetime.now(SEOUL) - timedelta(**before)).replace(tzinfo=None, microsecond=0).isoformat(sep=" ")


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=SEOUL).astimezone(ZoneInfo("UTC")).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_sqlite(path, **more):
    return _logsdb.read(**parameters(dialect="sqlite", database=path, **more))


# --- what it says


def test_an_empty_logsdb_has_no_work(database):
    facts = read_sqlite(database())
    assert facts["state"] == "up"
    assert facts["server"].startswith("sqlite 3")
    assert set(facts["tables"].values()) == {"there"}
    work = facts["work"]
    assert (work["waiting"], work["running"], work["open_runs"], work["runs"]) == (0, 0, 0, 0)
    assert work["last_activity"] is work["waiting_since"] is work["last_run_start"] is None
    assert work["not_asked"] == []


def test_work_is_counted_and_times_are_utc(database):
    early, late, old = local(hours=2), local(hours=1), local(days=60)
    path = database(
        ("INSERT INTO AUTO_RUN_LOG (AUTO_ID, START_AT, END_AT) VALUES (1, ?, ?)", early, late),
        ("INSERT INTO AUTO_RUN_LOG (AUTO_ID, START_AT) VALUES (2, ?)", late),
        ("INSERT INTO AUTO_RUN_LOG (AUTO_ID, START_AT) VALUES (3, ?)", old),
        ("INSERT INTO EMAIL_SEND_LOG (SEND_AT) VALUES (?)", local(minutes=3)),
        ("INSERT INTO JOB_QUEUE (AUTO_ID, STATUS, START_AT) VALUES (2, 'RUNNING', ?)", late),
    )
    work = read_sqlite(path)["work"]
    assert (work["runs"], work["open_runs"], work["oldest_open"], work["running"]) == (2, 1, utc(late), 1)
    assert (work["last_run_start"], work["last_run_end"]) == (utc(late), utc(late))
    assert work["last_activity"] > utc(late)
    assert [(one["auto_id"], one["runs"], one["open"]) for one in work["automations"]] == [(2, 1, 1), (1, 1, 0)]


def test_every_open_run_counts_however_many_automations_there_are(database):
    many = _logsdb.MAX_GROUPS + 50
    runs = [
        ("INSERT INTO AUTO_RUN_LOG (AUTO_ID, START_AT, END_AT) VALUES (?, ?, ?)", auto, local(days=2), local(days=1))
        for auto in range(many)
    ]
    late = local(hours=1)
    path = database(*runs, ("INSERT INTO AUTO_RUN_LOG (AUTO_ID, START_AT) VALUES (?, ?)", many, late))
    work = read_sqlite(path)["work"]
    assert (work["runs"], work["open_runs"], work["oldest_open"], work["automations_total"]) == (many + 1, 1, utc(late), many + 1)
    assert work["automations"][0]["auto_id"] == many
    assert len(work["automations"]) == _logsdb.SHOWN_GROUPS
    assert work["not_asked"] == []


def test_groups_that_were_left_out_are_named(database):
    many = _logsdb.MAX_GROUPS + 1
    path = database(*[("INSERT INTO JOB_QUEUE (AUTO_ID, STATUS) VALUES (?, 'WAITING')", auto) for auto in range(many)])
    work = read_sqlite(path)["work"]
    assert work["waiting"] == many
    assert work["not_asked"] == ["JOB_QUEUE, waiting: there are more than 200 groups, the others are left out"]


@pytest.mark.parametrize(
    ("plan", "since"),
    [
        (("REALTIME", 0, 0), "former"),
        (("DAILY", 0, 0), "midnight or former"),
        (None, "former"),
    ],
)
def test_since_when_a_job_waits_is_told_by_its_automation(database, plan, since):
    former = local(minutes=20)
    statements = [
        ("INSERT INTO JOB_QUEUE (AUTO_ID, STATUS, START_AT, END_AT) VALUES (7, 'DONE', ?, ?)", former, former),
        ("INSERT INTO JOB_QUEUE (AUTO_ID, STATUS) VALUES (7, 'WAITING')",),
    ]
    if plan:
        statements.append(("INSERT INTO SCHEDULER VALUES (7, ?, ?, ?)", *plan))
    work = read_sqlite(database(*statements))["work"]
    midnight = utc(datetime.now(SEOUL).replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0).isoformat(sep=" "))
    assert work["waiting"] == 1
    assert work["waiting_since"] == (max(midnight, utc(former)) if "midnight" in since else utc(former))


def test_a_daily_job_that_was_just_made_has_not_waited_since_yesterday(database):
    now = datetime.now(SEOUL)
    path = database(
        ("INSERT INTO JOB_QUEUE (AUTO_ID, STATUS, END_AT) VALUES (7, 'DONE', ?)", local(hours=24)),
        ("INSERT INTO JOB_QUEUE (AUTO_ID, STATUS) VALUES (7, 'WAITING')",),
        ("INSERT INTO SCHEDULER VALUES (7, 'DAILY', ?, ?)", now.hour, now.minute),
    )
    since = datetime.fromisoformat(read_sqlite(path)["work"]["waiting_since"].replace("Z", "+00:00"))
    assert (now - since).total_seconds() < 120


def test_without_a_queue_due_automations_are_the_work(database):
    schema = SCHEMA.partition("CREATE TABLE JOB_QUEUE")[0]
    due = local(minutes=30)
    path = database(
        ("INSERT INTO AUTOMATION VALUES (1, 'ACTIVE', NULL, ?)", due),
        ("INSERT INTO AUTOMATION VALUES (2, 'PAUSED', NULL, ?)", local(hours=9)),
        ("INSERT INTO AUTOMATION VALUES (3, 'ACTIVE', NULL, '2999-01-01 00:00:00')",),
        schema=schema,
    )
    facts = read_sqlite(path)
    assert facts["tables"]["job_queue"] == "missing"
    assert facts["work"]["queue"] is False
    assert (facts["work"]["waiting"], facts["work"]["waiting_since"]) == (1, utc(due))


def test_missing_tables_are_named(database):
    facts = read_sqlite(database(schema="CREATE TABLE OTHER (A int)"))
    assert (facts["state"], facts["stage"], facts["reason"]) == ("away", "tables", "missing")
    assert facts["said"] == "AUTOMATION, AUTO_RUN_LOG, EMAIL_SEND_LOG"


def test_a_question_that_fails_is_named_and_costs_no_other(database):
    schema = SCHEMA.replace("SEND_AT text", "SENT text")
    work = read_sqlite(database(schema=schema))["work"]
    assert work["waiting"] == 0
    assert [note.partition(":")[0] for note in work["not_asked"]] == ["EMAIL_SEND_LOG"]


def test_nothing_can_be_written_and_no_statement_runs_for_ever(database):
    import sqlalchemy

    path = database()
    target = _logsdb.Target("sqlite", "", 0, path, "", 3.0, 0.3)
    with _logsdb._connected(sqlalchemy, _logsdb.DIALECTS["sqlite"], target, SEOUL) as session:
        assert session.rows("write", sqlalchemy.text("DELETE FROM AUTOMATION")) is None
        assert "readonly" in session.not_asked[0]
        endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
        assert session.rows("endless", sqlalchemy.text(endless)) is None
        assert "interrupted" in session.not_asked[1]
        assert session.rows("again", sqlalchemy.text("SELECT 1")) == [(1,)]


# --- why it cannot


def test_no_database_file(tmp_path):
    facts = read_sqlite(str(tmp_path / "none.db"))
    assert (facts["stage"], facts["reason"]) == ("database", "missing")


def test_a_file_that_is_no_database(tmp_path):
    path = tmp_path / "text.db"
    path.write_bytes(b"this is no database at all" * 100)
    assert read_sqlite(str(path))["reason"] == "damaged"


@contextmanager
def server(answer=b"", *, close=False):
    """Listen on a port; send an answer to whoever connects, then close or keep silent."""
    listener = socket.create_server(("127.0.0.1", 0))
    kept = []

    def serve():
        while True:
            try:
                connection, _address = listener.accept()
            except OSError:
                return
            if answer:
                connection.recv(4096)
                connection.sendall(answer)
            if close:
                connection.close()
            else:
                kept.append(connection)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()
        for connection in kept:
            connection.close()


NETWORKED = ["postgresql", "mysql", "oracle"]


def read_from(dialect, port, login, **more):
    return _logsdb.read(
        **parameters(dialect=dialect, host="127.0.0.1", port=port, database="logs", user="monitor", login=login, connect_within=1.0, **more)
    )


@pytest.mark.parametrize("dialect", NETWORKED)
def test_nothing_listens(dialect, login):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    facts = read_from(dialect, port, login)
    assert (facts["stage"], facts["reason"]) == ("network", "refused")
    assert PLANTED not in json.dumps(facts)


@pytest.mark.parametrize("dialect", NETWORKED)
def test_it_takes_the_connection_and_says_nothing(dialect, login):
    with server() as port:
        facts = read_from(dialect, port, login)
    assert (facts["stage"], facts["reason"]) == ("network", "silent")


@pytest.mark.parametrize("dialect", NETWORKED)
def test_it_drops_the_connection(dialect, login):
    with server(close=True) as port:
        facts = read_from(dialect, port, login)
    assert (facts["stage"], facts["reason"]) == ("network", "dropped")


@pytest.mark.parametrize("dialect", NETWORKED)
def test_the_name_is_not_known(dialect, login):
    facts = _logsdb.read(**parameters(dialect=dialect, host="no-such-host.invalid", database="logs", user="monitor", login=login))
    assert (facts["stage"], facts["reason"]) == ("name", "not_resolved")


@pytest.mark.parametrize("dialect", NETWORKED)
@pytest.mark.parametrize("answer", [b"HTTP/1.0 400 Bad Request\r\n\r\n", b"\x00" * 64, b"\xff" * 512])
def test_whatever_answers_no_password_is_told(dialect, answer, login):
    with server(answer, close=True) as port:
        try:
            told = json.dumps(read_from(dialect, port, login))
        except RemediationError as error:
            told = json.dumps(error.as_dict(), default=str)
    for spelling in (PLANTED, "nted", '7\\"a1'):
        assert spelling not in told


@pytest.mark.parametrize("dialect", [*NETWORKED, "sqlite"])
def test_a_driver_that_tells_the_password_is_not_repeated(dialect, login, monkeypatch):
    def telling(*_arguments, **options):
        raise ValueError(f"connect failed: {options} dsn=u:{PLANTED}@h {_logsdb.quote(PLANTED)}")

    monkeypatch.setattr(_logsdb, "_connect_and_ask", lambda _sql, _dialect, target, *_more: telling(password=target.password))
    with pytest.raises(Crashed) as caught:
        read_from(dialect, 1, login)
    for spelling in (PLANTED, "nted", "%2Fp"):
        assert spelling not in caught.value.message
    assert caught.value.__cause__ is None


def test_the_password_shows_in_no_representation():
    target = _logsdb.Target("postgresql", "h", 1, "d", "u", 1.0, 1.0, PLANTED)
    assert "nted" not in repr(target)
    import sqlalchemy

    for dialect in _logsdb.DIALECTS.values():
        assert "nted" not in repr(dialect.url(sqlalchemy, target))


SAYINGS = [
    ('connection failed: FATAL:  password authentication failed for user "m"', "login", "password"),
    ('FATAL:  사용자 "m"의 password 인증을 실패했습니다', "login", "password"),
    ("(1045, \"Access denied for user 'm'@'10.0.0.1' (using password: YES)\")", "login", "password"),
    ("ORA-01017: invalid credential or not authorized; logon denied", "login", "password"),
    ("ORA-28000: The account is locked.", "login", "locked"),
    ("ORA-28001: the password has expired", "login", "expired"),
    ('FATAL:  no pg_hba.conf entry for host "10.0.0.1", user "m", database "l", no encryption', "login", "not_allowed"),
    ("(1130, \"Host '10.0.0.1' is not allowed to connect to this MySQL server\")", "login", "not_allowed"),
    ('FATAL:  database "l" does not exist', "database", "missing"),
    ("(1049, \"Unknown database 'l'\")", "database", "missing"),
    ('DPY-6001: Service "L" is not registered with the listener at host "h" port 1521. (Similar to ORA-12514)', "database", "missing"),
    ("(1044, \"Access denied for user 'm'@'%' to database 'l'\")", "database", "no_privilege"),
    ("FATAL:  sorry, too many clients already", "session", "too_many"),
    ("(1040, 'Too many connections')", "session", "too_many"),
    ("ORA-12516: TNS:listener could not find available handler", "session", "too_many"),
    ("FATAL:  the database system is starting up", "session", "starting"),
    ("ORA-01034: ORACLE not available", "session", "starting"),
    ("failed to resolve host 'h': [Errno -2] Name or service not known", "name", "not_resolved"),
]


@pytest.mark.parametrize(("text", "stage", "reason"), SAYINGS)
def test_what_databases_say(text, stage, reason):
    target = _logsdb.Target("postgresql", "", 0, "l", "m", 1.0, 1.0)
    found = _logsdb._explained(target, SimpleNamespace(orig=text))
    assert (found.stage, found.reason) == (stage, reason)


# --- what a refused login means


def test_a_refused_login_is_not_tried_again_until_it_changes(login, tmp_path, monkeypatch):
    tried = []

    def refuse(_sql, _dialect, target, _zone):
        tried.append(target.password)
        raise _logsdb.Unreachable("login", "password", "no")

    monkeypatch.setattr(_logsdb, "_connected", refuse)
    first = read_from("postgresql", 1, login)
    memory = _logsdb.remember(first)
    assert "nted" not in json.dumps(memory)
    second = _logsdb.read(
        memory=memory,
        **parameters(dialect="postgresql", host="127.0.0.1", port=1, database="logs", user="monitor", login=login, connect_within=1.0),
    )
    assert tried == [PLANTED]
    assert (second["stage"], second["reason"], second["held_since"]) == ("login", "password", memory["refused"]["at"])
    assert _logsdb.remember(second) == memory
    (tmp_path / "login").write_text("another")
    read_from("postgresql", 1, login, memory=memory)
    assert tried == [PLANTED, "another"]


def test_a_refused_login_is_tried_once_more_when_told_to(login, monkeypatch):
    tried, answers = [], ["password", "password", None]

    @contextmanager
    def answer(_sql, _dialect, target, _zone):
        tried.append(target.password)
        reason = answers.pop(0)
        if reason:
            raise _logsdb.Unreachable("login", reason, "no")
        yield SimpleNamespace(server=lambda: "sqlite 3", dialect="sqlite")

    monkeypatch.setattr(_logsdb, "_connected", answer)
    monkeypatch.setattr(_logsdb, "_facts", lambda *_arguments: {})
    first = _logsdb.remember(read_from("postgresql", 1, login))
    again = read_from("postgresql", 1, login, memory=first, forget_refused=True)
    assert again["held_since"] is None
    second = _logsdb.remember(again)
    assert read_from("postgresql", 1, login, memory=second)["held_since"]
    assert len(tried) == 2
    last = read_from("postgresql", 1, login, memory=second, forget_refused=True)
    assert (last["state"], _logsdb.remember(last)) == ("up", {"refused": None})


@pytest.mark.parametrize("forget", [False, True])
def test_runs_at_the_same_time_try_a_refused_login_once(login, tmp_path, monkeypatch, forget):
    state, tried = _state.State(str(tmp_path / "state"), read_only=False), tmp_path / "tried"

    def refuse(_sql, _dialect, _target, _zone):
        with tried.open("a") as file:
            file.write("x")
        time.sleep(0.3)
        raise _logsdb.Unreachable("login", "password", "no")

    monkeypatch.setattr(_logsdb, "_connected", refuse)
    given = parameters(dialect="postgresql", host="db", database="logs", user="monitor", login=login, forget_refused=forget)
    if forget:
        earlier = _logsdb.read(memory=state.recall("x"), **given)
        state.save("x", _logsdb.remember(earlier))
        tried.unlink()
    calls = {number: _process.Call(lambda: _logsdb.read(memory=state.recall("x"), **given), 8.0) for number in range(3)}
    answers = [outcome.get() for outcome in _process.call_all(calls).values()]
    assert tried.read_text() == "x"
    assert [answer["reason"] for answer in answers] == ["password"] * 3
    assert [bool(answer["held_since"]) for answer in answers].count(False) == 1


def test_behind_a_login_that_hangs_the_server_is_silent(login, tmp_path):
    state = _state.State(str(tmp_path / "state"), read_only=False)
    kept = state.recall("x")
    with server() as port, state.recall("x").alone("login", lambda: True):
        facts = read_from("postgresql", port, login, memory=kept)
    assert (facts["stage"], facts["reason"]) == ("network", "silent")


def test_a_wish_to_forget_changes_no_name_of_what_is_kept(login):
    source = _logsdb_area.FACTS
    given = parameters(dialect="postgresql", host="db", database="logs", user="monitor", login=login)
    assert source.memory_key(given) == source.memory_key({**given, "forget_refused": True})


@pytest.mark.parametrize("reason", ["locked", "expired", "not_allowed"])
def test_what_the_administrator_ends_is_asked_again(reason, login, monkeypatch):
    tried = []

    def refuse(_sql, _dialect, target, _zone):
        tried.append(target.password)
        raise _logsdb.Unreachable("login", reason, "no")

    monkeypatch.setattr(_logsdb, "_connected", refuse)
    memory = _logsdb.remember(read_from("postgresql", 1, login))
    assert memory == {"refused": None}
    target = _logsdb._target(
        _logsdb.DIALECTS["postgresql"],
        parameters(dialect="postgresql", host="127.0.0.1", port=1, database="logs", user="monitor", login=login, connect_within=1.0),
    )
    former = _logsdb._refusal(target, reason)  # as an earlier release kept it
    assert read_from("postgresql", 1, login, memory={"refused": former})["held_since"] is None
    assert len(tried) == 2


def test_a_network_failure_forgets_no_refusal(login, monkeypatch):
    def away(*_arguments):
        raise _logsdb.Unreachable("network", "timeout")

    monkeypatch.setattr(_logsdb, "_connected", away)
    refused = {"salt": "00", "hash": "11", "reason": "password", "at": "2026-01-01T00:00:00Z"}
    assert read_from("mysql", 1, login, memory={"refused": refused})["refused"] == refused


@pytest.mark.parametrize("memory", [None, {}, {"refused": None}, {"refused": "x"}, {"refused": {"salt": "00"}}])
def test_a_strange_memory_is_none(memory, database):
    assert read_sqlite(database(), memory=memory)["state"] == "up"


# --- what is wrongly asked


@pytest.mark.parametrize("dialect", sorted(_logsdb.DIALECTS))
def test_a_missing_library_is_named_with_the_command_that_brings_it(dialect, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(DriverMissing) as caught:
        _logsdb.read(**parameters(dialect=dialect))
    assert "sqlalchemy" in caught.value.message
    assert "pip install" in caught.value.details["install"]


@pytest.mark.parametrize(
    ("given", "option"),
    [
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"database": None}, "database"),
        ({"dialect": "postgresql", "host": None}, "host"),
        ({"login": {"file": "/nope"}}, "login.file"),
        ({"login": {"env_file": "/etc/hostname"}}, "login"),
    ],
)
def test_a_wrong_parameter_is_named(given, option, database):
    with pytest.raises(WrongQuestion) as caught:
        _logsdb.read(**{**parameters(dialect="sqlite", database=database()), **given})
    assert caught.value.details["option"] == option


def test_only_a_bounded_child_hangs(login):
    """A clock in the child tells silent from slow; the deadline of the child holds whatever the driver does."""
    with server() as port:
        outcome = _process.call(lambda: read_from("oracle", port, login), 8)
    assert outcome.get()["reason"] == "silent"
    assert outcome.duration_ms < 6000


def test_the_host_code_needs_no_driver():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from ansible_collections.ops.remediation.plugins.module_utils._shared import sql as _logsdb;"
        " print([m for m in sys.modules if m in ('sqlalchemy', 'psycopg', 'pymysql', 'oracledb')])"
    )
    path = os.path.join(os.path.dirname(__file__), "..", "..", "..", ".cache", "collections")
    done = _process.run([os.sys.executable, "-c", code, path], deadline=20)
    assert done.stdout.strip() == "[]", done.stderr
