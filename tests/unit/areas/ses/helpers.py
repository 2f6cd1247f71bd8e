# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The replica's AWS in this process, and what the reader and the checks return for it."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import boto3
from ansible_collections.ops.remediation.plugins.module_utils._areas.ses import area
from ansible_collections.ops.remediation.plugins.module_utils._areas.ses.read import read as read_facts
from ansible_collections.ops.remediation.plugins.module_utils._core.children import Outcome
from ansible_collections.ops.remediation.plugins.module_utils._core.source import Asked
from ansible_collections.ops.remediation.plugins.plugin_utils.texts import catalogue as faults_catalogue

CHECKOUT = Path(__file__).resolve().parents[4]
sys.path.insert(0, str(CHECKOUT))

from tests.replica.aws.account import Identity  # noqa: E402 - found through the line above
from tests.replica.aws.server import REGION, Aws  # noqa: E402 - found through the line above

SERVICES = ("ses", "sesv2", "iam", "sts", "cloudwatch")
CHECKS = {check.id: check for check in area.CHECKS}


def env_file(folder: Path, name: str, key: list[str], **more: str) -> str:
    """Write a .env with a key, with the product's names."""
    lines = {"AWS_ACCESS_KEY": key[0], "AWS_SECRET_KEY": key[1], "AWS_REGION": REGION, **more}
    path = folder / name
    path.write_text("".join(f"{key}={value}\n" for key, value in lines.items()), encoding="utf-8")
    return str(path)


def options(aws: Aws, folder: Path, **changed: Any) -> dict[str, Any]:
    """Return the parameters for the stand-in: the monitor's key signs the queries, the sender's key sends."""
    return {
        "credentials_from": {"env_file": env_file(folder, "monitor.env", aws.people.keys["tank-monitor"])},
        "sender_from": {"env_file": env_file(folder, "sender.env", aws.people.keys["tank-sender"], MAX_PARALLEL="20")},
        "endpoint_urls": dict.fromkeys(SERVICES, aws.url),
        "resolver": [f"127.0.0.1:{aws.dns_port}"],
        "smtp_endpoint": f"127.0.0.1:{aws.smtp_port}",
        **changed,
    }


def conclude(check: str, facts: Any, now: float | None = None, **parameters: Any) -> list[Any]:
    """Return the findings of a check for these facts."""
    one = CHECKS[check]
    given = {**{name: spec.get("default") for name, spec in one.parameters.items()}, **parameters}
    (source,) = one.sources
    return one.function(Asked(given, time.time() if now is None else now, {source.name: Outcome(facts)}))


def codes(findings: list[Any]) -> list[str]:
    return [finding.code for finding in findings if finding.code]


def every_code(facts: Any, **parameters: Any) -> set[str]:
    """Return the codes of all checks of the area."""
    return {code for name, check in CHECKS.items() if check.driver for code in codes(conclude(name, facts, **_known(check, parameters)))}


def _known(check: Any, parameters: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if name in check.parameters}


def read(aws: Aws, folder: Path, **changed: Any) -> dict[str, Any]:
    return read_facts(**options(aws, folder, **changed))


def identity(name):
    """Return an identity for the stand-in's account."""
    return Identity(name)


def client(aws, service, user="tank-sender"):
    key = aws.people.keys[user]
    return boto3.client(service, endpoint_url=aws.url, region_name=REGION, aws_access_key_id=key[0], aws_secret_access_key=key[1])


def text_of(finding, part, language):
    return faults_catalogue.render({**finding.as_dict(), "host": "tank-app"})[language][part]
