# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Send the wheels that a host needs, and report the outcome to the run record."""

from __future__ import annotations

import os
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import WrongQuestion
from ansible_collections.ops.remediation.plugins.module_utils._core.finding import ok
from ansible_collections.ops.remediation.plugins.plugin_utils.run.module_answer import ALWAYS

MODULE = "ops.remediation.check_runtime"
CHECK = "run.runtime"
_BUILD_IT = "build it as the README of the role check_runtime describes"
KEPT = (*ALWAYS, "diff", "interpreter", "version", "packages", "wheels")


class ActionModule(ActionBase):
    """The controller's half of ops.remediation.check_runtime."""

    TRANSFERS_FILES = True
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module, after sending wheels where it needs any."""
        task_vars = task_vars or {}
        super().run(tmp, task_vars)
        host = str(task_vars.get("inventory_hostname", "localhost"))
        constant = {"expected": [CHECK], "site": task_vars.get("stack_site", ""), "asked_from": host}
        try:
            result = self._bring(dict(self._task.args), task_vars)
        except AnsibleConnectionFailure as error:
            return {"unreachable": True, "msg": str(error), "findings": [], **constant}
        except (AnsibleError, WrongQuestion) as error:
            return {"failed": True, "msg": str(error), "findings": [], **constant}
        if result.get("failed"):
            return {**result, "findings": [], **constant}
        evidence = {name: result.get(name) for name in ("changed", "interpreter", "version", "packages")}
        return {**result, "findings": [ok(CHECK, asked_from=host, evidence=evidence).as_dict()], **constant}

    def _bring(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        wheelhouse = arguments.pop("wheelhouse", None)
        if not wheelhouse or arguments.get("state") == "absent":
            return self._module(arguments, task_vars)
        folder = os.path.abspath(os.path.expanduser(str(wheelhouse)))
        arguments["wheels"] = _wheels_in(folder)
        planned = self._module(arguments, task_vars)
        if planned.get("failed") or not planned.get("changed") or self._task.check_mode:
            return planned
        there = self._send(folder, planned["wheels"])
        return self._module({**arguments, "wheelhouse": there}, task_vars)

    def _module(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        result = self._execute_module(module_name=MODULE, module_args=arguments, task_vars=task_vars)
        return {name: value for name, value in result.items() if name in KEPT}

    def _send(self, folder: str, names: list[str]) -> str:
        """Copy wheels into the task's temporary folder on the host, which Ansible removes; return that folder."""
        if self._connection._shell.tmpdir is None:
            self._make_tmp_path()
        there = self._connection._shell.tmpdir
        # The names come from the host; only wheels that were offered are sent.
        sent = [
            self._transfer_file(os.path.join(folder, name), self._connection._shell.join_path(there, name))
            for name in _wheels_in(folder)
            if name in names
        ]
        self._fixup_perms2([there, *sent])
        return there


def _wheels_in(folder: str) -> list[str]:
    """Return the names of the wheels in a folder of the controller. Raises WrongQuestion when there are none."""
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".whl"))
    except OSError as error:
        raise WrongQuestion("wheelhouse", folder, f"cannot be read on the controller ({error.strerror})", _BUILD_IT) from error
    if not names:
        raise WrongQuestion("wheelhouse", folder, "holds no wheels", _BUILD_IT)
    return names
