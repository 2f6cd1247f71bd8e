#!/usr/bin/python
# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_check
short_description: Check a machine - CPU, memory, disks, logs, clock, connections, ports
version_added: 0.1.0
author:
  - ops.remediation maintainers (@ops-remediation)
description:
  - Asks the checks of the area C(host) and returns their findings, each with the processes, folders or peers that it is about.
  - Nothing is measured by waiting. The CPU is judged by pressure information, load averages, and what it did since an earlier run;
    disks are continued from earlier runs to the day on which they will be full. So a second run knows more than the first.
  - Every reading has a deadline and a child process of its own. What the user may not see is named in C(evidence.not_asked).
  - A fault that was found is a successful run. The module fails only for a question that was wrongly put.
  - It changes nothing on the host but its own notes for the next run in O(state_dir), and not even those in check mode.
  - The same checks can be asked together with others by M(ops.remediation.stack_check).
attributes:
  check_mode:
    support: full
    description: Runs the same checks, and keeps no notes for the next run.
  diff_mode:
    support: none
    description: Nothing is changed, so there is nothing to show.
  idempotent:
    support: full
    description: Never reports a change.
  action:
    support: none
    description: Runs on the host only.
options:
  ask:
    description: What to check.
    type: list
    elements: str
    choices: [cpu, memory, disk, logs, clock, outbound, ports]
    default: [cpu, memory, disk, logs, clock, outbound, ports]
  cgroup:
    description: >-
      A cgroup below /sys/fs/cgroup that is checked instead of the whole machine, such as system.slice/pm2-tankmail.service. In a
      container, its own limits count without this. For cpu and memory.
    type: str
  cpu_percent:
    description: >-
      Use of the CPU in percent that is a fault when it lasts. For cpu.
    type: float
    default: 80
  cpu_window:
    description: >-
      Seconds that it must last: the window of the pressure information, and the least time since the earlier run. For cpu.
    type: int
    choices: [10, 60, 300]
    default: 300
  cpu_pressure:
    description: >-
      Percent of the window in which tasks wait for a CPU. From this and cpu_load on, the CPU is saturated. For cpu.
    type: float
    default: 60
  cpu_load:
    description: >-
      Load average per core. From this and cpu_pressure on, the CPU is saturated. For cpu.
    type: float
    default: 1.5
  memory_free:
    description: >-
      Percent of the memory that must be available. For memory.
    type: float
    default: 10
  memory_pressure:
    description: >-
      Percent of the last five minutes in which all tasks waited for memory, from which memory is too small. For memory.
    type: float
    default: 10
  memory_look_back:
    description: >-
      Seconds for which a process killed for lack of memory is reported. For memory.
    type: int
    default: 86400
  log_folders:
    description: >-
      Folders with logs; folders below them are not included. For disk and logs.
    type: list
    elements: path
    default: []
  only:
    description: >-
      Mount points to check instead of all local file systems; each must be mounted. For disk.
    type: list
    elements: path
    default: []
  paths:
    description: >-
      Paths whose file systems are checked as well, of any type. For disk.
    type: list
    elements: path
    default: []
  disk_warning:
    description: >-
      Percent in use, as df shows it, that is a warning. For disk.
    type: float
    default: 80
  disk_critical:
    description: >-
      Percent in use, as df shows it, that is critical. For disk.
    type: float
    default: 90
  inodes_critical:
    description: >-
      Percent of the inodes in use that is critical. For disk.
    type: float
    default: 90
  forecast_days:
    description: >-
      Days ahead in which a file system must not become full; 0 for no forecast. For disk.
    type: float
    default: 14
  forecast_points:
    description: >-
      Least number of runs for a forecast. For disk.
    type: int
    default: 4
  forecast_hours:
    description: >-
      Least number of hours between the first and the last of these runs. For disk.
    type: float
    default: 6
  pm2_home:
    description: >-
      The PM2_HOME whose processes' log folders are checked as well. For logs.
    type: path
  user:
    description: >-
      The user that runs PM2, by default the owner of the PM2_HOME. For logs.
    type: str
  log_days:
    description: >-
      Days that a log may reach back when nothing rotates it. For logs.
    type: int
    default: 30
  log_megabytes:
    description: >-
      Size in MB from which a log should have been rotated. For logs.
    type: int
    default: 500
  logrotate:
    description: >-
      Files and folders of logrotate's configuration. For logs.
    type: list
    elements: path
    default: [/etc/logrotate.conf, /etc/logrotate.d]
  ntp_server:
    description: >-
      A time server to compare with, as host or host:port (UDP 123). For clock.
    type: str
  clock_offset:
    description: >-
      Seconds that the clock may differ from the time server. For clock.
    type: float
    default: 1.0
  clock_synchronised:
    description: >-
      Whether a time service must synchronise the clock; false where a hypervisor does it without the kernel. For clock.
    type: bool
    default: true
  targets:
    description: >-
      Places that must be reachable by TCP, as host:port, such as email.ap-southeast-1.amazonaws.com:443; at most 24. For outbound.
    type: list
    elements: str
    default: []
  connect_within:
    description: >-
      Seconds that each connection may take, with the look-up of the name. For outbound.
    type: float
    default: 3.0
  expected_ports:
    description: >-
      TCP ports that may be open to others, as numbers or ranges such as 8000-8010; without any, none is judged. For ports.
    type: list
    elements: str
    default: []
  among_ports:
    description: >-
      Ports or ranges that are checked, by default all. For ports.
    type: list
    elements: str
    default: []
  deadline:
    description: Seconds that each reading may take.
    type: float
    default: 10
  state_dir:
    description:
      - Folder on the host for what one run keeps for the next (mode 0700).
      - By default C(/var/lib/ops-remediation/HOST) for root and C(~/.local/state/ops-remediation/HOST) for others.
    type: path
  asked_from:
    description: Name of the host that asks, for the findings.
    type: str
    default: localhost
