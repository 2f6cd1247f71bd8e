#!/usr/bin/python
# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_rollback
short_description: Put an earlier release of an installation in place, or restore the former one
version_added: 0.1.0
author:
  - ops.remediation maintainers (@ops-remediation)
description:
  - Stops the applications, puts the running release aside (it is never deleted), puts the wanted one in place, starts it, and verifies that
    it answers, works and stays up. Any failure puts the former release back and starts it.
  - All checks come before the first change. Each reason against the rollback is one line with its remedy.
  - The rollback is one transaction on the host, with a journal in O(state_dir). After a run that was killed, the next run finishes the rollback
    where its release is in place and is still wanted or runs well, and undoes it otherwise. Without O(to), with an unknown one, or while an
    open mail run forbids a stop, it changes nothing and names the interrupted rollback.
  - Supports folders with copies beside them, C(<app_dir>-backup-YYYYMMDDHHMM), and releases behind a symbolic link. In the second layout the
    live release is the target of the link, never the newest folder.
attributes:
  check_mode:
    support: full
    description: Does all checks, and returns each step that would be done.
  diff_mode:
    support: full
    description: Shows the steps, and the keys of C(.env) that differ; never their values.
  idempotent:
    support: full
    description: A second run with the same O(to), also with V(latest), changes nothing.
  action:
    support: full
    description: Returns findings for the run record.
options:
  to:
    description:
      - Id of the release, such as V(202611210930), or V(latest). There is no default; without it, the failure lists the candidates.
      - V(latest) is the newest release that was neither put aside nor rolled away from. Where a rollback to V(latest) has put the running
        release in place, it is that one.
    type: str
  env_policy:
    description:
      - V(take) uses the C(.env) of the release, as the manual does. V(keep) uses the present one, and keeps that of the release beside it.
    type: str
    choices: [take, keep]
    default: take
  copy:
    description: Copy the release instead of renaming it. A release on another file system is always copied.
    type: bool
    default: false
  copy_timeout:
    description: Time limit for the copy, in seconds.
    type: float
    default: 1800
  hash_timeout:
    description: Time limit for comparing the release with its checksums, in seconds.
    type: float
    default: 120
  least_free_mb:
    description: Megabytes that must be free in addition to the size of a copy.
    type: float
    default: 200
  open_runs:
    description: Number of open mail runs in LogsDB. Without a number it counts as unknown, and the rollback is refused.
    type: int
  open_runs_unknown:
    description: Reason why the number is not known.
    type: str
    default: ""
  open_runs_valid:
    description:
      - Seconds for which O(open_runs) is valid. Where the checks and the copy took longer, the rollback is refused just before it would stop the
        processes. A release that was copied stays beside the installation as a backup, so that the next run is quick.
    type: float
    default: 120
  override:
    description:
      - Refusals to override. V(open_run) stops the worker although a mail run is or may be open. V(same_release) takes a copy of the running
        release. V(damaged) takes a release whose files differ from C(<release>.manifest.json). Missing files cannot be overridden.
    type: list
    elements: str
    choices: [open_run, same_release, damaged]
    default: []
  pm2_home:
    description: PM2_HOME of the applications. Needed for the parts V(backend) and V(worker).
    type: path
  user:
    description: The user that runs PM2, by default the owner of O(pm2_home).
    type: str
  pm2_executable:
    description: The program C(pm2), needed only where a process is not in PM2's list.
    type: path
    default: pm2
  path_prefix:
    description: Folders to put before the PATH of the system, such as the folder of node.
    type: list
    elements: path
    default: []
  backend_process:
    description: PM2's name of the backend.
    type: str
    default: backend
  worker_process:
    description: PM2's name of the worker.
    type: str
    default: worker
  health_url:
    description: Address of the backend's health check. Needed for the part V(backend).
    type: str
  health_timeout:
    description: Seconds within which the backend must be healthy after its start.
    type: float
    default: 60
  worker_sign:
    description: Regular expression for a line that a working worker writes to its log; empty where it writes none.
    type: str
    default: Scheduler|Processing job
  worker_timeout:
    description: Seconds within which that line must appear.
    type: float
    default: 90
  settle:
    description: Seconds for which the processes must then stay up, healthy and without a restart.
    type: float
    default: 30
  build_dir:
    description: Folder that the page is served from. If it is not C(frontend/build) of O(app_dir), a rollback of the part V(frontend) is refused.
    type: path
  nginx:
    description: The nginx of this host, which is tested before and after and then reloaded. Without this option, nginx is not touched.
    type: dict
    suboptions:
      executable:
        description: The program nginx, by default found in PATH and the usual folders.
        type: path
      conf:
        description: Configuration file, by default the one of its build.
        type: path
      prefix:
        description: Prefix, by default the one of its build.
        type: path
      pid_file:
        description: Pid file, by default the configured one.
        type: path
      page_url:
        description: >-
          Address of the served page. If the page was served before and is not afterwards, the rollback is undone (part V(frontend)).
        type: str
extends_documentation_fragment:
  - ops.remediation.attributes
  - ops.remediation.release
seealso:
  - module: ops.remediation.release_info
  - module: ops.remediation.release_backup
  - module: ops.remediation.pm2_control
