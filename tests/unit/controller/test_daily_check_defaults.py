# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The daily check's own list: what an inventory says reaches every check that takes it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.ops.remediation.plugins.module_utils._areas import registry as _registry
from ansible_collections.ops.remediation.plugins.plugin_utils.run.cadence import choose
from jinja2.nativetypes import NativeEnvironment

ROLE = Path(__file__).parents[3] / "roles" / "daily_check"
NAMES = {
    "stack_pm2_home": "/home/tank/.pm2",
    "stack_pm2_user": "tank",
    "stack_pm2_processes": ["tank-api", "tank-sender"],
    "stack_worker_process": "tank-sender",
    "stack_backend_process": "tank-api",
}
# What several checks take, and the variable that it comes from; backend.health and the worker's checks know one process each.
COMMON = {"pm2_home": "stack_pm2_home", "user": "stack_pm2_user", "processes": "stack_pm2_processes"}
PROCESS = {
    "backend.health": "stack_backend_process",
    **dict.fromkeys(("worker.log", "worker.ses", "worker.rhythm"), "stack_worker_process"),
}


def rendered(value, variables):
    """Return a default as Ansible would template it."""
    if isinstance(value, dict):
        return {name: rendered(one, variables) for name, one in value.items()}
    if isinstance(value, list):
        return [rendered(one, variables) for one in value]
    return NativeEnvironment().from_string(value).render(variables) if isinstance(value, str) else value


@pytest.fixture(scope="module")
def asked():
    """Return the parameters of each check on a host with these names."""
    checks = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text(encoding="utf-8"))["daily_check_checks"]
    areas = ["pm2", "backend", "worker", "host"]
    return {entry["check"]: entry["params"] for entry in choose(rendered(checks, NAMES), areas)}


@pytest.mark.parametrize("check", ["pm2.daemon", "pm2.processes", "pm2.saved", "pm2.startup", "pm2.user", "backend.log", *PROCESS])
def test_names_reach_the_checks(check, asked):
    takes = _registry.find(check).parameters
    wanted = {name: NAMES[variable] for name, variable in COMMON.items() if name in takes}
    if "process" in takes:
        wanted["process"] = NAMES[PROCESS[check]]
    assert wanted
    assert {name: asked[check].get(name) for name in wanted} == wanted


def test_the_logs_are_read_once(asked):
    questions = _registry.parse(
        [{"check": name, "params": asked[name]} for name in ("worker.log", "worker.ses", "backend.log")], ArgumentSpecValidator
    )
    keys = {
        source.key(question.parameters) for question in questions for source in question.check.sources if source.name.startswith("log.a")
    }
    assert len(keys) == 1
