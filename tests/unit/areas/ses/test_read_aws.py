# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""AWS queried by the real library: actions, permissions, throttling, time, and no secrets in answers."""

from __future__ import annotations

import json
import re
import time

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.ses import aws_actions, read_aws
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import DriverMissing

from . import helpers as h


def test_only_reading_actions_are_called(ask, aws):
    ask()
    ask(identities=["example.com", "nobody@example.org"])
    called = {action for action in aws.front.calls if aws.front.calls[action]}
    assert called == set(aws_actions.ACTIONS.values())
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


@pytest.mark.parametrize(
    "question, action", [(name, action) for name, action in aws_actions.ACTIONS.items() if name not in ("caller", "sender")]
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


def test_throttling_is_asked_again_with_a_bound(aws, ask):
    aws.do("fault.set", {"kind": "throttle", "actions": ["ses:GetSendStatistics"], "times": 2})
    assert h.every_code(ask()) == set()
    assert aws.front.calls["ses:GetSendStatistics"] == 3
    aws.do("fault.set", {"kind": "throttle", "actions": ["ses:GetSendStatistics"]})
    aws.front.calls.clear()
    facts = ask()
    assert facts["answers"]["statistics"]["state"] == "throttled"
    assert aws.front.calls["ses:GetSendStatistics"] == read_aws.ATTEMPTS


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


def test_a_missing_library_is_named(monkeypatch, aws, tmp_path):
    import sys

    monkeypatch.setitem(sys.modules, "botocore.session", None)
    with pytest.raises(DriverMissing) as caught:
        h.read(aws, tmp_path)
    assert caught.value.details["libraries"] == ["boto3"]


def test_the_readmes_policy_is_what_is_called():
    text = (h.CHECKOUT / "roles/daily_check/README.md").read_text(encoding="utf-8")
    (policy,) = re.findall(r"```json\n(.*?)```", text, re.S)
    (statement,) = json.loads(policy)["Statement"]
    assert set(statement["Action"]) == set(aws_actions.ACTIONS.values()) - {"sts:GetCallerIdentity"}


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
    assert aws_actions.principal(arn) == expected


@pytest.mark.parametrize(
    "arn, expected",
    [
        ("arn:aws:iam::123456789012:user/tank", ["arn:aws:ses:eu-west-1:123456789012:identity/example.com"]),
        ("arn:aws-cn:sts::123456789012:assumed-role/app/i-1", ["arn:aws-cn:ses:eu-west-1:123456789012:identity/example.com"]),
        ("", []),
    ],
)
def test_what_the_right_to_send_is_asked_for(arn, expected):
    assert aws_actions.identity_arns(arn, "eu-west-1", ["example.com"]) == expected
