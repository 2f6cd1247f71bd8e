# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SES as the worker's log and LogsDB tell it, the module through its main(), and the README's policy."""

from __future__ import annotations

import json
import re

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ops.remediation.plugins.module_utils._areas.logsdb import check_sending as _ses_sent
from ansible_collections.ops.remediation.plugins.module_utils._areas.logsdb import mails as _logsdb_mails
from ansible_collections.ops.remediation.plugins.module_utils._areas.ses import read_aws as _ses_ask
from ansible_collections.ops.remediation.plugins.module_utils._areas.ses import spf as _ses_spf
from ansible_collections.ops.remediation.plugins.module_utils._areas.worker import check_log, check_ses
from ansible_collections.ops.remediation.plugins.module_utils._core import source as _sources
from ansible_collections.ops.remediation.plugins.module_utils._core.children import Outcome
from ansible_collections.ops.remediation.plugins.module_utils._shared.logs import signatures as _signatures
from ansible_collections.ops.remediation.plugins.modules import ses_quota
from ansible_collections.ops.remediation.plugins.plugin_utils.record import folding
from ansible_collections.ops.remediation.plugins.plugin_utils.texts import catalogue as faults_catalogue

from ...shared.logs import helpers as log_helpers
from . import helpers as h

NOW = 1_795_000_000.0


# --- the worker's log: names of versions 1 and 2


@pytest.mark.parametrize(
    "said, code",
    [
        ("Throttling: Maximum sending rate exceeded.", "ses.throttled"),
        ("TooManyRequestsException: Maximum sending rate exceeded.", "ses.throttled"),
        ("Throttling: Daily message quota exceeded.", "ses.quota_exhausted"),
        ("MessageRejected: Email address is not verified. The following identities failed: a@x.com", "ses.identity_unverified"),
        ("MessageRejected: Sending paused for this account.", "ses.account_paused"),
        ("AccountSendingPausedException: Email sending is disabled for this account.", "ses.account_paused"),
        ("SendingPausedException: Email sending is disabled.", "ses.account_paused"),
        ("MailFromDomainNotVerifiedException: The MAIL FROM domain x is not verified.", "ses.mail_from"),
        ("AccessDenied: User: arn:aws:iam::1:user/x is not authorized to perform: ses:SendRawEmail", "ses.access_denied"),
        ("AccessDeniedException: User is not authorized to perform: ses:SendEmail", "ses.access_denied"),
        ("InvalidClientTokenId: The security token included in the request is invalid.", "ses.key_invalid"),
        ("UnrecognizedClientException: The security token included in the request is invalid.", "ses.key_invalid"),
        ("SignatureDoesNotMatch: Signature expired: 20261121T000000Z is now earlier than 20261121T001000Z", "ses.clock"),
        ("InvalidParameterValue: Missing final '@domain'", "ses.invalid_address"),
        ("InvalidParameter: Invalid address", "ses.invalid_address"),
        ("BadRequestException: Missing final '@domain' (h***@a.example.com)", "ses.invalid_address"),
        ("AccountSuspendedException: The account's ability to send email has been permanently restricted.", "ses.account_paused"),
        ("LimitExceededException: There are too many instances of the specified resource type.", "ses.quota_exhausted"),
    ],
)
def test_what_ses_tells_the_worker_has_one_cause(said, code):
    causes = [signature.code for signature, _detail in _signatures.matching(f"SES send error: {said}")[1:]]
    assert causes[0] == code
    assert set(causes) <= {code, "ses.key_invalid"}


def log_answer(*lines):
    collected = log_helpers.collect(*[log_helpers.nest(line) for line in lines])
    groups = {key: group.as_dict() for key, group in collected.items()}
    for group in groups.values():
        group.update(first=NOW - 100, last=NOW - 50)
    file = {"path": "/x/worker-error.log", "problem": "", "read": 10, "skipped": 0, "behind": False, "lost": False}
    return {"state": "up", "user": "tankmail", "processes": {"worker": {"entries": [], "files": [file], "groups": groups}}}


def of_the_log(check, answer):
    parameters = {"process": "worker", "pm2_home": "/home/tankmail/.pm2", "quiet": 86400}
    return check(_sources.Asked(parameters, NOW, {"log.applications": Outcome(answer)}))


