# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check pm2.startup (manual 2, section 3: ``pm2 startup``)."""

from __future__ import annotations

from shlex import quote
from typing import Any

from ..._core.check import Check
from ..._core.finding import Finding, ok
from ..._core.source import Asked
from ..._shared.pm2_list import HOME_PARAMETERS
from .faults import fault
from .read_startup import STARTUP, Startup

PARAMETERS: dict[str, dict[str, Any]] = {
    **HOME_PARAMETERS,
    "unit_dir": {
        "type": "path",
        "default": "/etc/systemd/system",
        "variable": "stack_pm2_unit_dir",
        "description": "The folder of the systemd units that start PM2 at boot.",
    },
}


def judge(asked: Asked) -> list[Finding]:
    """Report a boot unit that is missing, not enabled, or would not start this user's PM2 with this PM2_HOME (M2-3)."""
    check = "pm2.startup"
    unit: Startup = asked.read("pm2.startup")
    where = {
        "pm2_home": quote(unit["wanted_home"]),
        "user": unit["wanted_user"],
        "unit": unit.get("path") or unit["expected"],
        "unit_dir": unit["unit_dir"],
    }
    reason = _no_unit(unit)
    if reason:
        return [fault("pm2.startup_missing", check, evidence={**where, "reason": reason})]
    problems = _wrong_unit(unit)
    if problems:
        seen = {"unit_user": unit["user"], "unit_home": unit["pm2_home"], "unit_command": unit["command"], "unit_path": unit["path_dirs"]}
        return [fault("pm2.startup_wrong", check, evidence={**where, "problems": problems, **seen})]
    return [ok(check, evidence={"unit": unit["path"]})]


def _no_unit(unit: Startup) -> str:
    """Return why no unit starts PM2 at boot, "" when one does."""
    if not unit["unit_dir_present"]:
        return "no_systemd"
    if not unit["present"]:
        return "absent"
    if unit["masked"]:
        return "masked"
    return "" if unit["enabled"] else "not_enabled"


def _wrong_unit(unit: Startup) -> list[str]:
    """Return the settings of the unit that are wrong."""
    problems = {
        "user": unit["user"] != unit["wanted_user"],
        "home": not unit["home_matches"],
        "command": not unit["command_exists"],
        "resurrect": not unit["resurrects"],
        "path": not unit["node_found"],
    }
    return [name for name, wrong in problems.items() if wrong]


CHECK = Check("pm2.startup", "Does PM2 itself come back after a reboot?", judge, (STARTUP,), PARAMETERS, run_as="app")
