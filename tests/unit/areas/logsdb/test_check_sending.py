# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""logsdb.sending: failures against the same hours of former weeks, and the peak a second."""

from __future__ import annotations

from ansible_collections.ops.remediation.plugins.module_utils._areas.logsdb import check_sending as _ses_sent
from ansible_collections.ops.remediation.plugins.module_utils._areas.logsdb import read_facts as _logsdb_facts
from ansible_collections.ops.remediation.plugins.module_utils._areas.logsdb import read_mails as _logsdb_mails
from ansible_collections.ops.remediation.plugins.module_utils._core import source as _sources
from ansible_collections.ops.remediation.plugins.module_utils._core.children import Outcome

NOW = 1_795_000_000.0


def mails(errors, attempts=1000, usual=None, usual_attempts=4000, **more):
    now = {"attempts": attempts, "errors": errors}
    known = {"attempts": usual_attempts, "errors": usual or {}}
    return {"hours": 3, "weeks": 4, "now": now, "usual": known, "domains": {}, "peak": None, "not_asked": [], **more}


def sending(told, **parameters):
    given = {name: spec.get("default") for name, spec in _ses_sent.PARAMETERS.items()} | parameters
    return _ses_sent.judge(_sources.Asked(given, NOW, {"logsdb.facts": Outcome({"state": "up", "mails": told})}))


def test_failures_are_judged_against_the_same_hours_and_weekday():
    (finding,) = sending(mails({"Throttling": 30}, usual={"Throttling": 20}))
    assert finding.code == "ses.throttled"
    assert finding.evidence["usual_count"] == 20
    assert finding.evidence["chance"] < 0.001
    assert sending(mails({"Throttling": 8}, usual={"Throttling": 20}))[0].status == "ok"
    assert sending(mails({"Throttling": 4}))[0].status == "ok"
    assert sending(mails({"FILE": 500}))[0].status == "ok"


def test_the_first_weeks_have_no_usual_but_a_stated_share():
    assert sending(mails({"Throttling": 30}, usual_attempts=0))[0].code == "ses.throttled"
    assert sending(mails({"Throttling": 8}, usual_attempts=0))[0].status == "ok"


def test_other_causes_are_left_to_their_own_checks():
    (finding,) = sending(mails({"MessageRejected": 50, "AccessDenied": 40}))
    assert (finding.code, finding.subject) == ("worker.ses_error", "LogsDB")
    assert {cause["code"] for cause in finding.evidence["causes"]} == {"ses.identity_unverified", "ses.access_denied"}


def test_bad_addresses_have_their_domains():
    (finding,) = sending(mails({"InvalidParameterValue": 40}, domains={"gmial.com": 30, "x.com": 10}))
    assert finding.code == "ses.invalid_address"
    assert finding.evidence["domains"][0] == {"name": "gmial.com", "count": 30}


def test_names_of_version_2_count_in_logsdb():
    (finding,) = sending(mails({"BadRequestException": 40}, domains={"gmial.com": 40}))
    assert finding.code == "ses.invalid_address"
    (finding,) = sending(mails({"AccountSuspendedException": 40}))
    assert finding.evidence["causes"] == [{"code": "ses.account_paused", "count": 40}]


def test_the_peak_a_second_against_the_send_rate():
    (finding,) = sending(mails({}, peak=13))
    assert (finding.status, finding.evidence["peak_rate"]) == ("ok", 13)
    assert [note for note in finding.evidence["not_asked"] if "max_send_rate" in note]
    assert "not_asked" not in sending(mails({}, peak=3), max_send_rate=14.0)[0].evidence
    (finding,) = sending(mails({}, peak=13), max_send_rate=14.0)
    assert (finding.code, finding.value) == ("ses.rate_near_limit", 92.9)


def test_what_logsdb_could_not_answer_is_unknown_and_why():
    told = {**mails({}), "now": None, "not_asked": ["EMAIL_SEND_LOG, failures: canceling statement due to statement timeout"]}
    (finding,) = sending(told)
    assert finding.status == "unknown"
    assert "statement timeout" in finding.evidence["reason"]


def test_logsdb_counts_by_window_on_a_real_database(tmp_path):
    import sqlite3
    from datetime import datetime, timedelta

    from ansible_collections.ops.remediation.plugins.module_utils._shared import sql as _logsdb

    path, now = tmp_path / "logsdb.sqlite", datetime.now().replace(microsecond=0)
    with sqlite3.connect(path) as base:
        for table in ("automation (auto_id, status, next_run_at)", "auto_run_log (auto_id, start_at, end_at)"):
            base.execute(f"CREATE TABLE {table}")
        base.execute("CREATE TABLE email_send_log (send_id INTEGER PRIMARY KEY, email, status, error_type, send_at)")
        rows = [("h***@a.com", "FAIL", "BadRequestException", now - timedelta(minutes=5))] * 4
        rows += [("h***@a.com", "SUCCESS", None, now - timedelta(minutes=6))] * 6
        rows += [("h***@a.com", "FAIL", "Throttling", now - timedelta(weeks=2, minutes=5))] * 3
        rows += [("h***@a.com", "FAIL", "Throttling", now - timedelta(days=3))] * 9
        base.executemany(
            "INSERT INTO email_send_log (email, status, error_type, send_at) VALUES (?, ?, ?, ?)", [(*row[:3], str(row[3])) for row in rows]
        )
    given = dict.fromkeys(_logsdb_facts.READING_PARAMETERS) | {
        "dialect": "sqlite",
        "database": str(path),
        "timezone": "UTC",
        "connect_within": 3.0,
        "answer_within": 2.0,
        "look_back_days": 35,
    }
    outcome = _logsdb.take(lambda session: session.look_at_tables(["email_send_log"]) and _logsdb_mails.read_mails(session, now), **given)
    told = outcome["taken"]
    assert told["now"] == {"attempts": 10, "errors": {"BadRequestException": 4}}
    assert told["usual"] == {"attempts": 3, "errors": {"Throttling": 3}}
    assert told["domains"] == {"a.com": 4}
    assert told["peak"] == 6