def test_throttling_and_addresses_are_told_from_the_log_with_their_domains():
    answer = log_answer(
        "SES send error: Throttling: Maximum sending rate exceeded. (h***@a.example.com)",
        "SES send error: InvalidParameterValue: Missing final (k***@b.example.com)",
        "SES send error: InvalidParameterValue: Missing final (l***@b.example.com)",
    )
    found = {finding.code: finding for finding in of_the_log(check_ses.judge, answer)}
    assert set(found) == {"ses.throttled", "ses.invalid_address"}
    assert found["ses.throttled"].value == 1
    assert found["ses.invalid_address"].value == 2
    assert found["ses.invalid_address"].evidence["domains"] == [{"name": "b.example.com", "count": 2}]


def test_a_quota_that_is_used_up_is_no_throttling():
    (finding,) = of_the_log(check_ses.judge, log_answer("SES send error: Throttling: Daily message quota exceeded."))
    assert finding.status == "ok"


def test_bad_addresses_explain_the_workers_errors_although_they_are_milder():
    answer = log_answer("SES send error: InvalidParameterValue: Missing final (k***@b.example.com)")
    findings = [*of_the_log(check_ses.judge, answer), *of_the_log(check_log.judge, answer)]
    folded = folding.fold([{**finding.as_dict(), "host": "tank-app", "site": ""} for finding in findings])
    assert [(finding["code"], bool(finding["follows_from"])) for finding in folded] == [
        ("ses.invalid_address", False),
        ("worker.ses_error", True),
    ]


def test_errors_of_several_causes_stay_the_workers_own():
    answer = log_answer(
        "SES send error: InvalidParameterValue: Missing final", "SES send error: MessageRejected: Email address is not verified."
    )
    (finding,) = of_the_log(check_log.judge, answer)
    assert "caused_by" not in finding.evidence


def test_a_bad_request_that_is_not_about_an_address_is_none():
    names = {signature.name for signature, _detail in _signatures.matching("BadRequestException: Validation failed (uuid is expected)")}
    assert not {name for name in names if name.startswith("ses_")}


def test_bad_addresses_of_version_2_have_their_domains():
    (finding,) = of_the_log(check_ses.judge, log_answer("SES send error: BadRequestException: Missing final (k***@b.example.com)"))
    assert (finding.code, finding.evidence["domains"]) == ("ses.invalid_address", [{"name": "b.example.com", "count": 1}])


# --- LogsDB


def mails(errors, attempts=1000, usual=None, usual_attempts=4000, **more):
    now = {"attempts": attempts, "errors": errors}
    known = {"attempts": usual_attempts, "errors": usual or {}}
    return {"hours": 3, "weeks": 4, "now": now, "usual": known, "domains": {}, "peak": None, "not_asked": [], **more}


def sending(told, **parameters):
    given = {name: spec.get("default") for name, spec in _ses_sent.PARAMETERS.items()} | parameters
    return _ses_sent.sent(_sources.Asked(given, NOW, {"logsdb.facts": Outcome({"state": "up", "mails": told})}))


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
    given = dict.fromkeys(_logsdb.PARAMETERS) | {
        "dialect": "sqlite",
        "database": str(path),
        "timezone": "UTC",
        "connect_within": 3.0,
        "answer_within": 2.0,
        "look_back_days": 35,
    }
    outcome = _logsdb.take(lambda session: session.look_at_tables() and _logsdb_mails.read(session, now, "sqlite"), **given)
    told = outcome["taken"]
    assert told["now"] == {"attempts": 10, "errors": {"BadRequestException": 4}}
    assert told["usual"] == {"attempts": 3, "errors": {"Throttling": 3}}
    assert told["domains"] == {"a.com": 4}
    assert told["peak"] == 6


# --- the module


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    made = h.Aws(tmp_path_factory.mktemp("aws"))
    yield made
    made.close()


def run_main(capsys, **options):
    with patch_module_args(options), pytest.raises(SystemExit) as ended:
        ses_quota.main()
    return ended.value.code, json.loads(capsys.readouterr().out)


def test_main_returns_quota_rates_forecast_and_identities(aws, tmp_path, capsys):
    code, answer = run_main(capsys, **h.options(aws, tmp_path, identities=["example.com"]), state_dir=str(tmp_path / "state"))
    assert code == 0
    assert answer["changed"] is False
    assert {finding["status"] for finding in answer["findings"]} == {"ok"}
    assert answer["quota"]["limit"] == 50000
    assert answer["quota"]["parallel"] == 20
    assert set(answer["rates"]) == {"1d", "7d", "14d"}
    assert "pace" in answer["forecast"]
    assert answer["identities"] == [{"name": "example.com", "status": "ok", "codes": [], "dmarc": "quarantine"}]
    assert not (tmp_path / "state").exists()