"""

EXAMPLES = r"""
- name: Go back to the release of the morning
  ops.remediation.release_rollback:
    app_dir: /opt/tank-mail-app
    to: "202611210930"
    pm2_home: /home/tankmail/.pm2
    health_url: http://127.0.0.1:3000/api/health
    open_runs: 0
    nginx: {}
"""

RETURN = r"""
msg:
  description: The outcome in one line. A failure names the problem, the place and the remedy.
  returned: always
  type: str
  sample: release 202611210930 runs in /opt/tank-mail-app; the former one is in /opt/tank-mail-app-aside-20261121101500
state:
  description: >-
    V(rolled_back), V(already) (there was nothing to do), V(finished_earlier) (the rollback of a killed run was finished, or undone where the
    former release was wanted), V(planned) (check mode). For a failure, V(refused) (nothing was changed, except by the recovery of a killed
    run, see RV(refusals)), V(undone) (the former release is back and runs), V(broken) (it does not run).
  returned: always
  type: str
steps:
  description: The steps that were done, in check mode the planned ones, in order.
  returned: always
  type: list
  elements: str
release:
  description: Id of the wanted release.
  returned: always
  type: str
release_path:
  description: Path of the wanted release before the rollback.
  returned: always
  type: str
former:
  description: Path where the former release is kept.
  returned: always
  type: str
failed_release:
  description: Path of the release that failed and was undone, with its logs.
  returned: always
  type: str
environment:
  description: Names of the keys of C(.env) that the release adds (C(added)), lacks (C(removed)) or has with other values (C(changed)).
  returned: always
  type: dict
refusals:
  description:
    - Reasons why the rollback was not begun, each with C(message) and C(reason).
    - C(touched) of each reports the recovery of a killed run, where one came before.
  returned: always
  type: list
  elements: dict
down_ms:
  description: Milliseconds from the stop until the backend was healthy.
  returned: always
  type: int
findings:
  description: A finding of C(run.rollback) for each refusal, or one for the outcome.
  returned: always
  type: list
  elements: dict
expected:
  description: What the run record expects, C(run.rollback).
  returned: always
  type: list
  elements: str
asked_from:
  description: Inventory name of the host.
  returned: always
  type: str
site:
  description: Value of the variable C(stack_site).
  returned: always
  type: str
"""

import signal
from types import FrameType
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ops.remediation.plugins.module_utils._actions.release import options
from ansible_collections.ops.remediation.plugins.module_utils._actions.release.rollback import REFUSED, Result, roll_back
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import ActionFailed, RemediationError
from ansible_collections.ops.remediation.plugins.module_utils._modules.run_module import run_module

NGINX = {**{name: {"type": "path"} for name in ("executable", "conf", "prefix", "pid_file")}, "page_url": {"type": "str"}}
ARGUMENTS = {
    **options.PLACE,
    "to": {"type": "str"},
    "env_policy": {"type": "str", "choices": ["take", "keep"], "default": "take"},
    "copy": {"type": "bool", "default": False},
    "copy_timeout": {"type": "float", "default": 1800},
    "hash_timeout": {"type": "float", "default": 120},
    "least_free_mb": {"type": "float", "default": 200},
    "open_runs": {"type": "int"},
    "open_runs_unknown": {"type": "str", "default": ""},
    "open_runs_valid": {"type": "float", "default": 120},
    "override": {"type": "list", "elements": "str", "choices": ["open_run", "same_release", "damaged"], "default": []},
    "pm2_home": {"type": "path"},
    "user": {"type": "str"},
    "pm2_executable": {"type": "path", "default": "pm2"},
    "path_prefix": {"type": "list", "elements": "path", "default": []},
    "backend_process": {"type": "str", "default": "backend"},
    "worker_process": {"type": "str", "default": "worker"},
    "health_url": {"type": "str"},
    "health_timeout": {"type": "float", "default": 60},
    "worker_sign": {"type": "str", "default": "Scheduler|Processing job"},
    "worker_timeout": {"type": "float", "default": 90},
    "settle": {"type": "float", "default": 30},
    "build_dir": {"type": "path"},
    "nginx": {"type": "dict", "options": NGINX},
}


ENDS = (signal.SIGTERM, signal.SIGINT)


def main() -> None:
    """Roll back, and return the outcome."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    _listen(True)

    def body() -> dict[str, Any]:
        request, tools = options.rollback(module.params)
        tools.listen = _listen
        return result(roll_back(request, tools, check_mode=module.check_mode))

    def result(done: Result) -> dict[str, Any]:
        values = done.as_dict()
        diff = {"diff": options.diff(done, module.params["app_dir"])} if module._diff else {}
        return {"msg": values.pop("message"), **values, **diff, "warnings": done.warnings}

    def failure(error: RemediationError) -> dict[str, Any]:
        return result(error.details.get("partial") or Result(state=REFUSED))

    run_module(module, body, failure)


def _listen(listen: bool) -> None:
    """Let SIGTERM and SIGINT undo the rollback once, or ignore them; SIGHUP (a lost connection) is always ignored."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for number in ENDS:
        signal.signal(number, _end if listen else signal.SIG_IGN)


def _end(number: int, _frame: FrameType | None) -> None:
    _listen(False)
    raise ActionFailed(f"the run received {signal.Signals(number).name}")


if __name__ == "__main__":
    main()
