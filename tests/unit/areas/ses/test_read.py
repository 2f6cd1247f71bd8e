# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SES asked by the real library, against the replica's AWS: each fault, what is missing, what hangs, and that nothing else is called."""

from __future__ import annotations

import json
import socket
import threading
import time

import boto3
import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.ses import read as _ses
from ansible_collections.ops.remediation.plugins.module_utils._areas.ses import read_aws as _ses_ask
from ansible_collections.ops.remediation.plugins.module_utils._areas.ses import spf as _ses_spf
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import DriverMissing, WrongQuestion
from ansible_collections.ops.remediation.plugins.module_utils._modules import ses_quota as _ses_door
from ansible_collections.ops.remediation.plugins.module_utils._shared import dns as _ses_dns
from botocore.exceptions import ClientError

from . import helpers as h


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    made = h.Aws(tmp_path_factory.mktemp("aws"))
    yield made
    made.close()


@pytest.fixture(autouse=True)
def as_delivered(aws, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    aws.restore()
    aws.front.calls.clear()


@pytest.fixture
def ask(aws, tmp_path):
    return lambda **changed: h.read(aws, tmp_path, **changed)


def client(aws, service, user="tank-sender"):
    key = aws.people.keys[user]
    return boto3.client(service, endpoint_url=aws.url, region_name=h.REGION, aws_access_key_id=key[0], aws_secret_access_key=key[1])


IDENTITY = f"arn:aws:ses:{h.REGION}:123456789012:identity/example.com"


def test_the_least_policy_that_names_the_identity_is_enough(aws, ask):
    """AWS's own advice: Resource is the identity, so that sending on everything (*) is denied."""
    aws.people.allow("tank-sender", ["ses:SendEmail", "ses:SendRawEmail"], resource=IDENTITY)
    assert client(aws, "ses").send_raw_email(RawMessage={"Data": b"From: a@example.com\r\nTo: b@example.org\r\n\r\n"})["MessageId"]
    assert h.every_code(ask()) == set()
    aws.people.allow("tank-sender", ["ses:SendEmail", "ses:SendRawEmail"], resource=IDENTITY.replace("example", "other"))
    with pytest.raises(ClientError, match="on resource: arn"):
        client(aws, "ses").send_raw_email(RawMessage={"Data": b"From: a@example.com\r\nTo: b@example.org\r\n\r\n"})
    assert h.every_code(ask()) == {"ses.access_denied"}
    assert h.codes(h.conclude("ses.key", ask(identities=["example.com", "other.com"]))) == []


def test_the_stand_in_simulates_by_resource_as_iam_does(aws):
    aws.people.allow("tank-sender", ["ses:SendEmail"], resource=IDENTITY)
    arns = [IDENTITY, IDENTITY.replace("example", "other")]
    user = "arn:aws:iam::123456789012:user/tank-sender"
    iam = client(aws, "iam", "tank-monitor")
    (told,) = iam.simulate_principal_policy(PolicySourceArn=user, ActionNames=["ses:SendEmail"], ResourceArns=arns)["EvaluationResults"]
    assert told["EvalDecision"] == "implicitDeny"
    assert [(one["EvalResourceName"], one["EvalResourceDecision"]) for one in told["ResourceSpecificResults"]] == [
        (arns[0], "allowed"),
        (arns[1], "implicitDeny"),
    ]
    (told,) = iam.simulate_principal_policy(PolicySourceArn=user, ActionNames=["ses:SendEmail"])["EvaluationResults"]
    assert (told["EvalResourceName"], told["EvalDecision"]) == ("*", "implicitDeny")


def test_all_is_well_and_all_is_asked(ask):
    facts = ask()
    assert {name: answer["state"] for name, answer in facts["answers"].items() if answer["state"] != "ok"} == {}
    assert h.every_code(facts) == set()
    assert facts["parallel"] == 20
    assert facts["region"] == h.REGION
    assert abs(facts["offset_s"]) < 5


def test_only_reading_actions_are_called(ask, aws):
    ask()
    ask(identities=["example.com", "nobody@example.org"])
    called = {action for action in aws.front.calls if aws.front.calls[action]}
    assert called == set(_ses_ask.ACTIONS.values())
    assert not [action for action in called if not action.partition(":")[2].startswith(("Get", "List", "Simulate"))]


def test_no_secret_is_in_any_answer(ask, aws):
    keys = aws.people.keys
    aws.people.keys["tank-sender"][1], good = "wrong" * 8, keys["tank-sender"][1]
    try:
        texts = [json.dumps(ask()), json.dumps([finding.as_dict() for finding in h.conclude("ses.key", ask())])]
    finally:
        aws.people.keys["tank-sender"][1] = good
    for text in texts:
        for secret in (good, "wrong" * 8, keys["tank-monitor"][1], keys["tank-monitor"][0], keys["tank-sender"][0]):
            assert secret not in text


def change(**values):
    return lambda aws: aws.change(**values)


def history(**values):
    return lambda aws: aws.change(history=values)


FAULTS = {
    "ses.quota_80": change(used_before=41_000.0),
    "ses.quota_exhausted": change(used_before=50_000.0),
    "ses.quota_forecast": lambda aws: aws.change(used_before=30_000.0, history={"last_hours": 2, "last_attempts": 24_000}),
    "ses.rate_near_limit": lambda aws: aws.change(limit=-1.0, rate=2.0, history={"last_hours": 1, "last_attempts": 6000}),
    "ses.bounce_5": history(bounces=6.0),
    "ses.bounce_10": history(bounces=11.0),
    "ses.bounce_rising": history(last_hours=2, last_attempts=3000, last_bounces=4.0),
    "ses.complaint_01": history(complaints=0.2),
    "ses.complaint_05": history(complaints=0.6),
    "ses.complaint_rising": lambda aws: aws.change(
        limit=-1.0, rate=100.0, history={"complaints": 0.005, "last_hours": 2, "last_attempts": 20_000, "last_complaints": 0.07}
    ),
    "ses.reject_5": history(rejects=6.0),
    "ses.account_paused": change(enforcement="SHUTDOWN"),
    "ses.account_probation": change(enforcement="PROBATION"),
    "ses.sandbox": change(production=False),
    "ses.identity_unverified": change(identity={"name": "example.com", "verified": False}),
    "ses.spf": lambda aws: aws.record("example.com", "TXT", ['"v=spf1 mx -all"']),
    "ses.dkim": lambda aws: aws.record("bbbreplicatoken2._domainkey.example.com", "CNAME", []),
    "ses.mail_from": lambda aws: aws.record("bounce.example.com", "MX", []),
    "ses.access_denied": lambda aws: aws.people.allow("tank-sender", ["s3:GetObject"]),
    "ses.policy_too_wide": lambda aws: aws.people.allow("tank-sender", ["*"]),
    "ses.key_invalid": lambda aws: aws.people.change_key("tank-sender", delete=True),
    "ses.key_inactive": lambda aws: aws.people.change_key("tank-sender", status="Inactive"),
    "ses.key_old": lambda aws: aws.people.change_key("tank-sender", days_old=200),
    "ses.clock": lambda aws: aws.do("fault.set", {"kind": "date", "offset": -1000}),
    "ses.unreachable": lambda aws: aws.smtp("closed"),
}


@pytest.mark.parametrize("code", FAULTS)
def test_each_fault_is_found_alone(code, aws, ask):
    FAULTS[code](aws)
    found = h.every_code(ask())
    assert code in found
    blocked = {"run.check_unknown"} if code == "ses.clock" else set()
    assert found - {code} - blocked == set()


def test_lines_can_be_set(aws, ask):
    aws.change(history={"bounces": 3.0}, used_before=30_000.0)
    facts = ask()
    assert h.every_code(facts) == set()
    assert h.every_code(facts, bounce_warning=2.5, quota_percent=55) == {"ses.bounce_5", "ses.quota_80"}


def test_cloudwatch_is_believed_too_and_no_datapoint_is_unknown(aws, ask):
    aws.reputation(bounce=0.06)
    (finding,) = h.conclude("ses.reputation", ask())
    assert (finding.code, finding.value, finding.evidence["window"]) == ("ses.bounce_5", 6.0, "AWS")
    aws.reputation(none=True)
    (finding,) = h.conclude("ses.reputation", ask())
    assert finding.status == "ok"
    assert finding.evidence["not_asked"] == ["Reputation.BounceRate: no datapoint", "Reputation.ComplaintRate: no datapoint"]


@pytest.mark.parametrize(
    "question, action", [(name, action) for name, action in _ses_ask.ACTIONS.items() if name not in ("caller", "sender")]
)
def test_a_missing_permission_is_named_and_costs_no_other_question(question, action, aws, ask):
    aws.people.allow("tank-monitor", [action], effect="Deny", policy="less")
    facts = ask()
    denied = {name for name, answer in facts["answers"].items() if answer["state"] == "denied"}
    assert {answer["action"] for name, answer in facts["answers"].items() if name in denied} == {action}
    findings = [finding for name, check in h.CHECKS.items() if check.driver for finding in h.conclude(name, facts)]
    told = json.dumps([finding.as_dict()["evidence"] for finding in findings if finding.status in ("ok", "unknown")])
    assert action in told
    assert {finding.code for finding in findings} <= {"", "run.check_unknown"}


def test_a_key_that_may_only_send_leaves_all_unknown_but_itself(aws, tmp_path):
    given = h.options(aws, tmp_path)
    facts = _ses.read(**{**given, "credentials_from": given["sender_from"], "sender_from": None})
    found = {name: {finding.status for finding in h.conclude(name, facts)} for name, check in h.CHECKS.items() if check.driver}
    assert found == {
        "ses.reach": {"ok"},
        "ses.key": {"ok"},
        "ses.account": {"unknown"},
        "ses.quota": {"unknown"},
        "ses.reputation": {"unknown"},
        "ses.identities": {"unknown"},
    }
    assert "iam:SimulatePrincipalPolicy: not allowed" in h.conclude("ses.key", facts)[0].evidence["not_asked"]


def test_cloudwatch_is_believed_where_the_statistics_do_not_come_and_the_rest_is_unknown(aws, ask):
    aws.reputation(bounce=0.06)
    aws.do("fault.set", {"kind": "throttle", "actions": ["ses:GetSendStatistics"]})
    assert h.codes(h.conclude("ses.reputation", ask())) == ["ses.bounce_5", "run.check_unknown"]
    aws.front.conditions.clear()
    aws.people.allow("tank-monitor", ["ses:GetSendStatistics"], effect="Deny", policy="less")
    (finding,) = h.conclude("ses.reputation", ask())
    assert finding.code == "ses.bounce_5"
    assert "rejects and rises: told by ses:GetSendStatistics only" in finding.evidence["not_asked"]


def test_throttling_is_asked_again_with_a_bound(aws, ask):
    aws.do("fault.set", {"kind": "throttle", "actions": ["ses:GetSendStatistics"], "times": 2})
    assert h.every_code(ask()) == set()
    assert aws.front.calls["ses:GetSendStatistics"] == 3
    aws.do("fault.set", {"kind": "throttle", "actions": ["ses:GetSendStatistics"]})
    aws.front.calls.clear()
    facts = ask()
    assert facts["answers"]["statistics"]["state"] == "throttled"
    assert aws.front.calls["ses:GetSendStatistics"] == _ses_ask.ATTEMPTS


@pytest.mark.parametrize("status", [500, 503])
def test_a_fault_of_aws_is_no_fault_of_the_account(status, aws, ask):
    aws.do("fault.set", {"kind": "server_error", "actions": ["ses:GetAccount"], "status": status})
    facts = ask()
    assert facts["answers"]["account"]["state"] == "server"
    assert h.codes(h.conclude("ses.account", facts)) == ["run.check_unknown"]
    assert h.codes(h.conclude("ses.quota", facts)) == []


def test_one_question_that_hangs_costs_no_other(aws, ask):
    aws.do("fault.set", {"kind": "hang", "actions": ["ses:GetSendStatistics"], "seconds": 5})
    started = time.monotonic()
    facts = ask(timeout=4.0)
    assert time.monotonic() - started < 4.5
    assert h.codes(h.conclude("ses.account", facts)) == []
    (finding,) = h.conclude("ses.reputation", facts)
    assert (finding.code, finding.evidence["cloudwatch"]["Bounce"]) == ("run.check_timeout", 0.6)
    assert "ses:GetSendStatistics: late" in finding.evidence["not_asked"]
    assert "ses:GetSendStatistics: late" in h.conclude("ses.quota", facts)[0].evidence["not_asked"]


def test_an_api_that_takes_connections_and_says_nothing(aws, ask):
    aws.do("fault.set", {"kind": "hang", "seconds": 3})
    facts = ask(timeout=2.0, identities=["example.com"])
    (api, smtp) = h.conclude("ses.reach", facts)
    assert (api.code, api.evidence["reason"], smtp.code) == ("ses.unreachable", "no_answer", "")
    assert {finding.evidence["blocked_by"] for finding in h.conclude("ses.quota", facts)} == {"ses.unreachable"}


def test_ses_alone_is_silent_while_the_rest_of_aws_answers(aws, ask):
    aws.do("fault.set", {"kind": "hang", "actions": ["ses:*"], "seconds": 5})
    facts = ask(timeout=4.0, identities=["example.com"])
    assert facts["answers"]["caller"]["state"] == "ok"
    (api, smtp) = h.conclude("ses.reach", facts)
    assert (api.code, api.evidence["reason"], smtp.code) == ("ses.unreachable", "no_answer", "")
    for check in ("ses.account", "ses.quota"):
        assert [finding.evidence["blocked_by"] for finding in h.conclude(check, facts)] == ["ses.unreachable"]


def own_key(aws, folder, **changed):
    """The key of the monitor is the one that sends, too."""
    given = h.options(aws, folder, sender_from=None, **changed)
    return _ses.read(**given)


def test_ses_tells_of_a_deleted_key_where_sts_and_iam_cannot_be_reached(aws, tmp_path):
    aws.people.change_key("tank-monitor", delete=True)
    nowhere = {**dict.fromkeys(h.SERVICES, aws.url), "sts": "http://127.0.0.1:1", "iam": "http://127.0.0.1:1"}
    facts = own_key(aws, tmp_path, endpoint_urls=nowhere, identities=["example.com"])
    (finding,) = h.conclude("ses.key", facts)
    assert (finding.code, finding.severity, finding.subject) == ("ses.key_invalid", "P0", "sending key")
    assert h.conclude("ses.account", facts)[0].evidence["blocked_by"] == "ses.key_invalid"


def test_a_region_that_is_not_switched_on_is_told_from_a_deleted_key(aws, tmp_path):
    """IAM has one place for all regions, and takes the key."""
    aws.front.switched_off.add(h.REGION)
    facts = own_key(aws, tmp_path)
    (finding,) = h.conclude("ses.key", facts)
    assert (finding.code, finding.evidence["reason"], finding.evidence["region"]) == ("ses.key_invalid", "region", h.REGION)
    aws.front.switched_off.clear()
    aws.people.change_key("tank-monitor", delete=True)
    (finding,) = h.conclude("ses.key", own_key(aws, tmp_path))
    assert finding.evidence["reason"] == "unknown_key"


def test_a_refused_key_of_the_monitoring_is_no_fault_of_the_key_that_sends(aws, ask, tmp_path):
    aws.people.change_key("tank-monitor", delete=True)
    facts = ask()
    (finding,) = h.conclude("ses.key", facts)
    assert (finding.status, finding.subject) == ("unknown", "asking key")
    assert f"ends in {aws.people.keys['tank-monitor'][0][-4:]}" in finding.evidence["reason"]
    assert str(tmp_path / "monitor.env") in finding.evidence["reason"]
    assert h.every_code(facts) == {"run.check_unknown"}
    assert "blocked_by" not in h.conclude("ses.account", facts)[0].evidence


def test_another_service_than_ses_that_cannot_be_reached_is_named_and_blames_not_ses(aws, ask):
    nowhere = {**dict.fromkeys(h.SERVICES, aws.url), **dict.fromkeys(("sts", "iam"), "http://127.0.0.1:1")}
    facts = ask(endpoint_urls=nowhere)
    assert h.codes(h.conclude("ses.reach", facts)) == []
    (finding,) = h.conclude("ses.key", facts)
    assert (finding.status, "blocked_by" in finding.evidence) == ("unknown", False)
    assert finding.evidence["reason"].startswith("STS cannot be reached")


def test_a_key_whose_iam_hangs_is_unknown(aws, ask):
    aws.do("fault.set", {"kind": "hang", "actions": ["iam:*"], "seconds": 5})
    (finding,) = h.conclude("ses.key", ask(timeout=4.0))
    assert (finding.code, finding.subject) == ("run.check_timeout", "sending key")
    assert finding.evidence["reason"].startswith("IAM did not answer")


def test_a_service_that_hangs_leaves_dns_its_time(aws, ask):
    aws.do("fault.set", {"kind": "hang", "actions": ["iam:*"], "seconds": 5})
    facts = ask(timeout=4.0)
    assert facts["answers"].keys().isdisjoint({"keys", "simulated"})
    assert [finding.status for finding in h.conclude("ses.identities", facts)] == ["ok"]


def test_a_black_hole_and_a_closed_port(ask, aws):
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        blockers = [socket.socket() for _one in range(4)]
        for one in blockers:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        facts = ask(timeout=2.0, endpoint_urls=dict.fromkeys(h.SERVICES, f"http://127.0.0.1:{port}"))
        assert h.codes(h.conclude("ses.reach", facts)) == ["ses.unreachable"]
        for one in blockers:
            one.close()
    facts = ask(timeout=3.0, endpoint_urls=dict.fromkeys(h.SERVICES, "http://127.0.0.1:1"))
    (api, _smtp) = h.conclude("ses.reach", facts)
    assert (api.code, api.evidence["reason"]) == ("ses.unreachable", "refused")


def test_a_region_that_does_not_exist(aws, tmp_path):
    given = h.options(aws, tmp_path, endpoint_urls={}, smtp_endpoint="-", region="no-such-place-9", timeout=3.0)
    facts = _ses.read(**given)
    assert h.codes(h.conclude("ses.reach", facts)) == ["ses.unreachable"]


@pytest.mark.parametrize("where", ["profile", "environment"])
def test_the_region_of_profile_or_environment_leads_to_places_too(where, aws, tmp_path, monkeypatch):
    key = aws.people.keys["tank-monitor"]
    (tmp_path / "credentials").write_text(f"[watch]\naws_access_key_id={key[0]}\naws_secret_access_key={key[1]}\n", encoding="ascii")
    (tmp_path / "config").write_text("[profile watch]\nregion = no-such-place-9\n", encoding="ascii")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    if where == "environment":
        monkeypatch.setenv("AWS_DEFAULT_REGION", "no-such-place-9")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key[0])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key[1])
    facts = _ses.read(profile="watch" if where == "profile" else None, resolver=[f"127.0.0.1:{aws.dns_port}"], timeout=2.0)
    places = ["email.no-such-place-9.amazonaws.com:443", "email-smtp.no-such-place-9.amazonaws.com:587"]
    assert [finding.subject for finding in h.conclude("ses.reach", facts)] == places


