# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parameters that all checks of SES share: how AWS, DNS and the ports are read."""

from __future__ import annotations

from typing import Any

from .aws_actions import MOST_IDENTITIES

CREDENTIAL_OPTIONS: dict[str, dict[str, Any]] = {
    "env_file": {"type": "path", "required": True, "description": "A file of NAME=value lines, such as config/.env."},
    "access_key": {
        "type": "str",
        "no_log": False,
        "description": "Name of the variable with the key id. Default: AWS_ACCESS_KEY or SES_ACCESS_KEY.",
    },
    "secret_key": {
        "type": "str",
        "no_log": False,
        "description": "Name of the variable with the secret. Default: AWS_SECRET_KEY or SES_SECRET_KEY.",
    },
    "session_token": {
        "type": "str",
        "no_log": False,
        "description": "Name of the variable with the token of a temporary key. Default: AWS_SESSION_TOKEN.",
    },
    "region": {"type": "str", "description": "Name of the variable with the region. Default: AWS_REGION or SES_REGION."},
    "parallel": {"type": "str", "description": "Name of the variable with the parallelism of the worker. Default: MAX_PARALLEL."},
}
ENDPOINT_OPTIONS: dict[str, dict[str, Any]] = {
    name: {"type": "str", "description": f"URL of {title}, instead of the endpoint of the region."}
    for name, title in (("ses", "SES"), ("sesv2", "SES, version 2"), ("iam", "IAM"), ("sts", "STS"), ("cloudwatch", "CloudWatch"))
}
READING_PARAMETERS: dict[str, dict[str, Any]] = {
    "region": {
        "type": "str",
        "variable": "stack_ses_region",
        "description": "Region of SES, such as ap-southeast-1. Default: the region in the .env or the profile.",
    },
    "credentials_from": {
        "type": "dict",
        "options": CREDENTIAL_OPTIONS,
        "variable": "stack_ses_credentials_from",
        "description": "The .env with the key that signs the queries, by the names of its variables. Default: profile, environment or instance role.",
    },
    "sender_from": {
        "type": "dict",
        "options": CREDENTIAL_OPTIONS,
        "variable": "stack_ses_sender_from",
        "description": "The .env of the worker, where the sending key is not the key that signs the queries.",
    },
    "profile": {
        "type": "str",
        "variable": "stack_ses_profile",
        "description": "A profile of the AWS configuration, instead of credentials_from.",
    },
    "endpoint_urls": {
        "type": "dict",
        "options": ENDPOINT_OPTIONS,
        "variable": "stack_ses_endpoint_urls",
        "description": "URLs of private endpoints, by service.",
    },
    "identities": {
        "type": "list",
        "elements": "str",
        "default": [],
        "variable": "stack_ses_identities",
        "description": f"Domains and addresses that mails are sent from. Default: those that SES lists, {MOST_IDENTITIES} at most.",
    },
    "resolver": {
        "type": "list",
        "elements": "str",
        "default": [],
        "variable": "stack_ses_resolver",
        "description": "DNS servers, as address or address:port. Default: those of the host that runs the check.",
    },
    "smtp_endpoint": {
        "type": "str",
        "variable": "stack_ses_smtp_endpoint",
        "description": "host:port of the SMTP interface, - to skip it. Default: that of the region, port 587.",
    },
    "iam_user": {
        "type": "str",
        "variable": "stack_ses_iam_user",
        "description": "IAM user of the sending key, where the key that signs the queries may not read it.",
    },
    "timeout": {"type": "float", "default": 9.0, "description": "Seconds for all queries together; less than the deadline of the check."},
}


def number(default: float, description: str, variable: str = "") -> dict[str, Any]:
    """Return the spec of a parameter that is a number."""
    spec: dict[str, Any] = {"type": "float", "default": default, "description": description}
    return {**spec, "variable": variable} if variable else spec
