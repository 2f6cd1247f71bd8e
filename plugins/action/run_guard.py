# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuse a run that could not tell what it did: no host, no record keeper, a setting that means nothing.

Variables that only look like those of this collection are remarked upon: another one may own the names, so nothing fails but where the
playbook is strict about its own.
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
    "remediation_hosts is set in the inventory, where Ansible does not read it for the hosts of a play, so the run would take all hosts;"
    " take it out there, and name the hosts on the command line: -e remediation_hosts=<group or host>, or --limit"
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
            # The record of a run that was wrongly called lies where its caller wanted records.
            given = {"cadence": str(self._task.args.get("cadence", "")), "home": str(self._task.args.get("home") or "")}
            message = str(error)
            for option in ("fail_on", "language"):  # the variables that their values come from
                message = message.replace(f"value of {option} ", f"value of remediation_{option} ")
            return {"failed": True, "msg": message, "remediation_run": given, "check_mode": self._task.check_mode}
        if record.VERDICT_VARIABLE not in os.environ:
            return {"failed": True, "msg": _callback_is_missing()}
        settings = {key: arguments[key] for key in ("cadence", "hosts", "fail_on", "language")}
        settings["home"] = arguments["home"] or ""
        told = {
            "remediation_run": settings,
            "remediation_remarks": self._remarks(arguments, task_vars or {}),
            "check_mode": self._task.check_mode,
        }
        if self._hosts_in_inventory(arguments["hosts"], task_vars or {}):
            return {**told, "failed": True, "msg": HOSTS_IN_INVENTORY}
        if not arguments["hosts"]:
            return {**told, **_no_hosts(arguments["pattern"])}
        strange = [
            remark for remark in told["remediation_remarks"] if arguments["strict"] and remark["subject"].startswith(arguments["strict"])
        ]
        if strange:
            named = " ".join(remark["texts"]["en"] + ("" if remark["suggestions"] else ".") for remark in strange)
            return {**told, "failed": True, "msg": f"{named} Nothing was touched: correct the name, or take the variable away"}
        return {"changed": False, **told}

    def _hosts_in_inventory(self, hosts: list[str], task_vars: dict[str, Any]) -> bool:
        """Whether the inventory says which hosts the run is for. The guard's tasks see that, and the plays that follow do not."""
        hostvars = task_vars.get("hostvars", {})
        named = any("remediation_hosts" in hostvars[host] for host in hosts if host in hostvars)
        return named and "remediation_hosts" not in load_extra_vars(self._loader)

    def _remarks(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the remarks about the variables of the run's hosts. Only their names are read: no value is templated."""
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