def test_main_goes_through_the_proxy_of_its_environment(aws, tmp_path, capsys, monkeypatch):
    """As the documentation says; the proxy is the stand-in itself, and without it the name leads nowhere."""
    monkeypatch.setenv("HTTP_PROXY", aws.url)
    monkeypatch.setenv("NO_PROXY", "")
    given = h.options(aws, tmp_path, endpoint_urls=dict.fromkeys(h.SERVICES, "http://ses.example.invalid"), smtp_endpoint="-")
    _code, answer = run_main(capsys, **given, state_dir=str(tmp_path / "state"))
    assert {finding["status"] for finding in answer["findings"]} == {"ok"}


def test_main_fails_for_a_question_wrongly_put_and_says_which(aws, tmp_path, capsys):
    code, answer = run_main(capsys, **h.options(aws, tmp_path, resolver=["nowhere"]), state_dir=str(tmp_path / "state"))
    assert code == 1
    assert answer["msg"].startswith("resolver: 'nowhere' is no address")


def test_main_ends_in_time_when_aws_is_silent(aws, tmp_path, capsys):
    import time

    aws.do("fault.set", {"kind": "hang", "seconds": 4})
    try:
        started = time.monotonic()
        code, answer = run_main(capsys, **h.options(aws, tmp_path), timeout=2, state_dir=str(tmp_path / "state"))
        assert time.monotonic() - started < 4
    finally:
        aws.restore()
    assert code == 0
    assert "ses.unreachable" in {finding["code"] for finding in answer["findings"]}
    assert answer["quota"] == {}


# --- what the README says


def test_the_readmes_policy_is_what_is_called():
    text = (h.CHECKOUT / "roles/daily_check/README.md").read_text(encoding="utf-8")
    (policy,) = re.findall(r"```json\n(.*?)```", text, re.S)
    (statement,) = json.loads(policy)["Statement"]
    assert set(statement["Action"]) == set(_ses_ask.ACTIONS.values()) - {"sts:GetCallerIdentity"}


# --- small judgements


@pytest.mark.parametrize(
    "values, problem",
    [
        (["v=spf1 include:amazonses.com ~all"], ""),
        (["other", "V=SPF1 +include:amazonses.com -all"], ""),
        (["v=spf1 mx -all"], "without"),
        (["v=spf1 include:amazonses.com.evil.org -all"], "unknown"),
        (["v=spf1 include:_spf.example.com -all"], ""),
        (["v=spf1 redirect=_spf.example.com"], ""),
        (["v=spf1 include:deep.example.com -all"], ""),
        (["v=spf1 include:other.example.com -all"], "without"),
        (["v=spf1 include:other.example.com include:gone.example.com -all"], "without"),
        (["v=spf1 include:failed.example.com -all"], "unknown"),
        (["v=spf1 include:loop.example.com -all"], "without"),
        (["v=spf10 x"], "missing"),
        ([], "missing"),
        (["v=spf1 include:amazonses.com -all", "v=spf1 -all"], "several"),
    ],
)
def test_spf(values, problem):
    told = {
        "_spf.example.com": ("ok", ["v=spf1 include:amazonses.com -all"]),
        "deep.example.com": ("ok", ["v=spf1 include:other.example.com include:_spf.example.com -all"]),
        "other.example.com": ("ok", ["v=spf1 mx -all"]),
        "loop.example.com": ("ok", ["v=spf1 include:loop.example.com -all"]),
        "gone.example.com": ("absent", []),
        "failed.example.com": ("failed", []),
    }
    assert _ses_spf.problem(values, {f"{name} TXT": {"state": state, "values": found} for name, (state, found) in told.items()}) == problem


@pytest.mark.parametrize(
    "arn, expected",
    [
        ("arn:aws:iam::123456789012:user/tank", "arn:aws:iam::123456789012:user/tank"),
        ("arn:aws:sts::123456789012:assumed-role/app/i-1", "arn:aws:iam::123456789012:role/app"),
        ("arn:aws:iam::123456789012:root", ""),
        ("", ""),
    ],
)
def test_whose_policies_are_simulated(arn, expected):
    assert _ses_ask.principal(arn) == expected


