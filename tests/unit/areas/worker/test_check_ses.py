# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SES as the worker's log reports it: causes, addresses, and what explains the worker's errors."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.worker import check_log, check_ses
from ansible_collections.ops.remediation.plugins.module_utils._core import source as _sources
from ansible_collections.ops.remediation.plugins.module_utils._core.children import Outcome
from ansible_collections.ops.remediation.plugins.module_utils._shared.logs import signatures as _signatures
from ansible_collections.ops.remediation.plugins.plugin_utils.record import folding

from ...shared.logs import helpers as log_helpers

NOW = 1_795_000_000.0


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
