#!/usr/bin/python
# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_rollback
short_description: Put an earlier release of an installation in place, or leave everything as it was
version_added: 0.1.0
author:
  - ops.remediation maintainers (@ops-remediation)
description:
  - Stops the applications, puts the running release aside (it is never deleted), puts the wanted one in place, starts it, and sees that
    it answers, works and lives on. Any failure puts the former release back and starts it.
  - Everything is looked at before anything is touched. Each reason not to begin is one line with its remedy.
  - All of it is one transaction on the host, with a journal in O(state_dir). After a run that was killed, the next one finishes it where its
    release is in place and still wanted or runs well, and undoes it otherwise. With no or an unknown O(to), or while a mail run is open that this
    would tear apart, it touches nothing and names what was interrupted.
  - Knows folders with copies beside them, C(<app_dir>-backup-YYYYMMDDHHMM), and releases behind a symbolic link. Of the latter the live
    one is what the link says, never the newest.
attributes:
  check_mode:
    support: full
    description: Looks at everything, and says each step that would be done.
  diff_mode:
    support: full
    description: Shows which release was and is in place, and which keys of C(.env) differ; never their values.
  idempotent:
    support: full
    description: A second run with the same O(to), also with V(latest), changes nothing.
  action:
    support: full
    description: Makes findings of the answer, for the run record.
options:
  to:
    description:
      - Id of the release, such as V(202611210930), or V(latest). There is no default; without one the candidates are told.
      - V(latest) is the newest that was neither put aside nor rolled away from. Where a rollback to V(latest) has put the running one there, it is
        that one.
    type: str
  env_policy:
    description:
      - V(take) takes the C(.env) of the release, as the manual does. V(keep) gives it the present one, and keeps its own beside it.
    type: str
    choices: [take, keep]
    default: take
  copy:
    description: Copy the release instead of renaming it. Done anyway where it lies on another file system.
    type: bool
    default: false
  copy_timeout:
    description: Seconds that copying may take.
    type: float
    default: 1800
  hash_timeout:
    description: Seconds that comparing the release with its checksums may take.
    type: float
    default: 120
  least_free_mb:
    description: Megabytes that must be free, besides those of a copy.
    type: float
    default: 200
  open_runs:
    description: How many mail runs are open by LogsDB; without a number it counts as unknown, and the rollback is refused.
    type: int
  open_runs_unknown:
    description: Why the number is not known.
    type: str
    default: ""
  open_runs_valid:
    description:
      - Seconds for which O(open_runs) holds. Where looking and copying took longer, the rollback is refused just before the processes would stop;
        a release that was copied stays beside the installation as a backup, so that the next run is quick.
    type: float
    default: 120
  override:
    description:
      - Reasons not to begin that are set aside by name. V(open_run) stops the worker although a mail run is or may be open, V(same_release) takes
        a copy of what runs, V(damaged) takes a release whose files are not as C(<release>.manifest.json) says; what is missing is never overridden.
    type: list
    elements: str
    choices: [open_run, same_release, damaged]
    default: []
  pm2_home:
    description: The PM2_HOME of the applications. Needed for the parts V(backend) and V(worker).
    type: path
  user:
    description: The user that runs PM2, by default the owner of O(pm2_home).
    type: str
  pm2_executable:
    description: The program C(pm2), needed only where a process is not in PM2's list.
    type: path
    default: pm2
  path_prefix:
    description: Folders in front of the system's PATH, such as the one that holds node.
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
    description: The backend's health check. Needed for the part V(backend).
    type: str
  health_timeout:
    description: Seconds within which the backend must be healthy after its start.
    type: float
    default: 60
  worker_sign:
    description: A regular expression for a line that the worker writes when it works; empty where it writes none.
    type: str
    default: Scheduler|Processing job
  worker_timeout:
    description: Seconds within which that line must come.
    type: float
    default: 90
  settle:
    description: Seconds for which the processes must then live on, healthy and without a restart.
    type: float
    default: 30
  build_dir:
    description: Folder that the page is served from. Where it is not C(frontend/build) of O(app_dir), a rollback of the part V(frontend) is refused.
    type: path
  nginx:
    description: The nginx of this host, tested before and after and then reloaded. Without it, none is.
    type: dict
    suboptions:
      executable:
        description: The program nginx, by default found in PATH and the usual folders.
        type: path
      conf:
        description: Its configuration, by default the one of its build.
        type: path
      prefix:
        description: Its prefix, by default the one of its build.
        type: path
      pid_file:
        description: Its pid file, by default as configured.
        type: path
      page_url:
        description: >-
          Address of the page that it serves. Where the page was served before and is not afterwards, the rollback is undone (part V(frontend)).
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
  description: What became of it, in one line. A failure says what was wrong, where, and what to do.
  returned: always
  type: str
  sample: release 202611210930 runs in /opt/tank-mail-app; the former one is in /opt/tank-mail-app-aside-20261121101500
state:
  description: >-
    V(rolled_back), V(already) (nothing was to be done), V(finished_earlier) (what a killed run had begun was finished, or undone where
    the former release was asked for), V(planned) (check mode); of a failure V(refused) (nothing was touched but what a killed run had
    begun, see RV(refusals)), V(undone) (the former release is back and runs), V(broken) (it does not run).
  returned: always
  type: str
steps:
  description: What was done, or would be, in order.
  returned: always
  type: list
  elements: str
release:
  description: Id of the release that was meant.
  returned: always
  type: str
release_path:
  description: Where it was.
  returned: always
  type: str
former:
  description: Where the former release is kept.
  returned: always
  type: str
failed_release:
  description: Where the release is that failed and was undone, with its logs.
  returned: always
  type: str
environment:
  description: Names of the keys of C(.env) that the release has more (C(added)), less (C(removed)) or with other values (C(changed)).
  returned: always
  type: dict
refusals:
  description:
    - Why it was not begun, each with C(message) and C(reason).
    - C(touched) of each says what became of what a killed run had begun, where that was finished or undone before.
  returned: always
  type: list
  elements: dict
down_ms:
  description: Milliseconds from the order to stop until the backend was healthy.
  returned: always
  type: int
findings:
  description: A finding of C(run.rollback) for each refusal, or one of the outcome.
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
