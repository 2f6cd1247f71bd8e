# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SES read by the real library against the replica's AWS: each fault, credentials, and wrong options."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.ses.read import read
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import WrongQuestion

from . import helpers as h


def test_all_is_well_and_all_is_asked(ask):
    facts = ask()
    assert {name: answer["state"] for name, answer in facts["answers"].items() if answer["state"] != "ok"} == {}
    assert h.every_code(facts) == set()
    assert facts["parallel"] == 20
    assert facts["region"] == h.REGION
    assert abs(facts["offset_s"]) < 5


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


def test_a_key_that_may_only_send_leaves_all_unknown_but_itself(aws, tmp_path):
    given = h.options(aws, tmp_path)
    facts = read(**{**given, "credentials_from": given["sender_from"], "sender_from": None})
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


def test_temporary_credentials_of_a_profile_and_of_the_environment(aws, tmp_path, monkeypatch):
    key = aws.people.keys["tank-monitor"]
    (tmp_path / "credentials").write_text(f"[watch]\naws_access_key_id={key[0]}\naws_secret_access_key={key[1]}\n", encoding="ascii")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    given = h.options(aws, tmp_path, credentials_from=None, region=h.REGION)
    assert h.every_code(read(**{**given, "profile": "watch"})) == set()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key[0])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key[1])
    assert h.every_code(read(**given)) == set()


def test_a_proxy_is_used(aws, tmp_path, monkeypatch):
    """The stand-in is the proxy and accepts absolute URLs; without it, the name does not resolve."""
    monkeypatch.setenv("HTTP_PROXY", aws.url)
    monkeypatch.setenv("NO_PROXY", "")
    given = h.options(aws, tmp_path, endpoint_urls=dict.fromkeys(h.SERVICES, "http://ses.example.invalid"), smtp_endpoint="-")
    facts = read(**given)
    assert aws.front.calls
    assert all(answer["state"] != "unreachable" for answer in facts["answers"].values())
    assert h.codes(h.conclude("ses.reach", facts)) == []


@pytest.mark.parametrize("reason", ["sso", "role"])
def test_a_profile_that_gives_no_key_is_told_by_its_option(reason, aws, tmp_path, monkeypatch):
    """SSO without a login, and a role that STS does not let the key assume."""
    key = aws.people.keys["tank-monitor"]
    sso = "sso_start_url = https://x.invalid/start\nsso_region = eu-west-1\nsso_account_id = 123456789012\nsso_role_name = watch\n"
    role = "role_arn = arn:aws:iam::123456789012:role/watch\nsource_profile = base\n"
    base = f"[profile base]\naws_access_key_id = {key[0]}\naws_secret_access_key = {key[1]}\n"
    (tmp_path / "config").write_text(f"[profile watch]\nregion = {h.REGION}\n{sso if reason == 'sso' else role}{base}", encoding="ascii")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", aws.url)
    with pytest.raises(WrongQuestion, match="SSO" if reason == "sso" else "ClientError") as caught:
        read(**{**h.options(aws, tmp_path), "credentials_from": None, "sender_from": None, "profile": "watch"})
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
        read(**h.options(aws, tmp_path, region=h.REGION, **changed))
    assert caught.value.details["option"] == option


def test_a_name_that_is_not_in_env_is_told_without_the_content(aws, tmp_path):
    given = h.options(aws, tmp_path)
    given["credentials_from"]["secret_key"] = "OTHER_SECRET"
    with pytest.raises(WrongQuestion, match="OTHER_SECRET") as caught:
        read(**given)
    assert aws.people.keys["tank-monitor"][1] not in caught.value.message