def test_a_closed_port_of_smtp_is_never_taken_for_the_api(aws, ask):
    """Whatever the places are called."""
    aws.smtp("closed")
    facts = ask(smtp_endpoint=f"localhost:{aws.smtp_port}")
    assert [(one.subject, one.code) for one in h.conclude("ses.reach", facts)] == [
        (f"127.0.0.1:{aws.port}", ""),
        (f"localhost:{aws.smtp_port}", "ses.unreachable"),
    ]
    assert set(facts["ports"]) == {"api", "smtp"}


def test_the_wrong_region_has_no_identities(ask):
    facts = ask(region="us-east-1")
    assert h.every_code(facts) == {"ses.sandbox", "ses.identity_unverified"}
    assert h.conclude("ses.identities", facts)[0].evidence["reason"] == "none"


def test_an_expired_token(aws, ask):
    aws.do("fault.set", {"kind": "expired"})
    (finding,) = h.conclude("ses.key", ask())
    assert (finding.code, finding.evidence["reason"]) == ("ses.key_invalid", "expired")


def test_a_wrong_secret_is_not_a_wrong_clock(aws, ask):
    aws.people.keys["tank-sender"][1], good = "x" * 40, aws.people.keys["tank-sender"][1]
    try:
        (finding,) = h.conclude("ses.key", ask())
    finally:
        aws.people.keys["tank-sender"][1] = good
    assert (finding.code, finding.subject, finding.evidence["reason"]) == ("ses.key_invalid", "sending key", "secret")


