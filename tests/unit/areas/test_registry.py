# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of areas: each check has the area in whose folder it stands, and an id of its own."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas import registry
from ansible_collections.ops.remediation.plugins.module_utils._areas.catalogue import FAULTS

CHECKOUT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("area", registry.REGISTERED)
def test_each_check_is_of_the_area_that_lists_it(area):
    checks = registry.REGISTERED[area]()
    assert checks
    assert {check.id.partition(".")[0] for check in checks} == {area}
    assert len({check.id for check in checks}) == len(checks)


def test_each_fault_is_of_an_area():
    assert {fault.area for fault in FAULTS.values()} == set(registry.AREAS)


def test_the_schema_of_the_run_record_takes_each_area_and_no_other_word():
    """Areas are added without a new schema, so that a reader who validates with an older copy still takes the records of a newer version."""
    schema = json.loads((CHECKOUT / "plugins/plugin_utils/record/schemas/run_record-1.json").read_text(encoding="utf-8"))
    area = jsonschema.Draft202012Validator(schema["$defs"]["finding"]["properties"]["area"])
    assert [name for name in registry.AREAS if not area.is_valid(name)] == []
    assert [name for name in ("", "Redis", "2fa", "redis.ping", "redis server", None) if area.is_valid(name)] == []
