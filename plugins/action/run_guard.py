# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fail a run that could not report its result: no host, no callback for the record, or an invalid setting.

Unknown variables with a prefix of this collection only get a remark, because another collection may own them; they fail the run where the
playbook is strict about its own prefix.
"""

from __future__ import annotations

import os
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.vars import load_extra_vars
from ansible_collections.ops.remediation.plugins.module_utils._areas.run.faults import fault
from ansible_collections.ops.remediation.plugins.plugin_utils.record import record
from ansible_collections.ops.remediation.plugins.plugin_utils.run import variables

CALLBACK = "ops.remediation.run_record"

HOSTS_IN_INVENTORY = (
    "remediation_hosts is set in the inventory, where Ansible does not read it for the hosts of a play, so the run would include all hosts;"
    " remove it there, and name the hosts on the command line: -e remediation_hosts=<group or host>, or --limit"
)


class ActionModule(ActionBase):
    """ops.remediation.run_guard; runs on the controller alone."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the settings of the run for the callback, or fail with one line."""
        super().run(tmp, task_vars)
        try:
            arguments = self._arguments()
        except AnsibleError as error:
            # The record of a run with invalid options is kept in the folder that its caller chose.
            given = {"cadence": str(self._task.args.get("cadence", "")), "home": str(self._task.args.get("home") or "")}
            message = str(error)
            for option in ("fail_on", "language"):  # name the variables that hold the values
                message = message.replace(f"value of {option} ", f"value of remediation_{option} ")
            return {"failed": True, "msg": message, "remediation_run": given, "check_mode": self._task.check_mode}
        if record.VERDICT_VARIABLE not in os.environ:
            return {"failed": True, "msg": _callback_is_missing()}
        settings = {key: arguments[key] for key in ("cadence", "hosts", "fail_on", "language")}
        settings["home"] = arguments["home"] or ""
        result = {
            "remediation_run": settings,
            "remediation_remarks": self._remarks(arguments, task_vars or {}),
            "check_mode": self._task.check_mode,
        }
        if self._hosts_in_inventory(arguments["hosts"], task_vars or {}):
            return {**result, "failed": True, "msg": HOSTS_IN_INVENTORY}
        if not arguments["hosts"]:
            return {**result, **_no_hosts(arguments["pattern"])}
        strange = [
            remark for remark in result["remediation_remarks"] if arguments["strict"] and remark["subject"].startswith(arguments["strict"])
        ]
        if strange:
            named = " ".join(remark["texts"]["en"] + ("" if remark["suggestions"] else ".") for remark in strange)
            return {**result, "failed": True, "msg": f"{named} Nothing was changed: correct the name, or remove the variable"}
        return {"changed": False, **result}

    def _hosts_in_inventory(self, hosts: list[str], task_vars: dict[str, Any]) -> bool:
        """Return whether the inventory sets remediation_hosts, which the tasks of the guard can read and the plays after it cannot."""
        hostvars = task_vars.get("hostvars", {})
        named = any("remediation_hosts" in hostvars[host] for host in hosts if host in hostvars)
        return named and "remediation_hosts" not in load_extra_vars(self._loader)

    def _remarks(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the remarks about the variables of the run's hosts. Reads only names; templates no value."""
        hostvars = task_vars.get("hostvars", {})
        names = {host: list(hostvars[host]) for host in arguments["hosts"] if host in hostvars}
        return variables.remarks(names, task_vars.get("groups"), load_extra_vars(self._loader), arguments["cadence"])

    def _arguments(self) -> dict[str, Any]:
        _validated, arguments = self.validate_argument_spec(
            {
                "cadence": {"type": "str", "required": True},
                "strict": {"type": "str"},
                "hosts": {"type": "list", "elements": "str", "required": True},
                "pattern": {"type": "str", "default": "all"},
                "fail_on": {"type": "str", "default": "critical", "choices": list(record.FAIL_ON)},
                "language": {"type": "str", "default": "en", "choices": list(record.LANGUAGES)},
                "home": {"type": "path"},
            }
        )
        return arguments


def _callback_is_missing() -> str:
    return (
        f"callbacks_enabled: {CALLBACK} is not enabled, so nothing would be recorded; add 'callbacks_enabled = {CALLBACK}' to [defaults]"
        f" in ansible.cfg, or export ANSIBLE_CALLBACKS_ENABLED={CALLBACK}"
    )


def _no_hosts(pattern: str) -> dict[str, Any]:
    message = (
        f"remediation_hosts: {pattern!r} matches no host of this inventory (with its --limit); nothing would be checked;"
        " name a group or host that exists (ansible-inventory -i <inventory> --graph shows them)"
    )
    finding = fault("run.no_hosts", "run.guard", evidence={"pattern": pattern})
    return {"failed": True, "msg": message, "findings": [finding.as_dict()], "expected": ["run.guard"]}
