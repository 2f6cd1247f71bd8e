# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parameters of checks are filled from the inventory variables that they name."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible_collections.ops.remediation.plugins.module_utils._areas import registry
from ansible_collections.ops.remediation.plugins.module_utils._core.check import variables_of
from ansible_collections.ops.remediation.plugins.plugin_utils.run import variables
from ansible_collections.ops.remediation.plugins.plugin_utils.run.parameters import filled

ROLES = Path(__file__).parents[3] / "roles"


def parameters(check, values, given=None):
    """Return the parameters of a check on a host with these variables."""
    return filled([{"check": check, **({"params": given} if given is not None else {})}], values.get)[0]["params"]


def test_a_variable_fills_a_parameter():
    assert parameters("pm2.daemon", {"stack_pm2_home": "/h", "stack_other": 1}) == {"pm2_home": "/h"}


def test_the_first_variable_that_is_defined_counts():
    both = {"stack_nas_paths": ["/a"], "stack_attachment_roots": ["/b"]}
    assert parameters("nas.path", both)["paths"] == ["/a"]
    assert parameters("nas.path", {**both, "stack_nas_paths": None})["paths"] == ["/b"]


def test_what_is_given_wins_and_null_keeps_the_default_of_the_check():
    values = {"stack_pm2_home": "/h", "stack_pm2_user": "tank"}
    assert parameters("pm2.daemon", values, {"pm2_home": "/other", "user": None}) == {"pm2_home": "/other"}


@pytest.mark.parametrize("value", [False, 0, "", []])
def test_a_value_that_counts_as_false_is_a_value(value):
    assert parameters("host.clock", {"stack_host_clock_synchronised": value}) == {"clock_synchronised": value}


def test_other_entries_stay_as_they_are():
    wrong = [{"check": "no.such"}, {"check": "pm2.daemon", "params": "text"}, {"check": None}]
    assert filled(wrong, {"stack_pm2_home": "/h"}.get) == wrong


def test_every_variable_is_described_for_the_inventory_and_in_the_role():
    used = {name for check in registry.every() for spec in check.parameters.values() for name in variables_of(spec)}
    assert len(used) > 70
    specs = yaml.safe_load((ROLES / "daily_check/meta/argument_specs.yml").read_text(encoding="utf-8"))
    assert used <= set(specs["argument_specs"]["main"]["options"])
    assert used <= set(variables.known())


def test_a_cadence_is_a_list_of_ids():
    listed = yaml.safe_load((ROLES / "daily_check/defaults/main.yml").read_text(encoding="utf-8"))["daily_check_checks"]
    assert {entry["check"] if isinstance(entry, dict) else entry for entry in listed} == {check.id for check in registry.every()}
    assert {entry["check"]: sorted(entry["params"]) for entry in listed if isinstance(entry, dict)} == {
        "ses.key": ["key_advice_days"],
        "worker.rhythm": ["work"],
        "attachments.present": ["answer_within"],
    }
