# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the checks of SES, with their defaults.

Where manual and AWS disagree the stricter line is the default: complaints are critical at 0.5 %, where AWS pauses, not at the manual's 1 %.
"""

from __future__ import annotations

from typing import Any

from .aws_actions import MOST_IDENTITIES

CREDENTIAL_OPTIONS: dict[str, dict[str, Any]] = {
    "env_file": {"type": "path", "required": True, "description": "A file of NAME=value lines, such as config/.env."},
    "access_key": {
        "type": "str",
        "no_log": False,
        "description": "Name in it of the key's id, by default AWS_ACCESS_KEY or SES_ACCESS_KEY.",
    },
    "secret_key": {"type": "str", "no_log": False, "description": "Name of its secret, by default AWS_SECRET_KEY or SES_SECRET_KEY."},
    "session_token": {
        "type": "str",
        "no_log": False,
        "description": "Name of its token, for temporary keys, by default AWS_SESSION_TOKEN.",
    },
    "region": {"type": "str", "description": "Name of the region's variable, by default AWS_REGION or SES_REGION."},
    "parallel": {"type": "str", "description": "Name of the variable with the worker's parallelism, by default MAX_PARALLEL."},
}
ENDPOINT_OPTIONS: dict[str, dict[str, Any]] = {
    name: {"type": "str", "description": f"Address of {title}, instead of the region's."}
    for name, title in (("ses", "SES"), ("sesv2", "SES, version 2"), ("iam", "IAM"), ("sts", "STS"), ("cloudwatch", "CloudWatch"))
}
READING_PARAMETERS: dict[str, dict[str, Any]] = {
    "region": {"type": "str", "description": "Region of SES, such as ap-southeast-1, by default what the .env or the profile says."},
    "credentials_from": {
        "type": "dict",
        "options": CREDENTIAL_OPTIONS,
        "description": "The .env that holds the key to ask with, by the names of its variables. Without it, profile, environment or instance role.",
    },
    "sender_from": {
        "type": "dict",
        "options": CREDENTIAL_OPTIONS,
        "description": "The .env of the worker, where the key that sends is another than the one to ask with.",
    },
    "profile": {"type": "str", "description": "A profile of the AWS configuration, instead of credentials_from."},
    "endpoint_urls": {"type": "dict", "options": ENDPOINT_OPTIONS, "description": "Addresses of private endpoints, by service."},
    "identities": {
        "type": "list",
        "elements": "str",
        "default": [],
        "description": f"Domains and addresses that mails are sent from, by default those that SES lists ({MOST_IDENTITIES} at most).",
    },
    "resolver": {
        "type": "list",
        "elements": "str",
        "default": [],
        "description": "DNS servers to ask, as address or address:port, by default those of the host that asks.",
    },
    "smtp_endpoint": {
        "type": "str",
        "description": "host:port of the SMTP interface, by default the region's at 587; - leaves it out.",
    },
    "iam_user": {"type": "str", "description": "IAM user of the key that sends, where AWS does not tell it to the key that asks."},
    "timeout": {"type": "float", "default": 9.0, "description": "Seconds for all questions together; less than the deadline of the check."},
}


def _number(default: float, description: str) -> dict[str, Any]:
    return {"type": "float", "default": default, "description": description}


QUOTA_PARAMETERS: dict[str, dict[str, Any]] = {
    **READING_PARAMETERS,
    "quota_percent": _number(80.0, "Percent of the rolling 24 hour quota from which on its use is reported."),
    "forecast_hours": _number(24.0, "Hours ahead within which the quota must not run out."),
    "rate_percent": _number(80.0, "Percent of the send rate from which on its peak is reported."),
    "mail_seconds": _number(
        0.3, "Seconds that one mail takes the worker, with its pause against throttling, to tell which parallelism fits."
    ),
}
REPUTATION_PARAMETERS: dict[str, dict[str, Any]] = {
    **READING_PARAMETERS,
    "bounce_warning": _number(5.0, "Bounces in percent from which on they are reported."),
    "bounce_critical": _number(10.0, "Bounces in percent from which on sending should pause."),
    "complaint_warning": _number(0.1, "Complaints in percent from which on they are reported."),
    "complaint_critical": _number(
        0.5, "Complaints in percent from which on sending should pause; AWS's line, stricter than the manual's 1."
    ),
    "reject_critical": _number(5.0, "Rejects in percent from which on they are reported."),
    "least_sends": {
        "type": "int",
        "default": 1000,
        "description": "Sends in a window from which on its rate counts as it is; below, it must also be more than luck (binomial test, 1 %).",
    },
    "rising_chance": _number(0.001, "Chance by luck below which a rise over the usual is reported (Fisher's exact test)."),
}
KEY_PARAMETERS: dict[str, dict[str, Any]] = {
    **READING_PARAMETERS,
    "key_advice_days": {**_number(30.0, "Days from which on a new key is advised."), "no_log": False},
    "key_warning_days": {**_number(150.0, "Days from which on a key is old."), "no_log": False},
    "key_overdue_days": {**_number(180.0, "Days at which a key must have been replaced."), "no_log": False},
    "clock_seconds": _number(240.0, "Seconds that the clock may differ from AWS's, which refuses at 300."),
}
