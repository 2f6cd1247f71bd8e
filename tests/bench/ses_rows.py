# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the bench asks of SES: all questions in little more time than boto3 needs for one, and far less than one after the other."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from table import FRESH, Row

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT))

from tests.replica.aws.server import REGION, Aws  # noqa: E402 - found through the line above

SERVICES = ("ses", "sesv2", "iam", "sts", "cloudwatch")
ROUNDS = 9
FAR_AWAY = 0.1  # seconds that a call takes to another country and back
MOST_MB = 120
_ONE = """
import boto3
client = boto3.client("ses")
print(client.get_send_quota()["Max24HourSend"])
"""
_ALL = """
import datetime
import boto3
ses, sesv2, sts, iam, cloudwatch = (boto3.client(name) for name in ("ses", "sesv2", "sts", "iam", "cloudwatch"))
ses.get_send_quota()
ses.get_send_statistics()
sesv2.get_account()
for one in sesv2.list_email_identities()["EmailIdentities"]:
    sesv2.get_email_identity(EmailIdentity=one["IdentityName"])
arn = sts.get_caller_identity()["Arn"]
iam.simulate_principal_policy(PolicySourceArn=arn, ActionNames=["ses:SendEmail", "ses:SendRawEmail"])
for key in iam.list_access_keys(UserName=arn.rpartition("/")[2])["AccessKeyMetadata"]:
    iam.get_access_key_last_used(AccessKeyId=key["AccessKeyId"])
now = datetime.datetime.now(datetime.timezone.utc)
queries = [
    {"Id": name.lower(), "MetricStat": {"Metric": {"Namespace": "AWS/SES", "MetricName": f"Reputation.{name}Rate"}, "Period": 3600, "Stat": "Average"}}
    for name in ("Bounce", "Complaint")
]
cloudwatch.get_metric_data(MetricDataQueries=queries, StartTime=now - datetime.timedelta(days=2), EndTime=now)
"""


def rows(folder: Path, collections: Path) -> list[Row]:
    """Return the rows of the bench."""
    aws = Aws(folder / "aws")
    try:
        key, secret = aws.people.keys["tank-monitor"]
        aws.people.allow("tank-monitor", ["ses:SendEmail", "ses:SendRawEmail"], policy="send")  # one key for all, as at most customers
        keys = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_DEFAULT_REGION": REGION, "AWS_ENDPOINT_URL": aws.url}
        environment = {**os.environ, **keys, "PYTHONPATH": os.pathsep.join([str(collections), os.environ.get("PYTHONPATH", "")])}
        module = _module(folder, aws)
        asks = [sys.executable, "-m", "ansible_collections.ops.remediation.plugins.modules.ses_quota", module]
        ours = partial(_run, asks, environment)
        one = _compare(
            "ses_quota / import boto3 and one get_send_quota", ours, lambda: _run([sys.executable, "-c", _ONE], environment), 2.0
        )
        aws.do("fault.set", {"kind": "slow", "seconds": FAR_AWAY})
        name = f"ses_quota / one by one with boto3, {FAR_AWAY:g} s a call"
        made = [one, _compare(name, ours, lambda: _run([sys.executable, "-c", _ALL], environment), 1.0)]
        peak = folder / "ses-peak"
        _run([*FRESH, "--peak", str(peak), *asks], environment)
        megabytes = int(peak.read_text(encoding="ascii")) / 1024
        made.append(Row("ses_quota, memory in MB / 120", megabytes, float(MOST_MB), megabytes / MOST_MB, 1.0))
    finally:
        aws.close()
    return made


def _module(folder: Path, aws: Aws) -> str:
    """Write the module's arguments as Ansible hands them over."""
    env = folder / "bench.env"
    key, secret = aws.people.keys["tank-monitor"]
    env.write_text(f"AWS_ACCESS_KEY={key}\nAWS_SECRET_KEY={secret}\nAWS_REGION={REGION}\n", encoding="ascii")
    arguments = {
        "credentials_from": {"env_file": str(env)},
        "endpoint_urls": dict.fromkeys(SERVICES, aws.url),
        "resolver": [f"127.0.0.1:{aws.dns_port}"],
        "smtp_endpoint": f"127.0.0.1:{aws.smtp_port}",
        "state_dir": str(folder / "ses-state"),
    }
    path = folder / "ses-arguments.json"
    path.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}), encoding="utf-8")
    return str(path)


def _run(argv: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise SystemExit(f"bench: {argv[1:3]} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-2000:]}")
    if any("ses_quota" in word for word in argv):
        bad = [finding["code"] for finding in json.loads(done.stdout)["findings"] if finding["status"] != "ok"]
        if bad:
            raise SystemExit(f"bench: SES is not well: {bad}")


def _compare(name: str, ours: Callable[[], None], reference: Callable[[], None], bar: float) -> Row:
    ours()
    reference()
    pairs = [(_seconds(ours), _seconds(reference)) for _round in range(ROUNDS)]
    first, second = (statistics.median(values) for values in zip(*pairs))
    return Row(name, first, second, statistics.median(one / other for one, other in pairs), bar)


def _seconds(function: Callable[[], None]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started
