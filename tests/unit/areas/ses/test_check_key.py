# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ses.key: refused, allowed to send and no more, age, and the clock."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.ses import aws_actions
from ansible_collections.ops.remediation.plugins.module_utils._areas.ses.read import read
from botocore.exceptions import ClientError

from . import helpers as h

NOW = 1_795_000_000.0


IDENTITY = f"arn:aws:ses:{h.REGION}:123456789012:identity/example.com"


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
    """A guard-rail such as Deny by aws:SourceIp: the simulation does not know the address of the real request."""
    results = [simulated(decision, missing=["aws:SourceIp"], action=action) for action in aws_actions.SENDING]
    (finding,) = h.conclude("ses.key", key_facts(*results), now=NOW)
    assert finding.status == "ok"
    assert finding.evidence["not_asked"] == [f"{action}: depends on aws:SourceIp of the request" for action in aws_actions.SENDING]
    (finding,) = h.conclude("ses.key", key_facts(simulated(decision), simulated(decision, action="ses:SendEmail")), now=NOW)
    assert finding.code == "ses.access_denied"


def simulated(*decisions, missing=(), action="ses:SendRawEmail"):
    """Return IAM's result for one action on one identity for each decision; the overall decision is the strictest."""
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
    results = [{**shared, "EvalActionName": action} for action in aws_actions.SENDING]
    (finding,) = h.conclude("ses.key", key_facts(*results), now=NOW)
    assert finding.status == "ok"
    assert finding.evidence["not_asked"] == [f"{action}: depends on the identity, and none is known" for action in aws_actions.SENDING]


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
    """Return the facts of a key that STS accepts, with the results of the simulation."""
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
    assert finding.evidence["looked_for"].startswith(f"a sample of {len(aws_actions.BEYOND)} other rights")
    facts = key_facts()
    wide = {"EvalActionName": "iam:CreateUser", "EvalResourceName": "*", "EvalDecision": "allowed", "MissingContextValues": []}
    facts["answers"]["rights"]["data"] = {"EvaluationResults": [wide]}
    (finding,) = h.conclude("ses.key", facts, now=NOW)
    assert finding.code == "ses.policy_too_wide"
    assert "a sample of" in h.text_of(finding, "cause", "en")
    assert "대표 권한" in h.text_of(finding, "cause", "ko")


def test_texts_name_the_lines_that_were_set():
    facts = {**key_facts(), "active": {"status": "Active", "created": NOW - 100 * 86400, "user": "tank"}}
    (finding,) = h.conclude("ses.key", facts, now=NOW, key_warning_days=60.0, key_overdue_days=120.0)
    assert "within 120 days" in h.text_of(finding, "cause", "en")
    assert "120일 이내" in h.text_of(finding, "cause", "ko")


def test_the_least_policy_that_names_the_identity_is_enough(aws, ask):
    """AWS recommends a policy whose Resource is the identity; it denies sending on all resources (*)."""
    aws.people.allow("tank-sender", ["ses:SendEmail", "ses:SendRawEmail"], resource=IDENTITY)
    assert h.client(aws, "ses").send_raw_email(RawMessage={"Data": b"From: a@example.com\r\nTo: b@example.org\r\n\r\n"})["MessageId"]
    assert h.every_code(ask()) == set()
    aws.people.allow("tank-sender", ["ses:SendEmail", "ses:SendRawEmail"], resource=IDENTITY.replace("example", "other"))
    with pytest.raises(ClientError, match="on resource: arn"):
        h.client(aws, "ses").send_raw_email(RawMessage={"Data": b"From: a@example.com\r\nTo: b@example.org\r\n\r\n"})
    assert h.every_code(ask()) == {"ses.access_denied"}
    assert h.codes(h.conclude("ses.key", ask(identities=["example.com", "other.com"]))) == []


def own_key(aws, folder, **changed):
    """Return the facts where the monitor's key also sends."""
    given = h.options(aws, folder, sender_from=None, **changed)
    return read(**given)


def test_ses_tells_of_a_deleted_key_where_sts_and_iam_cannot_be_reached(aws, tmp_path):
    aws.people.change_key("tank-monitor", delete=True)
    nowhere = {**dict.fromkeys(h.SERVICES, aws.url), "sts": "http://127.0.0.1:1", "iam": "http://127.0.0.1:1"}
    facts = own_key(aws, tmp_path, endpoint_urls=nowhere, identities=["example.com"])
    (finding,) = h.conclude("ses.key", facts)
    assert (finding.code, finding.severity, finding.subject) == ("ses.key_invalid", "P0", "sending key")
    assert h.conclude("ses.account", facts)[0].evidence["blocked_by"] == "ses.key_invalid"


def test_a_region_that_is_not_switched_on_is_told_from_a_deleted_key(aws, tmp_path):
    """IAM has one endpoint for all regions, and accepts the key."""
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


def test_a_key_whose_iam_hangs_is_unknown(aws, ask):
    aws.do("fault.set", {"kind": "hang", "actions": ["iam:*"], "seconds": 5})
    (finding,) = h.conclude("ses.key", ask(timeout=4.0))
    assert (finding.code, finding.subject) == ("run.check_timeout", "sending key")
    assert finding.evidence["reason"].startswith("IAM did not answer")


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