def test_a_root_key_may_do_everything():
    facts = {
        "answers": {"caller": {"state": "ok", "data": {"Arn": "arn:aws:iam::1:root"}}},
        "own_key": True,
        "offset_s": 0.0,
        "region": "x",
    }
    assert [finding.code for finding in h.conclude("ses.key", {**facts, "active": None, "key_id": "", "env_file": ""})] == [
        "ses.policy_too_wide"
    ]


@pytest.mark.parametrize("decision", ["explicitDeny", "implicitDeny"])
def test_a_denial_that_depends_on_the_request_is_no_denial_yet(decision):
    """A guard-rail such as Deny unless aws:SourceIp is among ours: the simulation knows no address."""
    results = [simulated(decision, missing=["aws:SourceIp"], action=action) for action in _ses_ask.SENDING]
    (finding,) = h.conclude("ses.key", key_facts(*results), now=NOW)
    assert finding.status == "ok"
    assert finding.evidence["not_asked"] == [f"{action}: depends on aws:SourceIp of the request" for action in _ses_ask.SENDING]
    (finding,) = h.conclude("ses.key", key_facts(simulated(decision), simulated(decision, action="ses:SendEmail")), now=NOW)
    assert finding.code == "ses.access_denied"


def simulated(*decisions, missing=(), action="ses:SendRawEmail"):
    """One action, on one identity for each decision, as IAM answers; all of them denied together where one is."""
    arn = "arn:aws:ses:ap-southeast-1:123456789012:identity/{}"
    single = [
        {"EvalResourceName": arn.format(number), "EvalResourceDecision": decision, "MissingContextValues": list(missing)}
        for number, decision in enumerate(decisions)
    ]
    strictest = next((decision for decision in decisions if decision != "allowed"), "allowed")
    return {"EvalActionName": action, "EvalDecision": strictest, "ResourceSpecificResults": single}


def test_what_may_be_sent_from_one_identity_may_be_sent():
    (finding,) = h.conclude("ses.key", key_facts(simulated("implicitDeny", "allowed")), now=NOW)
    assert finding.status == "ok"
    denied = ("implicitDeny", "explicitDeny")
    (finding,) = h.conclude("ses.key", key_facts(simulated(*denied), simulated(*denied, action="ses:SendEmail")), now=NOW)
    assert finding.code == "ses.access_denied"


def test_a_key_that_may_only_send_raw_mails_may_send():
    facts = key_facts(simulated("allowed"), simulated("implicitDeny", action="ses:SendEmail"))
    (finding,) = h.conclude("ses.key", facts, now=NOW)
    assert (finding.status, finding.evidence["lacking"]) == ("ok", ["ses:SendEmail"])


def test_a_denial_in_general_is_none_for_an_identity_that_nobody_knows():
    shared = {"EvalResourceName": "*", "EvalDecision": "implicitDeny", "MissingContextValues": []}
    results = [{**shared, "EvalActionName": action} for action in _ses_ask.SENDING]
    (finding,) = h.conclude("ses.key", key_facts(*results), now=NOW)
    assert finding.status == "ok"
    assert finding.evidence["not_asked"] == [f"{action}: depends on the identity, and none is known" for action in _ses_ask.SENDING]


@pytest.mark.parametrize(
    "arn, expected",
    [
        ("arn:aws:iam::123456789012:user/tank", ["arn:aws:ses:eu-west-1:123456789012:identity/example.com"]),
        ("arn:aws-cn:sts::123456789012:assumed-role/app/i-1", ["arn:aws-cn:ses:eu-west-1:123456789012:identity/example.com"]),
        ("", []),
    ],
)
def test_what_the_right_to_send_is_asked_for(arn, expected):
    assert _ses_ask.identity_arns(arn, "eu-west-1", ["example.com"]) == expected


def missing(state, **more):
    return {"state": state, "action": "iam:SimulatePrincipalPolicy", "code": "", "said": "", **more}


@pytest.mark.parametrize("state", ["unreachable", "late", "throttled", "server", "failed", "skipped"])
def test_a_key_of_which_neither_permission_nor_age_is_told_is_unknown(state):
    facts = {**key_facts(), "active": None}
    facts["answers"] |= {"simulated": missing(state), "keys": missing("denied", action="iam:ListAccessKeys")}
    (finding,) = h.conclude("ses.key", facts, now=NOW)
    assert finding.status == "unknown"
    facts["answers"]["keys"] = {"state": "ok"}
    (finding,) = h.conclude("ses.key", facts, now=NOW)
    assert finding.status == "ok"
    assert finding.evidence["not_asked"] == [f"iam:SimulatePrincipalPolicy: {state}"]


