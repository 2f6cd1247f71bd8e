#!/usr/bin/python
# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ses_quota
short_description: Ask Amazon SES about quota, send rate, bounces, complaints, identities and keys
version_added: 0.1.0
author:
  - ops.remediation maintainers (@ops-remediation)
description:
  - Says how much of the rolling 24 hour quota is used and when it runs out, at today's rate and at the worst of the last 14 days at this hour; how
    near the peak is to the send rate, and which parallelism of the worker fits.
  - Says whether bounces, complaints and rejects are over the lines of the manuals, or of AWS where these are stricter, and whether they rise over
    the usual before they reach a line.
  - Says whether AWS lets the account send, whether identities are verified and DNS has their records, whether the key may send and no more, how old
    it is, whether the clock is right, and whether ports 443 and 587 can be reached.
  - All questions are asked at the same time in one call, which ends within O(timeout) and leaves no process behind. What AWS throttles is asked again
    with jitter, three times at most.
  - A permission that is missing makes its one question unknown, or is named in C(evidence.not_asked); the others are answered. The role
    C(ops.remediation.daily_check) lists the policy that is needed. The module sends no mail, and changes nothing in AWS.
  - The same checks as C(ses.reach), C(ses.key), C(ses.account), C(ses.quota), C(ses.reputation) and C(ses.identities) of
    M(ops.remediation.stack_check), without an inventory of checks.
  - A fault that was found is a successful run. The module fails only for a question that was wrongly put.
