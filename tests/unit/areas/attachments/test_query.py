# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wanted names from a database: the target query on the replica of an Oracle server, and LogsDB."""

from __future__ import annotations

import json
import socket
import sqlite3
import sys
from datetime import date

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.ops.remediation.plugins.module_utils._areas import registry as _registry
from ansible_collections.ops.remediation.plugins.module_utils._core import asking as _ask
from ansible_collections.ops.remediation.plugins.module_utils._core import state as _state
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import WrongQuestion

from ..oracle.helpers import CHECKOUT
from . import helpers as h

sys.path.insert(0, str(CHECKOUT))

from tests.replica.customers import BY_AUTOMATION
from tests.replica.oracle.tests.conftest import start_server

DAY = "20261201"
NAMES = [customer.attachment(DAY) for customer in BY_AUTOMATION[10]]
TARGET_QUERY = "SELECT v.CUST_ID, v.EMAIL_ADDR, v.ATTACH_FILE_NAME, v.AUTO_ID FROM TARGET_VIEW v WHERE v.AUTO_ID = 10"
OF_THE_DAY = "SELECT AUTO_ID, REPLACE(ATTACH_PATTERN, '{date}', :day) AS ATTACH_FILE_NAME FROM TARGET WHERE AUTO_ID = 10"
MAILS = """
CREATE TABLE AUTOMATION (AUTO_ID int);
CREATE TABLE AUTO_RUN_LOG (RUN_ID int);
CREATE TABLE EMAIL_SEND_LOG (SEND_ID integer PRIMARY KEY, ORG_ID int, ATTACH_FILE_NAME text, SEND_AT timestamp);
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    running = start_server(tmp_path_factory.mktemp("oracle"))
    yield running
    running.stop()


@pytest.fixture
def oracle(server, tmp_path):
    """Return a function that makes the part ``oracle`` of a wanted_query."""

    def make(user="TANK_MON", password=None, **more):
        path = tmp_path / f"password-{user}"
        path.write_text(password or server.passwords[user])
        place = {"host": "127.0.0.1", "port": server.ports["port"], "service": "ORCLPDB1"}
        return {**place, "user": user, "password_from": {"file": str(path)}, **more}

    yield make
    server.control.restore()


@pytest.fixture
def ask(tmp_path):
    """Return a function that asks attachments.present in a folder; its answer."""
    root = tmp_path / "report"
    root.mkdir(exist_ok=True)

    def run(files=(), deadline=10.0, **params):
        for name in files:
            h.put(root, name)
        asked = {"roots": [str(root)], "date": "2026-12-01", "settle": 0, "answer_within": deadline * 0.8, "details": 5, **params}
        questions = _registry.parse([{"check": "attachments.present", "params": asked, "deadline": deadline}], ArgumentSpecValidator)
        return _ask.ask(questions, asked_from="app", state=_state.State(str(tmp_path / "state"), read_only=False))

    return run


def only(answer):
    assert answer.wrong == []
    (finding,) = answer.findings
    return finding


# --- Oracle


def test_the_names_of_the_target_query_are_looked_for_and_nothing_else_of_it_is_kept(ask, oracle):
    answer = ask(NAMES[1:], wanted_query={"query": OF_THE_DAY, "oracle": oracle()}, group_column="auto_id")
    finding = only(answer)
    assert (finding["code"], finding["value"], finding["evidence"]["wanted"]) == ("attachments.not_found", 1, len(NAMES))
    assert [(one["name"], one["group"]) for one in finding["evidence"]["examples"]] == [(NAMES[0], "10")]


def test_columns_with_personal_data_go_nowhere(ask, oracle, tmp_path):
    answer = ask(["A_1.csv"], wanted_query={"query": TARGET_QUERY, "oracle": oracle()}, details=100)
    assert answer.findings[0]["evidence"]["wanted"] == len(NAMES)
    kept = "".join(path.read_text() for path in (tmp_path / "state").glob("*.json"))
    assert "@example" not in json.dumps(answer.findings) + kept


def test_a_query_with_one_column_needs_no_name_for_it(ask, oracle):
    query = f"SELECT CUST_ID || '.csv' FROM TARGET WHERE CUST_ID = '{BY_AUTOMATION[10][0].cust_id}'"  # noqa: S608
    finding = only(ask(["X_1.csv"], wanted_query={"query": query, "oracle": oracle()}))
    assert finding["evidence"]["examples"][0]["name"] == f"{BY_AUTOMATION[10][0].cust_id}.csv"


@pytest.mark.parametrize(
    ("query", "more", "words"),
    [
        ("SELECT CUST_ID, AUTO_ID FROM TARGET", {}, "name_column: 'ATTACH_FILE_NAME' is no column of the query; it has CUST_ID, AUTO_ID"),
        (TARGET_QUERY, {"group_column": "ORG"}, "group_column: 'ORG' is no column of the query; it has CUST_ID, EMAIL_ADDR"),
        ("DELETE FROM TARGET", {}, "wanted_query.query: 'DELETE FROM TARGET' is no query; give a SELECT"),
        (
            "SELECT CUST_ID FROM TARGET FOR UPDATE",
            {},
            "wanted_query.oracle.query: 'SELECT CUST_ID FROM TARGET FOR UPDATE' is not a plain query",
        ),
        ("", {}, "wanted_query.query: '' is missing; give the target query"),
        (TARGET_QUERY, {"wanted": ["A.csv"]}, "wanted: 'wanted_query' is given besides; take the wanted names from one place"),
    ],
)
def test_a_query_that_cannot_be_used_gets_one_line(ask, oracle, query, more, words):
    (line,) = ask(wanted_query={"query": query, "oracle": oracle()}, **more).wrong
    assert line.startswith(words)


def test_a_reference_that_leads_nowhere_is_named_as_it_was_given(ask, oracle):
    given = oracle(password_from={"file": "/nope"})
    (line,) = ask(wanted_query={"query": TARGET_QUERY, "oracle": given}).wrong
    assert line.startswith("password_from of wanted_query.oracle, file: '/nope' cannot be read where the check runs")


FAULTS = {
    "ORA-12541": {"kind": "listener", "state": "down"},
    "ORA-01034": {"kind": "instance", "state": "down"},
    "ORA-03113": {"kind": "stage", "stage": "execute", "mode": "close"},
    "oracle.slow": {"kind": "slow_query", "seconds": 5, "match": "TARGET"},
}


@pytest.mark.parametrize("code", FAULTS)
def test_a_database_that_cannot_be_used_leaves_the_names_unknown_and_names_the_cause(ask, oracle, server, code):
    server.control.set_fault(**FAULTS[code])
    answer = ask(["A_1.csv"], wanted_query={"query": TARGET_QUERY, "oracle": oracle()}, deadline=5.0)
    server.control.clear_faults()
    finding = only(answer)
    assert (finding["status"], finding["code"], finding["evidence"]["blocked_by"]) == ("unknown", "run.check_unknown", code)
    assert "the wanted names are not known" in finding["evidence"]["reason"]


def test_that_no_file_is_there_is_found_without_names_too(ask, oracle):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = listener.getsockname()[1]
    answer = ask(wanted_query={"query": TARGET_QUERY, "oracle": oracle(port=closed)})
    assert [finding["code"] for finding in answer.findings] == ["run.check_unknown", "attachments.batch_missing"]


def test_a_table_that_may_not_be_seen(ask, oracle, server):
    server.control.account("POOR", password="Poor-7a1", rights=["CREATE SESSION"], grants={})
    finding = only(ask(["A_1.csv"], wanted_query={"query": TARGET_QUERY, "oracle": oracle("POOR", "Poor-7a1")}))
    assert finding["evidence"]["blocked_by"] == "oracle.no_privilege"
    assert "ORA-00942" in finding["evidence"]["reason"]


def test_a_refused_password_is_tried_once_and_again_when_it_changes(ask, oracle, server):
    def tried():
        return len(server.control.logins(user="TANK_MON"))

    query = {"query": TARGET_QUERY, "oracle": oracle(password="Wrong-7a1")}
    before = tried()
    first, second = only(ask(["A_1.csv"], wanted_query=query)), only(ask(wanted_query=query))
    assert [finding["evidence"]["blocked_by"] for finding in (first, second)] == ["ORA-01017"] * 2
    assert "not tried again" in second["evidence"]["reason"]
    assert tried() == before + 1
    assert "Wrong-7a1" not in json.dumps([first, second])
    for _again in range(2):
        assert ask(wanted_query={"query": TARGET_QUERY, "oracle": oracle()}).findings[0]["evidence"]["wanted"] == len(NAMES)


def test_what_the_checks_of_oracle_were_refused_is_not_tried_here_either(ask, oracle, server, tmp_path):
    target = {"name": "db", **oracle(password="Wrong-8b2")}
    questions = _registry.parse([{"check": "oracle.connect", "params": {"targets": [target]}}], ArgumentSpecValidator)
    state = _state.State(str(tmp_path / "state"), read_only=False)
    assert _ask.ask(questions, asked_from="app", state=state).findings[0]["code"] == "ORA-01017"
    before = len(server.control.logins(user="TANK_MON"))
    finding = only(ask(["A_1.csv"], wanted_query={"query": TARGET_QUERY, "oracle": oracle(password="Wrong-8b2")}))
    assert finding["evidence"]["blocked_by"] == "ORA-01017"
    assert len(server.control.logins(user="TANK_MON")) == before


# --- LogsDB


@pytest.fixture
def mails(tmp_path):
    """Return the part ``logsdb`` of a wanted_query: three mails of the day, one of them twice, and one of the day before."""
    path = str(tmp_path / "logs.db")
    with sqlite3.connect(path) as connection:
        connection.executescript(MAILS)
        rows = [("A_1.csv", "01 00:00:00"), ("B_1.csv", "01 23:59:59"), ("A_1.csv", "01 09:00:00"), ("C_1.csv", "02 00:00:00")]
        for name, moment in rows:
            connection.execute("INSERT INTO EMAIL_SEND_LOG VALUES (NULL, 30, ?, ?)", (name, f"2026-12-{moment}.000000"))
    connection.close()
    return {"dialect": "sqlite", "database": path}


def test_the_names_of_the_mails_of_a_day(ask, mails):
    finding = only(ask(["A_1.csv"], wanted_query={"logsdb": mails}))
    assert (finding["code"], finding["evidence"]["wanted"]) == ("attachments.not_found", 2)
    assert [(one["name"], one["group"]) for one in finding["evidence"]["examples"]] == [("B_1.csv", "30")]


def test_a_query_of_ones_own_in_logsdb(ask, mails):
    query = "SELECT ATTACH_FILE_NAME FROM EMAIL_SEND_LOG WHERE replace(substr(SEND_AT, 1, 10), '-', '') > :day"
    finding = only(ask(["A_1.csv"], wanted_query={"logsdb": mails, "query": query}))
    assert [one["name"] for one in finding["evidence"]["examples"]] == ["C_1.csv"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"database": "/nope/logs.db"}, "LogsDB: database missing"),
        ({"dialect": "postgresql", "host": "127.0.0.1", "port": 1, "database": "logs"}, "LogsDB: network refused"),
    ],
)
def test_a_logsdb_that_cannot_be_used(ask, mails, change, words):
    finding = only(ask(["A_1.csv"], wanted_query={"logsdb": {**mails, **change}}))
    assert finding["evidence"]["blocked_by"] == "logsdb.unreachable"
    assert words in finding["evidence"]["reason"]


def test_a_query_that_logsdb_refuses(ask, mails):
    finding = only(ask(["A_1.csv"], wanted_query={"logsdb": mails, "query": "SELECT X FROM NOWHERE"}))
    assert "LogsDB: query failed: no such table: NOWHERE" in finding["evidence"]["reason"]


# --- which Python asks


@pytest.mark.parametrize(
    ("params", "driver"),
    [
        ({"roots": ["/x"]}, ""),
        ({"roots": ["/x", "s3://reports/x"]}, "boto3"),
        ({"roots": ["/x"], "wanted_query": {"query": "SELECT 1", "oracle": {"host": "h", "service": "s", "user": "u"}}}, "oracledb"),
        ({"roots": ["/x"], "wanted_query": {"logsdb": {"database": "logs"}}}, ""),
    ],
)
def test_the_library_that_a_question_needs(params, driver):
    (question,) = _registry.parse([{"check": "attachments.present", "params": params}], ArgumentSpecValidator)
    assert question.driver == driver


def test_one_place_at_least_and_one_at_most():
    for given in ({"query": "SELECT 1"}, {"logsdb": {"database": "x"}, "oracle": {"host": "h", "service": "s", "user": "u"}}):
        asked = {"check": "attachments.present", "params": {"roots": ["/x"], "wanted_query": given}}
        with pytest.raises(WrongQuestion, match="oracle"):
            _registry.parse([asked], ArgumentSpecValidator)


def test_the_day_is_a_bind_variable_and_never_text():
    from ansible_collections.ops.remediation.plugins.module_utils._areas.attachments import query as _attachments_query

    assert _attachments_query._DAY.search("WHERE D = :day AND X = 1")
    assert not _attachments_query._DAY.search("TO_CHAR(D, 'HH24:days') || ':daylight'")
    assert date(2026, 12, 1).strftime("%Y%m%d") == DAY