def test_a_role_whose_policies_were_not_simulated_is_unknown_and_one_that_may_send_is_well():
    facts = {**key_facts(), "active": None}
    facts["answers"] |= {"simulated": missing("failed", code="NoSuchEntity", said="no such role"), "keys": missing("needless")}
    (finding,) = h.conclude("ses.key", facts, now=NOW)
    assert (finding.status, "NoSuchEntity" in finding.evidence["reason"]) == ("unknown", True)
    facts["answers"]["simulated"] = {"state": "ok", "data": {"EvaluationResults": []}}
    (finding,) = h.conclude("ses.key", facts, now=NOW)
    assert (finding.status, "not_asked" in finding.evidence) == ("ok", False)


def key_facts(*results):
    """Facts of a key that STS takes, with the results of the simulation."""
    arn = "arn:aws:iam::123456789012:user/tank"
    answers = {
        "caller": {"state": "ok", "data": {"Arn": arn, "Account": "123456789012"}},
        "last_used": {"state": "ok", "data": {}},
        "keys": {"state": "ok"},
        "simulated": {"state": "ok", "data": {"EvaluationResults": list(results)}},
        "rights": {"state": "ok", "data": {"EvaluationResults": []}},
    }
    active = {"status": "Active", "created": NOW - 86400, "user": "tank"}
    shared = {"own_key": True, "offset_s": 0.0, "region": "ap-southeast-1", "key_id": "ABCD", "env_file": ""}
    return {**shared, "answers": answers, "active": active}


def test_the_look_for_other_rights_says_that_it_is_a_sample():
    (finding,) = h.conclude("ses.key", key_facts(), now=NOW)
    assert finding.evidence["looked_for"].startswith(f"a sample of {len(_ses_ask.BEYOND)} other rights")
    facts = key_facts()
    wide = {"EvalActionName": "iam:CreateUser", "EvalResourceName": "*", "EvalDecision": "allowed", "MissingContextValues": []}
    facts["answers"]["rights"]["data"] = {"EvaluationResults": [wide]}
    (finding,) = h.conclude("ses.key", facts, now=NOW)
    assert finding.code == "ses.policy_too_wide"
    assert "a sample of" in text_of(finding, "cause", "en")
    assert "대표 권한" in text_of(finding, "cause", "ko")


def text_of(finding, part, language):
    return faults_catalogue.render({**finding.as_dict(), "host": "tank-app"})[language][part]


def test_texts_name_the_lines_that_were_set():
    facts = {**key_facts(), "active": {"status": "Active", "created": NOW - 100 * 86400, "user": "tank"}}
    (finding,) = h.conclude("ses.key", facts, now=NOW, key_warning_days=60.0, key_overdue_days=120.0)
    assert "within 120 days" in text_of(finding, "cause", "en")
    assert "120일 이내" in text_of(finding, "cause", "ko")


@pytest.mark.parametrize("what, line, option", [("bounces", 6, "bounce_warning"), ("complaints", 0.3, "complaint_warning")])
def test_texts_of_a_rise_name_the_line_that_was_set(what, line, option):
    start = NOW // 900 * 900
    point = {"DeliveryAttempts": 200, "Bounces": 0, "Complaints": 0, "Rejects": 0}
    before = [{**point, "Timestamp": start - number * 900} for number in range(12, 13 * 96)]
    after = [{**point, "Timestamp": start - number * 900, what.capitalize(): 5} for number in range(1, 5)]
    answers = {"statistics": {"state": "ok", "data": {"SendDataPoints": before + after}}}
    (finding,) = h.conclude("ses.reputation", {"answers": answers, "region": "x"}, now=NOW, **{option: float(line)})
    assert finding.code.endswith("_rising")
    for part in ("cause", "next"):
        assert f"{line} %" in text_of(finding, part, "en")
        assert f"{line}%" in text_of(finding, part, "ko")


def test_an_unlimited_quota_is_never_used_up():
    data = {"Max24HourSend": -1.0, "MaxSendRate": 14.0, "SentLast24Hours": 1e6}
    facts = {"answers": {"quota": {"state": "ok", "data": data}}, "region": "x", "parallel": None}
    (finding,) = h.conclude("ses.quota", facts)
    assert (finding.status, finding.evidence["unlimited"]) == ("ok", True)
