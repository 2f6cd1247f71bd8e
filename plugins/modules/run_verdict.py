#!/usr/bin/python
# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is documentation for an action plugin that has no module of its own.

from __future__ import annotations

DOCUMENTATION = r"""
module: run_verdict
short_description: Fail a run whose findings reach the configured status
version_added: 0.1.0
author:
  - ops.remediation maintainers (@ops-remediation)
description:
  - Is the last task of every playbook of this collection, in a play of its own, with C(run_once).
  - Fails when the run record so far holds a status that C(remediation_fail_on) names, or when nothing was checked.
  - It runs on the controller and connects to no host.
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
options: {}
extends_documentation_fragment:
  - ops.remediation.attributes
seealso:
  - module: ops.remediation.run_guard
"""

EXAMPLES = r"""
- name: Judge the run
  hosts: all:localhost
  gather_facts: false
  tasks:
    - name: Fail when the findings say so
      ops.remediation.run_verdict:
      run_once: true
"""

RETURN = r"""
remediation_verdict:
  description: The verdict of the run record.
  returned: always
  type: dict
  sample:
    failed: true
    reason: 1 critical
    fail_on: critical
    run_id: 20261121T091012Z-0a1b2c
"""