attributes:
  check_mode:
    support: full
    description: Asks the same.
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
      Region of SES, such as ap-southeast-1, by default what the .env or the profile says.
    type: str
  credentials_from:
    description: >-
      The .env that holds the key to ask with, by the names of its variables. Without it, profile, environment or instance role.
    type: dict
    suboptions:
      env_file:
        description: >-
          A file of NAME=value lines, such as config/.env.
        type: path
        required: true
      access_key:
        description: >-
          Name in it of the key's id, by default AWS_ACCESS_KEY or SES_ACCESS_KEY.
        type: str
      secret_key:
        description: >-
          Name of its secret, by default AWS_SECRET_KEY or SES_SECRET_KEY.
        type: str
      session_token:
        description: >-
          Name of its token, for temporary keys, by default AWS_SESSION_TOKEN.
        type: str
      region:
        description: >-
          Name of the region's variable, by default AWS_REGION or SES_REGION.
        type: str
      parallel:
        description: >-
          Name of the variable with the worker's parallelism, by default MAX_PARALLEL.
        type: str
  sender_from:
    description: >-
      The .env of the worker, where the key that sends is another than the one to ask with.
    type: dict
    suboptions:
      env_file:
        description: >-
          A file of NAME=value lines, such as config/.env.
        type: path
        required: true
      access_key:
        description: >-
          Name in it of the key's id, by default AWS_ACCESS_KEY or SES_ACCESS_KEY.
        type: str
      secret_key:
        description: >-
          Name of its secret, by default AWS_SECRET_KEY or SES_SECRET_KEY.
        type: str
      session_token:
        description: >-
          Name of its token, for temporary keys, by default AWS_SESSION_TOKEN.
        type: str
      region:
        description: >-
          Name of the region's variable, by default AWS_REGION or SES_REGION.
        type: str
      parallel:
        description: >-
          Name of the variable with the worker's parallelism, by default MAX_PARALLEL.
        type: str
  profile:
    description: >-
      A profile of the AWS configuration, instead of credentials_from.
    type: str
  endpoint_urls:
    description: >-
      Addresses of private endpoints, by service.
    type: dict
    suboptions:
      ses:
        description: >-
          Address of SES, instead of the region's.
        type: str
      sesv2:
        description: >-
          Address of SES, version 2, instead of the region's.
        type: str
      iam:
        description: >-
          Address of IAM, instead of the region's.
        type: str
      sts:
        description: >-
          Address of STS, instead of the region's.
        type: str
      cloudwatch:
        description: >-
          Address of CloudWatch, instead of the region's.
        type: str
  identities:
    description: >-
      Domains and addresses that mails are sent from, by default those that SES lists (20 at most).
    type: list
    elements: str
    default: []
  resolver:
    description: >-
      DNS servers to ask, as address or address:port, by default those of the host that asks.
    type: list
    elements: str
    default: []
  smtp_endpoint:
    description: >-
      host:port of the SMTP interface, by default the region's at 587; - leaves it out.
    type: str
  iam_user:
    description: >-
      IAM user of the key that sends, where AWS does not tell it to the key that asks.
    type: str
  timeout:
    description: >-
      Seconds for all questions together.
    type: float
    default: 15
  key_advice_days:
    description: >-
      Days from which on a new key is advised.
    type: float
    default: 30
  key_warning_days:
    description: >-
      Days from which on a key is old.
    type: float
    default: 150
  key_overdue_days:
    description: >-
      Days at which a key must have been replaced.
    type: float
    default: 180
  clock_seconds:
    description: >-
      Seconds that the clock may differ from AWS's, which refuses at 300.
    type: float
    default: 240
  quota_percent:
    description: >-
      Percent of the rolling 24 hour quota from which on its use is reported.
    type: float
    default: 80
  forecast_hours:
    description: >-
      Hours ahead within which the quota must not run out.
    type: float
    default: 24
  rate_percent:
    description: >-
      Percent of the send rate from which on its peak is reported.
    type: float
    default: 80
  mail_seconds:
    description: >-
      Seconds that one mail takes the worker, with its pause against throttling, to tell which parallelism fits.
    type: float
    default: 0.3
  bounce_warning:
    description: >-
      Bounces in percent from which on they are reported.
    type: float
    default: 5
  bounce_critical:
    description: >-
      Bounces in percent from which on sending should pause.
    type: float
    default: 10
  complaint_warning:
    description: >-
      Complaints in percent from which on they are reported.
    type: float
    default: 0.1
  complaint_critical:
    description: >-
      Complaints in percent from which on sending should pause; AWS's line, stricter than the manual's 1.
    type: float
    default: 0.5
  reject_critical:
    description: >-
      Rejects in percent from which on they are reported.
    type: float
    default: 5
  least_sends:
    description: >-
      Sends in a window from which on its rate counts as it is; below, it must also be more than luck (binomial test, 1 %).
    type: int
    default: 1000
  rising_chance:
    description: >-
      Chance by luck below which a rise over the usual is reported (Fisher's exact test).
    type: float
    default: 0.001
  state_dir:
    description:
      - Folder on the host for notes of checks (mode 0700). This module keeps none there at present.
    type: path
  asked_from:
    description: Inventory name of the host that asks, for the findings.
    type: str
    default: localhost
extends_documentation_fragment:
  - ops.remediation.attributes
notes:
  - A proxy is taken from E(HTTPS_PROXY) and E(NO_PROXY) in the environment of the task (keyword C(environment)). AWS is then asked through it; DNS
    and the port of SMTP are asked directly, so give O(smtp_endpoint=-) where only the proxy leads out.
seealso:
  - module: ops.remediation.stack_check
"""

EXAMPLES = r"""
- name: Ask SES from an application host, with the key of the application
  ops.remediation.ses_quota:
    credentials_from:
      env_file: /opt/tank-mail-app/config/.env
    identities:
      - example.com
    asked_from: "{{ inventory_hostname }}"
  vars:
    ansible_python_interpreter: "{{ stack_check_python }}"
  register: ses

- name: Show what is used, and when it runs out
  ansible.builtin.debug:
    msg: "{{ ses.quota.used }} of {{ ses.quota.limit }}, {{ ses.forecast }}"

- name: Ask from a checker with a profile that may only read, about the key that sends
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

- name: Ask through a proxy, which HTTPS_PROXY of the task names
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
  description: Ids of all checks that were asked, for the run record.
  returned: always
  type: list
  elements: str
  sample: [ses.reach, ses.quota]
quota:
  description: The quota and the send rate; empty when SES did not tell them.
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
      description: Most mails a second of the last day, on average of 15 minutes.
      type: float
      sample: 9.4
    parallel:
      description: Mails that the worker sends at a time, by C(.env).
      type: int
      sample: 10
    parallel_fits:
      description: Mails at a time that fit the send rate.
      type: int
      sample: 4
rates:
  description: By window (C(1d), C(7d), C(14d)) the attempts, and bounces, complaints and rejects in percent.
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
    - When the quota runs out, in hours. C(today_h) at the pace of the last two hours, C(worst_h) if it becomes like the busiest of the last 14 days from
      this hour on, C(alarm_h) what is reported; each is missing when it does not run out within a day. C(pace) is mails an hour.
  returned: always
  type: dict
  sample:
    pace: 5200.0
    today_h: 1.7
    worst_h: 2.1
    alarm_h: 1.7
identities:
  description: Each identity in short.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Domain or address.
      type: str
      sample: example.com
    status:
      description: The worst of V(ok), V(warning), V(unknown) and V(critical) that C(ses.identities) found.
      type: str
      sample: critical
    codes:
      description: Codes of the faults.
      type: list
      elements: str
      sample:
        - ses.spf
    dmarc:
      description: Policy of DMARC, or what to do about it.
      type: str
      sample: quarantine
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ops.remediation.plugins.module_utils._core import asking as _ask
from ansible_collections.ops.remediation.plugins.module_utils._core import state as _state
from ansible_collections.ops.remediation.plugins.module_utils._modules import ses_quota as _ses_door


def main():
    """Ask, and return what was found."""
    module = AnsibleModule(argument_spec=_ses_door.ARGUMENTS, supports_check_mode=True)
    directory = module.params["state_dir"] or _state.default_directory(module.params["asked_from"])
    state = _state.State(directory, read_only=module.check_mode)
    answer = _ask.ask(_ses_door.questions(module.params), asked_from=module.params["asked_from"], state=state)
    for warning in answer.warnings:
        module.warn(warning)
    result = {"findings": answer.findings, "expected": answer.expected, **_ses_door.in_short(answer.findings)}
    if answer.wrong:
        module.fail_json(msg="; ".join(answer.wrong), **result)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
