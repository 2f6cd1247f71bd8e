#!/usr/bin/python
# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_check
short_description: Ask a list of checks on a host, all at once
version_added: 0.1.0
author:
  - ops.remediation maintainers (@ops-remediation)
description:
  - Runs any number of checks in one task and returns their findings.
  - Data that several checks need is read once. Each reading runs in a child process of its own, with a deadline and as the right
    user, so that nothing hangs and one failing part does not hide the others.
  - The module succeeds when it finds a fault. It fails only for a check that does not exist or has wrong parameters.
  - It changes nothing on the host, except the state that it keeps for the next run in O(state_dir), which check mode does not write.
  - The checks and their parameters are listed in C(docs/checks.md) of the collection.
attributes:
  check_mode:
    support: full
    description: Runs the same checks, and keeps no state for the next run.
  diff_mode:
    support: none
    description: Nothing is changed, so there is nothing to show.
  idempotent:
    support: full
    description: Never reports a change.
  action:
    support: full
    description: The parameters are verified on the controller before anything is sent.
options:
  checks:
    description: The checks, in any order.
    type: list
    elements: dict
    required: true
    suboptions:
      check:
        description: Id of the check, such as V(pm2.processes).
        type: str
        required: true
      params:
        description: Parameters of the check. Secrets are refused; checks take references to them.
        type: dict
        default: {}
      deadline:
        description: Time limit for the readings of this check, in seconds. For a reading that checks share, the longest limit applies.
        type: float
        default: 10
  state_dir:
    description:
      - Folder on the host for the state that one run keeps for the next (mode 0700).
      - By default C(/var/lib/ops-remediation/HOST) for root and C(~/.local/state/ops-remediation/HOST) for others.
    type: path
  asked_from:
    description: Inventory name of the host that runs the checks, for the findings. The action plugin sets it.
    type: str
extends_documentation_fragment:
  - ops.remediation.attributes
"""

EXAMPLES = r"""
- name: Check PM2 and its processes
  ops.remediation.stack_check:
    checks:
      - check: pm2.daemon
        params:
          pm2_home: /home/tankmail/.pm2
      - check: pm2.processes
        params:
          pm2_home: /home/tankmail/.pm2
          processes:
            - backend
            - worker
        deadline: 5
  register: answer

- name: Show the faults
  ansible.builtin.debug:
    msg: "{{ answer.findings | rejectattr('status', 'equalto', 'ok') }}"
"""

RETURN = r"""
findings:
  description: One entry or more for each check, in the finding's published form.
  returned: always
  type: list
  elements: dict
  contains:
    check:
      description: Id of the check.
      type: str
      sample: pm2.processes
    area:
      description: Area of the check.
      type: str
      sample: pm2
    code:
      description: Code of the fault in the catalogue, empty when the status is V(ok).
      type: str
      sample: pm2.stopped
    subject:
      description: The process, target, mount or identity, empty when there is only one.
      type: str
      sample: worker
    status:
      description: One of V(ok), V(warning), V(critical), V(unknown).
      type: str
      sample: critical
    severity:
      description: From V(P0), sending stops, to V(P3), advice; empty when ok.
      type: str
      sample: P1
    asked_from:
      description: Inventory name of the host that asked.
      type: str
      sample: tank-app
    evidence:
      description: Details for the texts and for the operator, without secrets.
      type: dict
      sample:
        exit_code: 3
    value:
      description: The measured value, where the finding is a measure.
      type: raw
    threshold:
      description: The value from which on the finding is made.
      type: raw
    unit:
      description: Unit of value and threshold.
      type: str
    remedies:
      description: Ids of the remedies, best first.
      type: list
      elements: str
      sample:
        - pm2.start
    checked_at:
      description: RFC 3339, UTC.
      type: str
      sample: "2026-11-21T09:10:12Z"
    duration_ms:
      description: Duration of the readings in milliseconds.
      type: int
      sample: 4
expected:
  description: Ids of all checks that were requested.
  returned: always
  type: list
  elements: str
  sample:
    - pm2.daemon
    - pm2.processes
asked_from:
  description: Inventory name of the host that asked.
  returned: always
  type: str
  sample: tank-app
site:
  description: Value of the variable C(stack_site); common causes are searched within one site.
  returned: always
  type: str
  sample: seoul
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.ops.remediation.plugins.module_utils._areas import registry
from ansible_collections.ops.remediation.plugins.module_utils._core.stack_check import ARGUMENTS, ask_here
from ansible_collections.ops.remediation.plugins.module_utils._modules import archive_imports
from ansible_collections.ops.remediation.plugins.module_utils._modules.run_module import run_module


def main() -> None:
    """Ask the checks, and return their findings."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    archive_imports.compile_once()
    run_module(
        module,
        lambda: ask_here(module.params, ArgumentSpecValidator, registry.REGISTERED, read_only=module.check_mode),
        failure=lambda _error: {"findings": [], "expected": []},
    )


if __name__ == "__main__":
    main()