def test_a_clock_that_is_off_but_not_refused_yet(aws, ask):
    aws.do("fault.set", {"kind": "date", "offset": -270})
    (finding,) = h.conclude("ses.key", ask())
    assert finding.code == "ses.clock"
    assert finding.value == pytest.approx(270, abs=5)
    assert finding.evidence["direction"] == "ahead"


def test_temporary_credentials_of_a_profile_and_of_the_environment(aws, tmp_path, monkeypatch):
    key = aws.people.keys["tank-monitor"]
    (tmp_path / "credentials").write_text(f"[watch]\naws_access_key_id={key[0]}\naws_secret_access_key={key[1]}\n", encoding="ascii")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    given = h.options(aws, tmp_path, credentials_from=None, region=h.REGION)
    assert h.every_code(_ses.read(**{**given, "profile": "watch"})) == set()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key[0])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key[1])
    assert h.every_code(_ses.read(**given)) == set()


def test_a_proxy_is_used(aws, tmp_path, monkeypatch):
    """The proxy is the stand-in itself, which takes whole addresses; without it the name leads nowhere."""
    monkeypatch.setenv("HTTP_PROXY", aws.url)
    monkeypatch.setenv("NO_PROXY", "")
    given = h.options(aws, tmp_path, endpoint_urls=dict.fromkeys(h.SERVICES, "http://ses.example.invalid"), smtp_endpoint="-")
    facts = _ses.read(**given)
    assert aws.front.calls
    assert all(answer["state"] != "unreachable" for answer in facts["answers"].values())
    assert h.codes(h.conclude("ses.reach", facts)) == []


