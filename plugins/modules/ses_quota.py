#!/usr/bin/python
# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ses_quota
short_description: Check quota, send rate, bounces, complaints, identities and keys of Amazon SES
version_added: 0.1.0
author:
  - ops.remediation maintainers (@ops-remediation)
description:
  - Reports how much of the rolling 24 hour quota is used, and when it runs out, at today's pace and at that of the busiest of the last 14 days from this
    hour on; how close the peak is to the send rate, and which parallelism of the worker fits.
  - Reports bounces, complaints and rejects that reach the thresholds of the manuals, or of AWS where these are stricter, and rates that rise over the
    usual ones before they reach a threshold.
  - Reports whether AWS lets the account send, whether the identities are verified and DNS has their records, whether the key may send and nothing else,
    how old it is, whether the clock is correct, and whether ports 443 and 587 can be reached.
  - Makes all queries at the same time in one call, which ends within O(timeout) and leaves no process behind. A query that AWS throttles is retried
    with jitter, at most three attempts.
  - A missing permission makes only its own check unknown, or is listed in C(evidence.not_asked); the other checks return their results. The README of the
    role C(ops.remediation.daily_check) lists the policy that is needed. The module sends no mail, and changes nothing in AWS.
  - Runs the checks C(ses.reach), C(ses.key), C(ses.account), C(ses.quota), C(ses.reputation) and C(ses.identities) of
    M(ops.remediation.stack_check), without a list of checks.
  - A fault that was found is a successful run. The module fails only if an option cannot be used as given.
attributes:
  check_mode:
    support: full
    description: Runs the same checks.
  diff_mode:
    support: none
    description: Nothing is changed, so there is nothing to show.
  idempotent:
    support: full
    description: Never reports a change.
  action:
    support: none
    description: Runs on the host only.
requirements:
  - Python 3.10 or newer where the module runs (C(ansible_python_interpreter)), such as the virtual environment that the role
    C(ops.remediation.check_runtime) makes
  - boto3
  - dnspython
