#!/usr/bin/python
# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pm2_control
short_description: Start, stop, restart, save and resurrect processes of PM2, and prove that they stay up
version_added: 0.1.0
author:
  - ops.remediation maintainers (@ops-remediation)
description:
  - PM2 itself reports success when an application crashes straight away. This module succeeds only when each process has lived for
    O(wait_stable) seconds under one and the same pid, and O(health_url) answers. Otherwise it fails with the line of the error log that says
    why.
  - It talks to the PM2 daemon through its socket, as the user that owns the PM2_HOME, and never starts a daemon only to look.
    The command line is used for a first start, O(state=saved), O(state=reloaded), O(state=resurrected) and O(update_env=true).
  - The caller's environment never gets into an application, and no file of another user is left in the PM2_HOME.
  - Works with PM2 5, 6 and 7, in fork and cluster mode.
attributes:
  check_mode:
    support: full
    description: Reads the list of processes and says what would be done. Never starts a daemon.
  diff_mode:
    support: full
    description: Shows the processes before and after, one a line.
  idempotent:
    support: partial
    description: V(restarted) and V(reloaded) act every time; all other states change nothing once they are reached.
  action:
    support: none
    description: Runs on the host only.
options:
  state:
    description:
      - V(started) starts what does not run. A process that is online is left alone, unlike with C(pm2 start).
      - V(stopped) stops, V(absent) stops and takes out of the list. Both leave the saved list alone.
      - V(restarted) stops and starts again. V(reloaded) replaces the workers of a cluster one by one, and goes on to the next only when
        the one before has lived for O(wait_stable), so that a version that crashes does not take all of them down.
      - V(saved) writes what runs to C(dump.pm2), with mode 0600, when it differs from what is saved.
        A process that is merely stopped or errored is no difference in the saved list of names, but a save records it as it is.
        It refuses where C(dump.pm2) is a link or anything else than a plain file.
      - V(resurrected) brings back what is saved, starting a daemon when none runs, and the instances of which only some run.
    type: str
    choices: [started, stopped, restarted, reloaded, absent, saved, resurrected]
    default: started
  name:
    description:
      - Name of the process; all instances of that name are meant. V(all) means every application, but not PM2's own modules.
      - Required unless O(state=saved) or O(state=resurrected).
    type: str
  pm2_home:
    description: The PM2_HOME of the user that runs the applications.
    type: path
    required: true
  user:
    description:
      - The user that runs PM2. By default the owner of the daemon's socket, or of O(pm2_home) when there is none.
      - Needed where these two differ. A daemon of root in another user's O(pm2_home) is refused in any case.
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
      - Variables that would change what PM2 itself does, such as C(PM2_HOME), C(PATH), C(NODE_OPTIONS) and C(LD_PRELOAD), are refused.
    type: path
  update_env:
    description: With V(restarted) and V(reloaded), give the processes the environment of O(env_file) or O(ecosystem) anew.
    type: bool
    default: false
  wait_stable:
    description: Seconds for which each process must live under one pid. A process that has lived longer already is not waited for.
    type: float
    default: 5
  health_url:
    description: Must answer with 2xx, and with the status V(ok) where the answer is JSON with a status, for V(started), V(restarted), V(reloaded) and
      V(resurrected). Redirects are not followed. An address with C(http) or C(https).
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
    description: Folders in front of the system's PATH, such as the one that holds node.
    type: list
    elements: path
    default: []
  orphans:
    description:
      - What V(resurrected) does with applications that outlived a killed daemon. They would run twice.
      - V(refuse) fails and names them. V(end) ends them first, with SIGINT and then SIGKILL; what they are working on is lost.
    type: str
    choices: [refuse, end]
    default: refuse
  deadline:
    description: Seconds after which the module gives up.
    type: float
    default: 120
extends_documentation_fragment:
  - ops.remediation.attributes
seealso:
  - module: ops.remediation.stack_check
notes:
  - On a host with systemd, a daemon that O(state=resurrected) starts is not in the unit's control group until the next boot.
"""

EXAMPLES = r"""
- name: Start the backend for the first time, and prove that it answers
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

- name: Let a reboot bring back what runs now
  ops.remediation.pm2_control:
    state: saved
    pm2_home: /home/tankmail/.pm2

- name: Bring back everything after the daemon was killed
  ops.remediation.pm2_control:
    state: resurrected
    pm2_home: /home/tankmail/.pm2
    user: tankmail
"""

RETURN = r"""
processes:
  description: The processes that this is about, as they are at the end; in check mode, as they are now. Also returned by a failure.
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
  description: What was done, or in check mode would be done, in order. Also returned by a failure.
  returned: always
  type: list
  elements: str
  sample:
    - restart worker (1)
diff:
  description: The processes before and after, one a line.
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