@pytest.mark.parametrize("reason", ["sso", "role"])
def test_a_profile_that_gives_no_key_is_told_by_its_option(reason, aws, tmp_path, monkeypatch):
    """SSO nobody has logged in to, and a role that STS lets nobody become."""
    key = aws.people.keys["tank-monitor"]
    sso = "sso_start_url = https://x.invalid/start\nsso_region = eu-west-1\nsso_account_id = 123456789012\nsso_role_name = watch\n"
    role = "role_arn = arn:aws:iam::123456789012:role/watch\nsource_profile = base\n"
    base = f"[profile base]\naws_access_key_id = {key[0]}\naws_secret_access_key = {key[1]}\n"
    (tmp_path / "config").write_text(f"[profile watch]\nregion = {h.REGION}\n{sso if reason == 'sso' else role}{base}", encoding="ascii")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", aws.url)
    with pytest.raises(WrongQuestion, match="SSO" if reason == "sso" else "ClientError") as caught:
        _ses.read(**{**h.options(aws, tmp_path), "credentials_from": None, "sender_from": None, "profile": "watch"})
    assert caught.value.details["option"] == "profile"
    assert key[1] not in caught.value.message


@pytest.mark.parametrize(
    "changed, option",
    [
        ({"profile": "nobody", "credentials_from": None}, "profile"),
        ({"credentials_from": None, "sender_from": None}, "profile"),
        ({"resolver": ["somewhere"]}, "resolver"),
        ({"smtp_endpoint": "somewhere"}, "smtp_endpoint"),
        ({"endpoint_urls": {"ses": "no address"}}, "endpoint_urls.ses"),
    ],
)
def test_a_question_wrongly_put_names_its_option(changed, option, aws, tmp_path):
    with pytest.raises(WrongQuestion) as caught:
        _ses.read(**h.options(aws, tmp_path, region=h.REGION, **changed))
    assert caught.value.details["option"] == option


