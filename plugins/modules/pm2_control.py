#!/usr/bin/python
# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pm2_control
short_description: Start, stop, restart, save and resurrect processes of PM2, and verify that they stay up
version_added: 0.1.0
author:
  - ops.remediation maintainers (@ops-remediation)
description:
  - PM2 itself reports success when an application crashes immediately. This module succeeds only when each process has been up for
    O(wait_stable) seconds under the same pid and O(health_url) answers. Otherwise it fails with the line of the error log that gives the
    reason.
  - It talks to the PM2 daemon through its socket, as the user that owns the PM2_HOME, and never starts a daemon only to read its state.
    It uses the command line for a first start, O(state=saved), O(state=reloaded), O(state=resurrected) and O(update_env=true).
  - Applications never get the environment of the caller, and no file of another user is left in the PM2_HOME.
  - Works with PM2 5, 6 and 7, in fork and cluster mode.
attributes:
  check_mode:
    support: full
    description: Reads the list of processes and returns the planned actions. Never starts a daemon.
  diff_mode:
    support: full
    description: Shows the processes before and after, one on each line.
  idempotent:
    support: partial
    description: V(restarted) and V(reloaded) act every time. All other states change nothing once they are reached.
  action:
    support: none
    description: Runs on the host only.
options:
  state:
    description:
      - V(started) starts processes that do not run. Unlike C(pm2 start), it does not touch a process that is online.
      - V(stopped) stops processes. V(absent) stops them and removes them from the list. Neither changes the saved list.
      - V(restarted) stops and starts again. V(reloaded) replaces the workers of a cluster one by one, and continues only when the
        previous one has been up for O(wait_stable), so that a version that crashes stops only one of them.
      - V(saved) writes the running processes to C(dump.pm2), with mode 0600, when they differ from the saved ones.
        A process that is stopped or errored does not count as a difference, but a save records its present state.
        It fails where C(dump.pm2) is a link or anything else than a plain file.
      - V(resurrected) starts the saved processes, and the missing instances of those that run in part. It starts a daemon when none runs.
    type: str
    choices: [started, stopped, restarted, reloaded, absent, saved, resurrected]
    default: started
  name:
    description:
      - Name of the process, with all its instances. V(all) stands for every application, without PM2's own modules.
      - Required unless O(state=saved) or O(state=resurrected).
    type: str
  pm2_home:
    description: PM2_HOME of the user that runs the applications.
    type: path
    required: true
  user:
    description:
      - The user that runs PM2. By default the owner of the daemon's socket, or of O(pm2_home) when there is none.
      - Needed where these two differ. A daemon of root in the O(pm2_home) of another user is always refused.
    type: str
  script:
    description: Absolute path of the script for a first start, when O(name) is not in PM2's list.
    type: path
  ecosystem:
    description:
      - Absolute path of an ecosystem file for a first start, or for O(update_env).
      - PM2 runs a C(.js) file as code, as the owner of the PM2_HOME.
    type: path
  cwd:
    description: Working directory of O(script), by default its folder.
    type: path
  args:
    description: Arguments of O(script).
    type: list
    elements: str
    default: []
  exec_mode:
    description: Mode of O(script).
    type: str
    choices: [fork, cluster]
    default: fork
  instances:
    description: Number of instances of O(script) at its first start.
    type: int
    default: 1
  env_file:
    description:
      - Absolute path of a file on the host with lines C(KEY=VALUE) that become the environment of a first start, or of O(update_env).
      - The values stay on the host. PM2 keeps them in its list and in C(dump.pm2).
      - Variables that would change the behaviour of PM2 itself, such as C(PM2_HOME), C(PATH), C(NODE_OPTIONS) and C(LD_PRELOAD), are refused.
    type: path
  update_env:
    description: With V(restarted) and V(reloaded), replace the environment of the processes with that of O(env_file) or O(ecosystem).
    type: bool
    default: false
  wait_stable:
    description: Seconds for which each process must be up under one pid. The module does not wait for a process that has been up longer already.
    type: float
    default: 5
  health_url:
    description:
      - HTTP or HTTPS address of a health check. With V(started), V(restarted), V(reloaded) and V(resurrected) it must answer with 2xx, and
        with the status V(ok) where the answer is JSON with a status. Redirects are not followed.
    type: str
  health_timeout:
    description: Seconds within which O(health_url) must become healthy.
    type: float
    default: 30
  pm2_executable:
    description: The program C(pm2), a name or a full path.
    type: path
    default: pm2
  path_prefix:
    description: Folders to put before the PATH of the system, such as the folder of node.
    type: list
    elements: path
    default: []
  orphans:
    description:
      - How V(resurrected) treats applications that outlived a killed daemon, and would run twice.
      - V(refuse) fails and names them. V(end) ends them first, with SIGINT and then SIGKILL; their work in progress is lost.
    type: str
    choices: [refuse, end]
    default: refuse
  deadline:
    description: Seconds after which the module fails.
    type: float
    default: 120
