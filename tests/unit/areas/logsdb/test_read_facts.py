# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""logsdb.facts: what LogsDB has about work, in an SQLite database."""

from __future__ import annotations

from datetime import datetime
from functools import partial

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.logsdb.read_facts import FACTS
from ansible_collections.ops.remediation.plugins.module_utils._areas.logsdb.read_work import SHOWN_AUTOMATIONS
from ansible_collections.ops.remediation.plugins.module_utils._shared.sql import MAX_GROUPS

from .helpers import SCHEMA, SEOUL, local, make_database, parameters, read_sqlite, utc


@pytest.fixture
def database(tmp_path):
    """Return a function that makes an SQLite LogsDB with more statements, and returns its path."""
    return partial(make_database, tmp_path / "logs.db")


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
    many = MAX_GROUPS + 50
    runs = [
        ("INSERT INTO AUTO_RUN_LOG (AUTO_ID, START_AT, END_AT) VALUES (?, ?, ?)", auto, local(days=2), local(days=1))
        for auto in range(many)
    ]
    late = local(hours=1)
    path = database(*runs, ("INSERT INTO AUTO_RUN_LOG (AUTO_ID, START_AT) VALUES (?, ?)", many, late))
    work = read_sqlite(path)["work"]
    assert (work["runs"], work["open_runs"], work["oldest_open"], work["automations_total"]) == (many + 1, 1, utc(late), many + 1)
    assert work["automations"][0]["auto_id"] == many
    assert len(work["automations"]) == SHOWN_AUTOMATIONS
    assert work["not_asked"] == []


def test_groups_that_were_left_out_are_named(database):
    many = MAX_GROUPS + 1
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


def test_a_wish_to_forget_changes_no_name_of_what_is_kept():
    source = FACTS
    given = parameters(dialect="postgresql", host="db", database="logs", user="monitor", login={"file": "/x"})
    assert source.memory_key(given) == source.memory_key({**given, "forget_refused": True})
