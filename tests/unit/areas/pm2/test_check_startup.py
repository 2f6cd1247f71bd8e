# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check pm2.startup."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.pm2 import (
    check_startup,
)
from ansible_collections.ops.remediation.plugins.plugin_utils.texts import catalogue as faults_catalogue

from . import helpers as h


def unit(**more):
    value = {"expected": "pm2-tank.service", "unit_dir": "/etc/systemd/system", "unit_dir_present": True, "wanted_user": "tank"}
    value.update(wanted_home=h.HOME, present=True, path="/etc/systemd/system/pm2-tank.service", enabled=True, masked=False, user="tank")
    value.update(
        pm2_home=h.HOME,
        home_matches=True,
        path_dirs=["/usr/bin"],
        command="/usr/bin/pm2",
        command_exists=True,
        resurrects=True,
        node_found=True,
    )
    return {**value, **more}


@pytest.mark.parametrize(
    ("more", "code", "why"),
    [
        ({}, "", None),
        ({"unit_dir_present": False}, "pm2.startup_missing", "no_systemd"),
        ({"present": False}, "pm2.startup_missing", "absent"),
        ({"enabled": False}, "pm2.startup_missing", "not_enabled"),
        ({"masked": True}, "pm2.startup_missing", "masked"),
        ({"user": "root"}, "pm2.startup_wrong", ["user"]),
        ({"pm2_home": "/root/.pm2", "home_matches": False, "node_found": False}, "pm2.startup_wrong", ["home", "path"]),
        ({"command_exists": False, "resurrects": False}, "pm2.startup_wrong", ["command", "resurrect"]),
    ],
)
def test_the_boot_unit(more, code, why):
    (found,) = check_startup.judge(h.asked(pm2_startup=unit(**more)))
    assert found.code == code
    assert found.evidence.get("reason", found.evidence.get("problems")) == why
    assert code == "" or "None" not in str(faults_catalogue.render({**found.as_dict(), "host": "tank-app"}))