extends_documentation_fragment:
  - ops.remediation.attributes
seealso:
  - module: ops.remediation.stack_check
notes:
  - On a host with systemd, a daemon that O(state=resurrected) starts is not in the control group of the unit until the next boot.
"""

EXAMPLES = r"""
- name: Start the backend for the first time, and verify that it answers
  ops.remediation.pm2_control:
    name: backend
    state: started
    pm2_home: /home/tankmail/.pm2
    script: /opt/tank-mail-app/backend/dist/main.js
    health_url: http://127.0.0.1:3000/api/health

- name: Restart the worker
  ops.remediation.pm2_control:
    name: worker
    state: restarted
    pm2_home: /home/tankmail/.pm2
    wait_stable: 10

- name: Replace the workers of a cluster without an interruption
  ops.remediation.pm2_control:
    name: backend
    state: reloaded
    pm2_home: /home/tankmail/.pm2
    pm2_executable: /home/tankmail/.nvm/versions/node/v20.11.0/bin/pm2

- name: Give the worker the changed configuration
  ops.remediation.pm2_control:
    name: worker
    state: restarted
    pm2_home: /home/tankmail/.pm2
    update_env: true
    env_file: /opt/tank-mail-app/config/.env

- name: Save the running processes, so that a reboot starts them
  ops.remediation.pm2_control:
    state: saved
    pm2_home: /home/tankmail/.pm2

- name: Start all saved processes after the daemon was killed
  ops.remediation.pm2_control:
    state: resurrected
    pm2_home: /home/tankmail/.pm2
    user: tankmail
"""

RETURN = r"""
processes:
  description: The processes that O(name) selects, at the end of the module; in check mode, the present ones. Also returned by a failure.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the process.
      type: str
      sample: backend
    pm_id:
      description: PM2's number of the process.
      type: int
      sample: 0
    pid:
      description: Process id, 0 when it does not run.
      type: int
      sample: 4711
    status:
      description: PM2's status.
      type: str
      sample: online
    restarts:
      description: PM2's counter of restarts.
      type: int
      sample: 1
    uptime_ms:
      description: Milliseconds since its last start, 0 when it does not run.
      type: int
      sample: 5012
    exec_mode:
      description: V(fork) or V(cluster).
      type: str
      sample: fork
actions:
  description: The actions that were taken, in check mode the planned ones, in order. Also returned by a failure.
  returned: always
  type: list
  elements: str
  sample:
    - restart worker (1)
diff:
  description: The processes before and after, one on each line.
  returned: in diff mode
  type: dict
  sample:
    before: |
      worker (1): stopped, fork, pid 0
    after: |
      worker (1): online, fork, pid 4711
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ops.remediation.plugins.module_utils._actions.pm2_control.control import Result, control
from ansible_collections.ops.remediation.plugins.module_utils._actions.pm2_control.request import STATES, Request
from ansible_collections.ops.remediation.plugins.module_utils._modules.run_module import run_module

ARGUMENTS = {
    "state": {"type": "str", "choices": list(STATES), "default": "started"},
    "name": {"type": "str"},
    "pm2_home": {"type": "path", "required": True},
    "user": {"type": "str"},
    "script": {"type": "path"},
    "ecosystem": {"type": "path"},
    "cwd": {"type": "path"},
    "args": {"type": "list", "elements": "str", "default": []},
    "exec_mode": {"type": "str", "choices": ["fork", "cluster"], "default": "fork"},
    "instances": {"type": "int", "default": 1},
    "env_file": {"type": "path"},
    "update_env": {"type": "bool", "default": False},
    "wait_stable": {"type": "float", "default": 5},
    "health_url": {"type": "str"},
    "health_timeout": {"type": "float", "default": 30},
    "pm2_executable": {"type": "path", "default": "pm2"},
    "path_prefix": {"type": "list", "elements": "path", "default": []},
    "orphans": {"type": "str", "choices": ["refuse", "end"], "default": "refuse"},
    "deadline": {"type": "float", "default": 120},
}


def main() -> None:
    """Bring the processes into the wanted state, and return them."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    request = Request(**{**module.params, "name": module.params["name"] or ""})

    def result(done: Result) -> dict[str, Any]:
        diff = {"diff": done.diff()} if module._diff else {}
        return {**done.as_dict(), **diff, "warnings": done.warnings}

    run_module(
        module, lambda: result(control(request, check_mode=module.check_mode)), failure=lambda error: result(error.details["partial"])
    )


if __name__ == "__main__":
    main()