def test_a_name_that_is_not_in_env_is_told_without_the_content(aws, tmp_path):
    given = h.options(aws, tmp_path)
    given["credentials_from"]["secret_key"] = "OTHER_SECRET"
    with pytest.raises(WrongQuestion, match="OTHER_SECRET") as caught:
        _ses.read(**given)
    assert aws.people.keys["tank-monitor"][1] not in caught.value.message


def test_a_missing_library_is_named(monkeypatch, aws, tmp_path):
    import sys

    monkeypatch.setitem(sys.modules, "botocore.session", None)
    with pytest.raises(DriverMissing) as caught:
        h.read(aws, tmp_path)
    assert caught.value.details["libraries"] == ["boto3"]


@pytest.mark.parametrize("name", ["noreply@example.com", "mail.example.com", "noreply@news.mail.example.com"])
def test_a_verified_domain_covers_its_addresses_and_subdomains(name, aws, ask):
    sender = name if "@" in name else f"noreply@{name}"
    raw = f"From: {sender}\r\nTo: b@example.org\r\nSubject: x\r\n\r\ny".encode()
    assert client(aws, "ses").send_raw_email(RawMessage={"Data": raw})["MessageId"]
    facts = ask(identities=[name])
    (finding,) = h.conclude("ses.identities", facts)
    assert (finding.status, finding.subject, finding.evidence["through"]) == ("ok", name, "example.com")
    aws.record("example.com", "TXT", ['"v=spf1 mx -all"'])
    other = "other@mail.example.com"
    for names in ([name], [name, other], [name, "example.com"]):
        findings = h.conclude("ses.identities", ask(identities=names))
        assert [(one.subject, one.evidence["record"]) for one in findings if one.code] == [("example.com", "TXT example.com")]
        assert {one.subject for one in findings} == {*names, "example.com"}
    aws.change(identity={"name": "example.com", "verified": False})
    assert "ses.identity_unverified" in h.codes(h.conclude("ses.identities", ask(identities=[name])))


