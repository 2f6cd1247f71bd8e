#!/usr/bin/python
# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is documentation for an action plugin that has no module of its own.

from __future__ import annotations

DOCUMENTATION = r"""
module: run_guard
short_description: Refuse a run that would check nothing or record nothing
version_added: 0.1.0
author:
  - ops.remediation maintainers (@ops-remediation)
description:
  - Is the first task of every playbook of this collection, with C(run_once).
  - Ansible ends with exit code 0 when a group is empty. This task fails instead, with one line that names the remedy.
  - It also fails when the callback P(ops.remediation.run_record#callback) is not enabled.
  - >-
    Unknown variables of the hosts whose names begin like those of this collection (C(stack_), C(remediation_), or a role such as
    C(daily_check_)) get a remark in the summary, the report and the run record, with similar names. Only names are read, never values.
  - It passes the settings of the run to the callback. It runs on the controller and connects to no host.
attributes:
  check_mode:
    support: full
    description: Does the same.
  diff_mode:
    support: none
    description: Changes nothing.
  idempotent:
    support: full
    description: Never reports a change.
  action:
    support: full
    description: Runs on the controller only.
options:
  cadence:
    description: Kind of the run, such as V(daily_check).
    type: str
    required: true
  strict:
    description: >-
      Prefix of variables, such as V(emergency_rollback_). An unknown variable with this prefix fails the run, because a misspelt one would
      leave a harmful default in effect.
    type: str
  hosts:
    description: The hosts that the run checks.
    type: list
    elements: str
    required: true
  pattern:
    description: The pattern that selected O(hosts), for the message.
    type: str
    default: all
  fail_on:
    description: The least severe status that fails the run. A run that checked nothing fails in any case.
    type: str
    choices: [critical, unknown, warning, never]
    default: critical
  language:
    description: Language of the summary and the report. The record holds both.
    type: str
    choices: [en, ko]
    default: en
  home:
    description: Folder on the controller for run records, by default C(~/.local/state/ops-remediation).
    type: path
extends_documentation_fragment:
  - ops.remediation.attributes
seealso:
  - module: ops.remediation.run_verdict
"""

EXAMPLES = r"""
- name: Guard the run
  hosts: all:localhost
  gather_facts: false
  tasks:
    - name: Refuse a run that would check nothing
      ops.remediation.run_guard:
        cadence: daily_check
        hosts: "{{ query('ansible.builtin.inventory_hostnames', 'all') | intersect(ansible_play_hosts_all) }}"
      run_once: true
"""

RETURN = r"""
remediation_run:
  description: The settings of the run.
  returned: always
  type: dict
  sample:
    cadence: daily_check
    hosts:
      - tank-app
    fail_on: critical
    language: en
    home: ""
remediation_remarks:
  description: Remarks about unknown variables with a prefix of this collection; empty when there are none.
  returned: when the settings of the run are valid
  type: list
  elements: dict
  sample:
    - kind: variable_unknown
      subject: stack_pm2_hom
      hosts:
        - tank-app
      suggestions:
        - stack_pm2_home
      texts:
        en: stack_pm2_hom (on tank-app) is not a variable of this collection; did you mean stack_pm2_home?
        ko: "stack_pm2_hom (tank-app): 이 컬렉션에 없는 변수입니다. stack_pm2_home의 오타인지 확인하십시오."
check_mode:
  description: Whether the run is one in check mode, for the run record.
  returned: always
  type: bool
  sample: false
findings:
  description: The finding C(run.no_hosts).
  returned: when no host matches
  type: list
  elements: dict
expected:
  description: The check that the run record expects instead of those of the hosts, C(run.guard).
  returned: when no host matches
  type: list
  elements: str
  sample:
    - run.guard
"""
