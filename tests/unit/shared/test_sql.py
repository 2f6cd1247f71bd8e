# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection to LogsDB: what it says, why it cannot say it, and that it never tells a password."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import threading
import time
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import get_args
from urllib.parse import quote

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.logsdb import read_facts as _logsdb_facts
from ansible_collections.ops.remediation.plugins.module_utils._core import children as _process
from ansible_collections.ops.remediation.plugins.module_utils._core import state as _state
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import Crashed, DriverMissing, RemediationError, WrongQuestion
from ansible_collections.ops.remediation.plugins.module_utils._shared import sql, tcp

from ..areas.logsdb.helpers import SEOUL, make_database, parameters, read_sqlite

RUNS = 3  # at the same time
PLANTED = "pla nted/p@ss:w%rd'7\"a1"


@pytest.fixture
def login(tmp_path):
    """Return a reference to the planted password."""
    path = tmp_path / "login"
    path.write_text(PLANTED + "\n")
    return {"file": str(path)}


@pytest.fixture
def database(tmp_path):
    """Return a function that makes an SQLite LogsDB with more statements, and returns its path."""
    return partial(make_database, tmp_path / "logs.db")


def test_nothing_can_be_written_and_no_statement_runs_for_ever(database):
    import sqlalchemy

    path = database()
    target = sql.Target("sqlite", "", 0, path, "", 3.0, 0.3)
    with sql.connected(sqlalchemy, target, SEOUL) as session:
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
    return _logsdb_facts.read_facts(
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
    facts = _logsdb_facts.read_facts(
        **parameters(dialect=dialect, host="no-such-host.invalid", database="logs", user="monitor", login=login)
    )
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
        raise ValueError(f"connect failed: {options} dsn=u:{PLANTED}@h {quote(PLANTED)}")

    monkeypatch.setattr(sql, "_guarded", lambda _sql, target, *_more: telling(password=target.password))
    with pytest.raises(Crashed) as caught:
        read_from(dialect, 1, login)
    for spelling in (PLANTED, "nted", "%2Fp"):
        assert spelling not in caught.value.message
    assert caught.value.__cause__ is None


def test_the_password_shows_in_no_representation():
    target = sql.Target("postgresql", "h", 1, "d", "u", 1.0, 1.0, PLANTED)
    assert "nted" not in repr(target)
    import sqlalchemy

    for dialect in sql.DIALECTS.values():
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
    target = sql.Target("postgresql", "", 0, "l", "m", 1.0, 1.0)
    found = sql._explained(target, SimpleNamespace(orig=text))
    assert (found.stage, found.reason) == (stage, reason)


@pytest.mark.parametrize("state", get_args(tcp.State))
def test_how_far_the_network_lets_us(state, monkeypatch):
    def fail(*_arguments):
        raise tcp.NotConnected(state, OSError(1, "x"))

    monkeypatch.setattr(tcp, "resolve", fail)
    target = sql.target_of(parameters(dialect="postgresql", host="db", port=1, database="logs"))
    expected = {"name": ("name", "not_resolved"), "timeout": ("network", "timeout"), "refused": ("network", "refused")}
    assert sql._network(target) == expected.get(state, ("network", "unreachable"))


# --- what a refused login means


def test_a_refused_login_is_not_tried_again_until_it_changes(login, tmp_path, monkeypatch):
    tried = []

    def refuse(_sql, target, _zone):
        tried.append(target.password)
        raise sql.Unreachable("login", "password", "no")

    monkeypatch.setattr(sql, "connected", refuse)
    first = read_from("postgresql", 1, login)
    memory = sql.remember(first)
    assert "nted" not in json.dumps(memory)
    second = _logsdb_facts.read_facts(
        memory=memory,
        **parameters(dialect="postgresql", host="127.0.0.1", port=1, database="logs", user="monitor", login=login, connect_within=1.0),
    )
    assert tried == [PLANTED]
    assert (second["stage"], second["reason"], second["held_since"]) == ("login", "password", memory["refused"]["at"])
    assert sql.remember(second) == memory
    (tmp_path / "login").write_text("another")
    read_from("postgresql", 1, login, memory=memory)
    assert tried == [PLANTED, "another"]


def test_a_refused_login_is_tried_once_more_when_told_to(login, monkeypatch):
    tried, answers = [], ["password", "password", None]

    @contextmanager
    def answer(_sql, target, _zone):
        tried.append(target.password)
        reason = answers.pop(0)
        if reason:
            raise sql.Unreachable("login", reason, "no")
        yield SimpleNamespace(server=lambda: "sqlite 3", dialect="sqlite")

    monkeypatch.setattr(sql, "connected", answer)
    monkeypatch.setattr(_logsdb_facts, "_facts", lambda *_arguments: {})
    first = sql.remember(read_from("postgresql", 1, login))
    again = read_from("postgresql", 1, login, memory=first, forget_refused=True)
    assert again["held_since"] is None
    second = sql.remember(again)
    assert read_from("postgresql", 1, login, memory=second)["held_since"]
    assert len(tried) == 2
    last = read_from("postgresql", 1, login, memory=second, forget_refused=True)
    assert (last["state"], sql.remember(last)) == ("up", {"refused": None})


@pytest.mark.parametrize("forget", [False, True])
def test_runs_at_the_same_time_try_a_refused_login_once(login, tmp_path, monkeypatch, forget):
    state, tried = _state.State(str(tmp_path / "state"), read_only=False), tmp_path / "tried"

    def refuse(_sql, _target, _zone):
        with tried.open("a") as file:
            file.write("x")
        time.sleep(0.3)
        raise sql.Unreachable("login", "password", "no")

    monkeypatch.setattr(sql, "connected", refuse)
    given = parameters(dialect="postgresql", host="db", database="logs", user="monitor", login=login, forget_refused=forget)
    if forget:
        earlier = _logsdb_facts.read_facts(memory=state.recall("x"), **given)
        state.save("x", sql.remember(earlier))
        tried.unlink()
    begun = tmp_path / "begun"
    begun.mkdir()

    def ask():
        """Read with a memory that was recalled before any of the runs logs in, however late each child begins."""
        memory = state.recall("x")
        (begun / str(os.getpid())).touch()
        while len(os.listdir(begun)) < RUNS:
            time.sleep(0.01)
        return _logsdb_facts.read_facts(memory=memory, **given)

    calls = {number: _process.Call(ask, 60.0) for number in range(RUNS)}
    answers = [outcome.get() for outcome in _process.call_all(calls).values()]
    assert tried.read_text() == "x"
    assert [answer["reason"] for answer in answers] == ["password"] * RUNS
    assert [bool(answer["held_since"]) for answer in answers].count(False) == 1


def test_behind_a_login_that_hangs_the_server_is_silent(login, tmp_path):
    state = _state.State(str(tmp_path / "state"), read_only=False)
    kept = state.recall("x")
    with server() as port, state.recall("x").alone("login", lambda: True):
        facts = read_from("postgresql", port, login, memory=kept)
    assert (facts["stage"], facts["reason"]) == ("network", "silent")


@pytest.mark.parametrize("reason", ["locked", "expired", "not_allowed"])
def test_what_the_administrator_ends_is_asked_again(reason, login, monkeypatch):
    tried = []

    def refuse(_sql, target, _zone):
        tried.append(target.password)
        raise sql.Unreachable("login", reason, "no")

    monkeypatch.setattr(sql, "connected", refuse)
    memory = sql.remember(read_from("postgresql", 1, login))
    assert memory == {"refused": None}
    target = sql.target_of(
        parameters(dialect="postgresql", host="127.0.0.1", port=1, database="logs", user="monitor", login=login, connect_within=1.0),
    )
    former = sql.refusal(target, reason)  # as an earlier release kept it
    assert read_from("postgresql", 1, login, memory={"refused": former})["held_since"] is None
    assert len(tried) == 2


def test_a_network_failure_forgets_no_refusal(login, monkeypatch):
    def away(*_arguments):
        raise sql.Unreachable("network", "timeout")

    monkeypatch.setattr(sql, "connected", away)
    refused = {"salt": "00", "hash": "11", "reason": "password", "at": "2026-01-01T00:00:00Z"}
    assert read_from("mysql", 1, login, memory={"refused": refused})["refused"] == refused


@pytest.mark.parametrize("memory", [None, {}, {"refused": None}, {"refused": "x"}, {"refused": {"salt": "00"}}])
def test_a_strange_memory_is_none(memory, database):
    assert read_sqlite(database(), memory=memory)["state"] == "up"


# --- what is wrongly asked


@pytest.mark.parametrize("dialect", sorted(sql.DIALECTS))
def test_a_missing_library_is_named_with_the_command_that_brings_it(dialect, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(DriverMissing) as caught:
        _logsdb_facts.read_facts(**parameters(dialect=dialect))
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
        _logsdb_facts.read_facts(**{**parameters(dialect="sqlite", database=database()), **given})
    assert caught.value.details["option"] == option


def test_only_a_bounded_child_hangs(login):
    """A clock in the child tells silent from slow; the deadline of the child holds whatever the driver does."""
    with server() as port:
        outcome = _process.call(lambda: read_from("oracle", port, login), 8)
    assert outcome.get()["reason"] == "silent"
    assert outcome.duration_ms < 6000


def test_the_host_code_needs_no_driver():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from ansible_collections.ops.remediation.plugins.module_utils._areas.logsdb import area;"
        " print([m for m in sys.modules if m in ('sqlalchemy', 'psycopg', 'pymysql', 'oracledb')])"
    )
    path = os.path.join(os.path.dirname(__file__), "..", "..", "..", ".cache", "collections")
    done = _process.run([os.sys.executable, "-c", code, path], deadline=20)
    assert done.stdout.strip() == "[]", done.stderr