def test_an_identity_that_neither_is_there_nor_covered(ask):
    (finding,) = h.conclude("ses.identities", ask(identities=["noreply@mail.example.org"]))
    assert (finding.code, finding.evidence["reason"]) == ("ses.identity_unverified", "missing")


def test_every_name_that_was_given_is_told_also_the_late_ones(aws, ask):
    names = [f"n{number:02}.example.com" for number in range(30)]
    assert [finding.subject for finding in h.conclude("ses.identities", ask(identities=names))] == names
    aws.do("fault.set", {"kind": "hang", "actions": ["ses:GetEmailIdentity"], "seconds": 3})
    findings = h.conclude("ses.identities", ask(identities=["example.com"], timeout=2.0))
    assert [(finding.code, finding.subject) for finding in findings] == [("run.check_timeout", "example.com")]
    assert [one["status"] for one in _ses_door.in_short([finding.as_dict() for finding in findings])["identities"]] == ["unknown"]


def test_identities_beyond_those_that_are_asked_about_are_counted_and_domains_go_first(aws, ask):
    for number in range(25):
        aws.account.identities[f"a{number}@example.com"] = h.identity(f"a{number}@example.com")
    aws.account.identities["z.example"] = h.identity("z.example")
    findings = h.conclude("ses.identities", ask())
    assert len({finding.subject for finding in findings}) == _ses_ask.MOST_IDENTITIES
    assert {"example.com", "z.example"} <= {finding.subject for finding in findings}
    assert next(note for finding in findings for note in finding.evidence.get("not_asked", [])).startswith("7 more identities")


