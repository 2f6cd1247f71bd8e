# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The actions that the reader calls in AWS, and the names that they take. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Sequence

SERVICES = ("sts", "iam", "sesv2", "ses", "cloudwatch")
# By query. The reader calls nothing else; the README lists these actions as the policy of a monitoring key.
ACTIONS = {
    "account": "ses:GetAccount",
    "quota": "ses:GetSendQuota",
    "statistics": "ses:GetSendStatistics",
    "identity_list": "ses:ListEmailIdentities",
    "identity": "ses:GetEmailIdentity",
    "reputation": "cloudwatch:GetMetricData",
    "caller": "sts:GetCallerIdentity",
    "sender": "sts:GetCallerIdentity",
    "keys": "iam:ListAccessKeys",
    "last_used": "iam:GetAccessKeyLastUsed",
    "simulated": "iam:SimulatePrincipalPolicy",
    "rights": "iam:SimulatePrincipalPolicy",
}
SENDING = ("ses:SendEmail", "ses:SendRawEmail")
# Rights that sending does not need, one for each part of AWS that a wide policy would open.
BEYOND = (
    "ses:DeleteIdentity",
    "ses:UpdateAccountSendingEnabled",
    "ses:PutAccountSuppressionAttributes",
    "iam:CreateUser",
    "iam:AttachUserPolicy",
    "s3:ListAllMyBuckets",
    "s3:DeleteObject",
    "ec2:RunInstances",
    "sns:Publish",
)
NO_IDENTITY = ("NotFoundException", "NotFound")
MOST_IDENTITIES = 20  # of those that SES lists, and the queries about identities at one time; names in the parameters are all queried


def identity_arns(arn: str, region: str, names: Sequence[str]) -> list[str]:
    """Return the ARNs of identities in the account of a caller, as sending policies name them (SES developer guide, access control)."""
    match = re.match(r"arn:([\w-]+):[a-z]+::(\d+):", arn)
    return [f"arn:{match[1]}:ses:{region}:{match[2]}:identity/{name}" for name in names] if match else []


def principal(arn: str) -> str:
    """Return the ARN of the user or role behind a caller, whose policies IAM can simulate; "" for none (the root of an account)."""
    role = re.match(r"arn:([\w-]+):sts::(\d+):assumed-role/([^/]+)/", arn)
    if role:
        return f"arn:{role[1]}:iam::{role[2]}:role/{role[3]}"
    return arn if ":user/" in arn else ""


def user_of(arn: str) -> str:
    """Return the name of the IAM user in an ARN, "" for a role or the root of an account."""
    return arn.rpartition("/")[2] if ":user/" in arn else ""


def above(name: str) -> list[str]:
    """Return the domains above an address or a domain, the nearest first, without the top-level domain."""
    domain = name.rpartition("@")[2].split(".")
    first = 0 if "@" in name else 1
    return [".".join(domain[number:]) for number in range(first, len(domain) - 1)]