options:
  region:
    description: >-
      Region of SES, such as ap-southeast-1. Default: the region in the .env or the profile.
    type: str
  credentials_from:
    description: >-
      The .env with the key that signs the queries, by the names of its variables. Default: profile, environment or instance role.
    type: dict
    suboptions:
      env_file:
        description: >-
          A file of NAME=value lines, such as config/.env.
        type: path
        required: true
      access_key:
        description: >-
          Name of the variable with the key id. Default: AWS_ACCESS_KEY or SES_ACCESS_KEY.
        type: str
      secret_key:
        description: >-
          Name of the variable with the secret. Default: AWS_SECRET_KEY or SES_SECRET_KEY.
        type: str
      session_token:
        description: >-
          Name of the variable with the token of a temporary key. Default: AWS_SESSION_TOKEN.
        type: str
      region:
        description: >-
          Name of the variable with the region. Default: AWS_REGION or SES_REGION.
        type: str
      parallel:
        description: >-
          Name of the variable with the parallelism of the worker. Default: MAX_PARALLEL.
        type: str
  sender_from:
    description: >-
      The .env of the worker, where the sending key is not the key that signs the queries.
    type: dict
    suboptions:
      env_file:
        description: >-
          A file of NAME=value lines, such as config/.env.
        type: path
        required: true
      access_key:
        description: >-
          Name of the variable with the key id. Default: AWS_ACCESS_KEY or SES_ACCESS_KEY.
        type: str
      secret_key:
        description: >-
          Name of the variable with the secret. Default: AWS_SECRET_KEY or SES_SECRET_KEY.
        type: str
      session_token:
        description: >-
          Name of the variable with the token of a temporary key. Default: AWS_SESSION_TOKEN.
        type: str
      region:
        description: >-
          Name of the variable with the region. Default: AWS_REGION or SES_REGION.
        type: str
      parallel:
        description: >-
          Name of the variable with the parallelism of the worker. Default: MAX_PARALLEL.
        type: str
  profile:
    description: >-
      A profile of the AWS configuration, instead of credentials_from.
    type: str
  endpoint_urls:
    description: >-
      URLs of private endpoints, by service.
    type: dict
    suboptions:
      ses:
        description: >-
          URL of SES, instead of the endpoint of the region.
        type: str
      sesv2:
        description: >-
          URL of SES, version 2, instead of the endpoint of the region.
        type: str
      iam:
        description: >-
          URL of IAM, instead of the endpoint of the region.
        type: str
      sts:
        description: >-
          URL of STS, instead of the endpoint of the region.
        type: str
      cloudwatch:
        description: >-
          URL of CloudWatch, instead of the endpoint of the region.
        type: str
  identities:
    description: >-
      Domains and addresses that mails are sent from. Default: those that SES lists, 20 at most.
    type: list
    elements: str
    default: []
  resolver:
    description: >-
      DNS servers, as address or address:port. Default: those of the host that runs the check.
    type: list
    elements: str
    default: []
  smtp_endpoint:
    description: >-
      host:port of the SMTP interface, - to skip it. Default: that of the region, port 587.
    type: str
  iam_user:
    description: >-
      IAM user of the sending key, where the key that signs the queries may not read it.
    type: str
  timeout:
    description: >-
      Seconds for all queries together.
    type: float
    default: 15
  key_advice_days:
    description: >-
      Age in days at which a new key is recommended.
    type: float
    default: 30
  key_warning_days:
    description: >-
      Age in days at which the key must be replaced soon.
    type: float
    default: 150
  key_overdue_days:
    description: >-
      Age in days by which the key must have been replaced.
    type: float
    default: 180
  clock_seconds:
    description: >-
      Seconds that the clock may differ from AWS's, which rejects at 300.
    type: float
    default: 240
  quota_percent:
    description: >-
      Percent of the rolling 24 hour quota at which a fault is reported.
    type: float
    default: 80
  forecast_hours:
    description: >-
      A quota that runs out within this number of hours is reported.
    type: float
    default: 24
  rate_percent:
    description: >-
      Percent of the send rate at which the peak is reported.
    type: float
    default: 80
  mail_seconds:
    description: >-
      Seconds that the worker takes for one mail, with its pause against throttling; for the parallelism that fits.
    type: float
    default: 0.3
  bounce_warning:
    description: >-
      Bounces in percent at which a warning is reported.
    type: float
    default: 5
  bounce_critical:
    description: >-
      Bounces in percent at which sending should pause.
    type: float
    default: 10
  complaint_warning:
    description: >-
      Complaints in percent at which a warning is reported.
    type: float
    default: 0.1
  complaint_critical:
    description: >-
      Complaints in percent at which sending should pause. The default is AWS's threshold, stricter than the manual's 1.
    type: float
    default: 0.5
  reject_critical:
    description: >-
      Rejects in percent at which a fault is reported.
    type: float
    default: 5
  least_sends:
    description: >-
      With fewer sends in a window, a rate must also be significant by a binomial test (1 %) to be reported.
    type: int
    default: 1000
  rising_chance:
    description: >-
      A rise is reported if its probability by chance is lower (Fisher's exact test).
    type: float
    default: 0.001
  state_dir:
    description:
      - Folder on the host for the state of checks (mode 0700). This module keeps no state at present.
    type: path
  asked_from:
    description: Inventory name of the host that runs the checks, for the findings.
    type: str
    default: localhost
extends_documentation_fragment:
  - ops.remediation.attributes
notes:
  - The module uses the proxy in E(HTTPS_PROXY) and E(NO_PROXY) of the task's environment (keyword C(environment)) for its queries to AWS. It connects to
    DNS and the SMTP port directly, so set O(smtp_endpoint=-) where hosts outside can only be reached through the proxy.
seealso:
  - module: ops.remediation.stack_check
"""

EXAMPLES = r"""
- name: Check SES from an application host, with the key of the application
  ops.remediation.ses_quota:
    credentials_from:
      env_file: /opt/tank-mail-app/config/.env
    identities:
      - example.com
    asked_from: "{{ inventory_hostname }}"
  vars:
    ansible_python_interpreter: "{{ stack_check_python }}"
  register: ses

- name: Show the used quota, and when it runs out
  ansible.builtin.debug:
    msg: "{{ ses.quota.used }} of {{ ses.quota.limit }}, {{ ses.forecast }}"

- name: Check the sending key from a checker with a read-only profile
  ops.remediation.ses_quota:
    region: ap-southeast-1
    profile: monitoring
    iam_user: tank-sender
    resolver:
      - 192.0.2.53
    endpoint_urls:
      ses: https://email.ap-southeast-1.amazonaws.com
    bounce_warning: 3
    quota_percent: 70
  delegate_to: checker.example.com

- name: Check SES through the proxy in HTTPS_PROXY
  ops.remediation.ses_quota:
    credentials_from:
      env_file: /opt/tank-mail-app/config/.env
    smtp_endpoint: "-"
  environment:
    HTTPS_PROXY: http://proxy.example.com:3128
    NO_PROXY: 127.0.0.1,169.254.169.254
"""

RETURN = r"""
findings:
  description: One entry or more for each check, in the form that M(ops.remediation.stack_check) returns.
  returned: always
  type: list
  elements: dict
  sample:
    - check: ses.quota
      code: ses.quota_80
      severity: P2
      status: warning
      subject: ap-southeast-1
expected:
  description: Ids of all checks that were run, for the run record.
  returned: always
  type: list
  elements: str
  sample: [ses.reach, ses.quota]
quota:
  description: The quota and the send rate; empty when SES did not return them.
  returned: always
  type: dict
  contains:
    used:
      description: Recipients in the last 24 hours.
      type: int
      sample: 41200
    limit:
      description: Recipients that are allowed in 24 hours; missing when there is no limit.
      type: int
      sample: 50000
    unlimited:
      description: Whether there is no limit; missing otherwise.
      type: bool
      sample: true
    max_rate:
      description: Mails a second that are allowed.
      type: float
      sample: 14.0
    peak_rate:
      description: Highest rate of the last day in mails a second, on average of 15 minutes.
      type: float
      sample: 9.4
    parallel:
      description: Mails that the worker sends at the same time, according to C(.env).
      type: int
      sample: 10
    parallel_fits:
      description: Mails at the same time that fit the send rate.
      type: int
      sample: 4
rates:
  description: The attempts by window (C(1d), C(7d), C(14d)), and bounces, complaints and rejects in percent.
  returned: always
  type: dict
  sample:
    1d:
      attempts: 20016
      bounces: 0.6
      complaints: 0.01
      rejects: 0.0
forecast:
  description:
    - When the quota runs out, in hours. C(today_h) is at the pace of the last two hours, C(worst_h) at that of the busiest of the last 14 days from this
      hour on, C(alarm_h) is the value that is reported; each is missing if the quota does not run out within a day. C(pace) is mails an hour.
  returned: always
  type: dict
  sample:
    pace: 5200.0
    today_h: 1.7
    worst_h: 2.1
    alarm_h: 1.7
identities:
  description: A summary of each identity.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Domain or address.
      type: str
      sample: example.com
    status:
      description: The worst status that C(ses.identities) found, of V(ok), V(warning), V(unknown) and V(critical).
      type: str
      sample: critical
    codes:
      description: Codes of the faults.
      type: list
      elements: str
      sample:
        - ses.spf
    dmarc:
      description: Policy of DMARC, or a recommendation where it is missing.
      type: str
      sample: quarantine
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ops.remediation.plugins.module_utils._core.asking import ask
from ansible_collections.ops.remediation.plugins.module_utils._core.state import State, default_directory
from ansible_collections.ops.remediation.plugins.module_utils._modules.run_module import result_of, run_module
from ansible_collections.ops.remediation.plugins.module_utils._modules.ses_quota import ARGUMENTS, questions, summary


def main() -> None:
    """Run the checks and return their findings."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    directory = module.params["state_dir"] or default_directory(module.params["asked_from"])
    state = State(directory, read_only=module.check_mode)

    def body() -> dict[str, Any]:
        answer = ask(questions(module.params), asked_from=module.params["asked_from"], state=state)
        return result_of(answer, **summary(answer.findings))

    run_module(module, body, failure=lambda _error: {"findings": [], "expected": [], **summary([])})


if __name__ == "__main__":
    main()
