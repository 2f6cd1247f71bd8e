# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The replica's AWS accepts and refuses what AWS does, for real clients."""

from __future__ import annotations

import time

import pytest
from botocore.exceptions import ClientError

from . import helpers as h

IDENTITY = f"arn:aws:ses:{h.REGION}:123456789012:identity/example.com"


def test_the_stand_in_simulates_by_resource_as_iam_does(aws):
    aws.people.allow("tank-sender", ["ses:SendEmail"], resource=IDENTITY)
    arns = [IDENTITY, IDENTITY.replace("example", "other")]
    user = "arn:aws:iam::123456789012:user/tank-sender"
    iam = h.client(aws, "iam", "tank-monitor")
    (told,) = iam.simulate_principal_policy(PolicySourceArn=user, ActionNames=["ses:SendEmail"], ResourceArns=arns)["EvaluationResults"]
    assert told["EvalDecision"] == "implicitDeny"
    assert [(one["EvalResourceName"], one["EvalResourceDecision"]) for one in told["ResourceSpecificResults"]] == [
        (arns[0], "allowed"),
        (arns[1], "implicitDeny"),
    ]
    (told,) = iam.simulate_principal_policy(PolicySourceArn=user, ActionNames=["ses:SendEmail"])["EvaluationResults"]
    assert (told["EvalResourceName"], told["EvalDecision"]) == ("*", "implicitDeny")


def test_real_clients_send_and_are_refused_as_aws_does(aws):
    ses, sesv2 = h.client(aws, "ses"), h.client(aws, "sesv2")
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
    points = h.client(aws, "ses", "tank-monitor").get_send_statistics()["SendDataPoints"]
    assert sum(point["Bounces"] for point in points if point["Timestamp"].timestamp() > time.time() - 1800) >= 2