# --- DNS


def test_dns_over_tcp_when_truncated_and_when_the_server_fails(aws, ask):
    aws.zone.mode = "truncate"
    assert h.every_code(ask()) == set()
    aws.zone.mode = "refuse"
    (finding, *_others) = h.conclude("ses.identities", ask())
    assert finding.code == "run.check_unknown"
    assert "SERVFAIL" in finding.evidence["reason"]


def test_spf_is_followed_through_what_it_takes_in(aws, ask):
    aws.record("example.com", "TXT", ['"v=spf1 include:_spf.example.com -all"'])
    aws.record("_spf.example.com", "TXT", ['"v=spf1 redirect=_more.example.com"'])
    aws.record("_more.example.com", "TXT", ['"v=spf1 include:amazonses.com -all"'])
    assert h.codes(h.conclude("ses.identities", ask())) == []
    aws.record("_more.example.com", "TXT", ['"v=spf1 mx -all"'])
    assert h.codes(h.conclude("ses.identities", ask())) == ["ses.spf"]


def test_a_record_that_takes_in_too_many_is_unknown_and_ends(aws, ask):
    for number in range(30):
        aws.record(f"s{number}.example.com", "TXT", [f'"v=spf1 include:s{number + 1}.example.com -all"'])
    aws.record("example.com", "TXT", ['"v=spf1 include:s0.example.com -all"'])
    facts = ask()
    assert len([key for key in facts["dns"] if key.startswith("s")]) == _ses_spf.MOST_LOOKUPS
    (finding,) = h.conclude("ses.identities", facts)
    assert finding.code == "run.check_unknown"


def test_a_silent_resolver_leaves_the_next(aws):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        where = _ses_dns.servers([f"127.0.0.1:{silent.getsockname()[1]}", f"127.0.0.1:{aws.dns_port}"])
        answers = _ses_dns.ask([("example.com", "TXT")], where, time.monotonic() + 4)
        assert answers["example.com TXT"]["state"] == "ok"
        late = _ses_dns.ask([("example.com", "TXT")], where[:1], time.monotonic() + 0.3)
        assert late["example.com TXT"]["state"] == "late"


def test_a_server_that_fails_leaves_the_next_and_the_last_has_the_last_word(aws, tmp_path):
    from tests.replica.aws import dns_server

    failing = dns_server.Zone(h.REGION)
    failing.mode = "refuse"
    servers = dns_server.serve(failing, 0)
    bad, good = (f"127.0.0.1:{port}" for port in (servers[0].server_address[1], aws.dns_port))
    try:
        for order, state in (([bad, good], "ok"), ([good, bad], "ok"), ([bad, bad], "failed")):
            started = time.monotonic()
            answers = _ses_dns.ask([("example.com", "TXT"), ("gone.example.com", "TXT")], _ses_dns.servers(order), started + 4)
            assert answers["example.com TXT"]["state"] == state
            assert time.monotonic() - started < 0.9
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()