extends_documentation_fragment:
  - ops.remediation.attributes
"""

EXAMPLES = r"""
- name: Check the machine
  ops.remediation.host_check:
    log_folders:
      - /opt/tank-mail-app/backend/logs
      - /opt/tank-mail-app/worker/logs
      - /var/log/nginx
    pm2_home: /home/tankmail/.pm2
    ntp_server: ntp.example.com
    targets:
      - email.ap-southeast-1.amazonaws.com:443
      - oracle.example.com:1521
    expected_ports: ["22", "80", "443"]
  register: answer

- name: Ask only for two disks, and warn earlier
  ops.remediation.host_check:
    ask: [disk]
    only:
      - /
      - /batch
    disk_warning: 70

- name: Show what is not well
  ansible.builtin.debug:
    msg: "{{ answer.findings | rejectattr('status', 'equalto', 'ok') }}"
"""

RETURN = r"""
findings:
  description: One entry or more for each check, in the form that M(ops.remediation.stack_check) documents.
  returned: always
  type: list
  elements: dict
  sample:
    - check: host.disk
      area: host
      code: host.disk_80
      subject: /
      status: warning
      severity: P2
      asked_from: localhost
      evidence:
        mount: /
        free: 9.1 GB
        size: 50.0 GB
      value: 81.8
      threshold: 80
      unit: "%"
      remedies: [logs.rotate]
      checked_at: "2026-11-21T09:10:12Z"
      duration_ms: 9
expected:
  description: Ids of all checks that were asked.
  returned: always
  type: list
  elements: str
  sample: [host.cpu, host.memory]
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.ops.remediation.plugins.module_utils._areas.host.area import CHECKS
from ansible_collections.ops.remediation.plugins.module_utils._core import asking, questions
from ansible_collections.ops.remediation.plugins.module_utils._core.state import State, default_directory
from ansible_collections.ops.remediation.plugins.module_utils._modules.run_module import result_of, run_module

QUESTIONS = {check.id.partition(".")[2]: check for check in CHECKS}
ARGUMENTS = {
    "ask": {"type": "list", "elements": "str", "choices": list(QUESTIONS), "default": list(QUESTIONS)},
    **{name: spec for check in CHECKS for name, spec in check.argument_spec.items()},
    "deadline": {"type": "float", "default": 10},
    "state_dir": {"type": "path"},
    "asked_from": {"type": "str", "default": "localhost"},
}


def main() -> None:
    """Run the checks, and return their findings."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = {name: value for name, value in module.params.items() if value is not None}
    asked = [
        {
            "check": QUESTIONS[name].id,
            "params": {option: given[option] for option in QUESTIONS[name].parameters if option in given},
            "deadline": given["deadline"],
        }
        for name in dict.fromkeys(given["ask"])
    ]
    state = State(given.get("state_dir") or default_directory(given["asked_from"]), read_only=module.check_mode)

    def body() -> dict[str, Any]:
        parsed = questions.parse(asked, ArgumentSpecValidator, {"host": lambda: CHECKS})
        return result_of(asking.ask(parsed, asked_from=given["asked_from"], state=state))

    run_module(module, body, failure=lambda _error: {"findings": [], "expected": [entry["check"] for entry in asked]})


if __name__ == "__main__":
    main()