def test_asking_again_over_tcp_ends_in_time(aws):
    """A server that truncates by UDP, takes the connection, and says nothing."""
    import dns.flags
    import dns.message

    with socket.create_server(("127.0.0.1", 0)) as silent, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(silent.getsockname())

        def truncate():
            data, sender = udp.recvfrom(4096)
            response = dns.message.make_response(dns.message.from_wire(data))
            response.flags |= dns.flags.TC
            udp.sendto(response.to_wire(), sender)

        thread = threading.Thread(target=truncate)
        thread.start()
        started = time.monotonic()
        answers = _ses_dns.ask([("example.com", "TXT")], [silent.getsockname()], started + 0.5)
        assert time.monotonic() - started < 0.8
        thread.join()
    assert answers["example.com TXT"]["state"] == "failed"


def test_a_forged_answer_is_not_taken(aws):
    """Somebody answers with other names first."""
    import dns.message

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as liar:
        liar.bind(("127.0.0.1", 0))

        def lie():
            data, sender = liar.recvfrom(4096)
            other = dns.message.make_response(dns.message.make_query("other.example", "TXT"))
            liar.sendto(other.to_wire(), sender)
            liar.sendto(b"\x00", sender)
            del data

        thread = threading.Thread(target=lie)
        thread.start()
        answers = _ses_dns.ask([("example.com", "TXT")], [("127.0.0.1", liar.getsockname()[1])], time.monotonic() + 0.5)
        thread.join()
    assert answers["example.com TXT"]["state"] == "late"


# --- the stand-in is what real clients accept


def test_real_clients_send_and_are_refused_as_aws_does(aws):
    ses, sesv2 = client(aws, "ses"), client(aws, "sesv2")
    raw = b"From: a@example.com\r\nTo: b@example.org\r\nSubject: x\r\n\r\ny"
    assert ses.send_raw_email(RawMessage={"Data": raw})["MessageId"]
    content = {"Simple": {"Subject": {"Data": "x"}, "Body": {"Text": {"Data": "y"}}}}
    mail = {"FromEmailAddress": "a@example.com", "Destination": {"ToAddresses": ["b@example.org"]}, "Content": content}
    assert sesv2.send_email(**mail)["MessageId"]
    cases = (
        ({"used_before": 50_000.0}, "Throttling", "Daily message quota exceeded", "TooManyRequestsException"),
        ({"enforcement": "SHUTDOWN"}, "MessageRejected", "Sending paused", "SendingPausedException"),
        ({"sending": False}, "AccountSendingPausedException", "disabled", "SendingPausedException"),
        ({"production": False}, "MessageRejected", "not verified", "MessageRejected"),
        (
            {"identity": {"name": "example.com", "mail_from_status": "FAILED", "on_mx_failure": "REJECT_MESSAGE"}},
            "MailFromDomainNotVerifiedException",
            "bounce.example.com",
            "MailFromDomainNotVerifiedException",
        ),
    )
    for changed, code, said, code_v2 in cases:
        aws.restore()
        aws.change(**changed)
        with pytest.raises(ClientError, match=said) as refused:
            ses.send_raw_email(RawMessage={"Data": raw})
        assert refused.value.response["Error"]["Code"] == code
        with pytest.raises(ClientError) as refused:
            sesv2.send_email(**mail)
        assert refused.value.response["Error"]["Code"] == code_v2


def test_the_send_rate_and_the_counts_are_real(aws):
    aws.change(rate=2.0)
    before = aws.account.used(time.time())
    told = []
    for number in range(4):
        try:
            aws.account.send("a@example.com", [f"bounce{number}@example.org"], h.REGION)
            told.append("ok")
        except Exception as error:
            told.append(error.code)
    assert told == ["ok", "ok", "Throttling", "Throttling"]
    assert aws.account.used(time.time()) == before + 2
    points = client(aws, "ses", "tank-monitor").get_send_statistics()["SendDataPoints"]
    assert sum(point["Bounces"] for point in points if point["Timestamp"].timestamp() > time.time() - 1800) >= 2
