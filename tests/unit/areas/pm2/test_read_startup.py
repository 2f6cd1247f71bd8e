# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The boot unit of PM2."""

from __future__ import annotations

import json
import os
import pwd

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.pm2 import read_startup
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import CannotRead

from . import helpers as h

UNIT = """[Unit]
Description=PM2 process manager
[Service]
Type=forking
User={user}
# PM2_HOME=/commented
Environment=PATH={path}:/bin
Environment="PM2_HOME={home}" DB_PASS=planted-secret
ExecStart={command} resurrect
[Install]
WantedBy=multi-user.target
"""


ME = pwd.getpwuid(os.geteuid()).pw_name  # the user of the applications, as far as these tests go


@pytest.fixture
def machine(tmp_path):
    units, tools, home = tmp_path / "units", tmp_path / "bin", tmp_path / "home"
    for folder in (units / "multi-user.target.wants", tools, home):
        folder.mkdir(parents=True)
    for name in ("node", "pm2"):
        (tools / name).write_text("#!/bin/sh\n")
        (tools / name).chmod(0o755)
    return units, tools, home


def install(machine, name=f"pm2-{ME}.service", enable=True, **more):
    units, tools, home = machine
    values = {"user": ME, "path": tools, "home": home, "command": tools / "pm2", **more}
    (units / name).write_text(UNIT.format(**values))
    if enable:
        (units / "multi-user.target.wants" / name).symlink_to(f"/etc/systemd/system/{name}")
    return read_startup.read_startup(str(home), user=ME, unit_dir=str(units))


def test_a_unit_as_pm2_startup_writes_it(machine):
    value = install(machine)
    assert {key: value[key] for key in ("present", "enabled", "masked", "user", "command_exists", "resurrects", "node_found")} == {
        "present": True,
        "enabled": True,
        "masked": False,
        "user": ME,
        "command_exists": True,
        "resurrects": True,
        "node_found": True,
    }
    assert value["pm2_home"] == str(machine[2])
    assert h.PLANTED not in json.dumps(value)


def test_no_unit_and_no_systemd(machine):
    units, _tools, home = machine
    assert read_startup.read_startup(str(home), user=ME, unit_dir=str(units))["present"] is False
    assert read_startup.read_startup(str(home), user=ME, unit_dir="/no/such")["unit_dir_present"] is False


def test_a_unit_of_another_name_that_serves_this_home(machine):
    value = install(machine, name="tank-pm2.service", enable=False)
    assert (value["present"], value["enabled"], os.path.basename(value["path"])) == (True, False, "tank-pm2.service")


def test_a_masked_unit(machine):
    (machine[0] / f"pm2-{ME}.service").symlink_to("/dev/null")
    assert read_startup.read_startup(str(machine[2]), user=ME, unit_dir=str(machine[0]))["masked"] is True


def test_a_drop_in_wins(machine):
    folder = machine[0] / f"pm2-{ME}.service.d"
    folder.mkdir()
    (folder / "override.conf").write_text("[Service]\nUser=other\nExecStart=\nExecStart=/no/such/pm2 resurrect\n")
    value = install(machine)
    assert (value["user"], value["command_exists"]) == ("other", False)


def test_an_environment_file_may_name_the_home(machine):
    units, _tools, home = machine
    (units / "env").write_text(f"PM2_HOME={home}\nDB_PASS=planted-secret\n")
    (units / f"pm2-{ME}.service").write_text(f"[Service]\nUser=root\nEnvironmentFile=-{units}/env\nExecStart=/usr/bin/env pm2 resurrect\n")
    value = read_startup.read_startup(str(home), user=ME, unit_dir=str(units))
    assert value["pm2_home"] == str(home)
    assert h.PLANTED not in json.dumps(value)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can look at files as another user does")
def test_root_reads_a_private_unit_and_looks_at_programs_as_the_unit_s_user_does(machine):
    units, tools, home = machine
    install(machine, name="pm2-nobody.service", user="nobody")
    (units / "pm2-nobody.service").chmod(0o600)
    tools.chmod(0o700)
    value = read_startup.read_startup(str(home), user="nobody", unit_dir=str(units))
    assert (value["user"], value["resurrects"], value["command_exists"]) == ("nobody", True, False)
    assert os.geteuid() == 0


def test_a_unit_that_may_not_be_read_is_not_judged(machine, monkeypatch):
    units, _tools, home = machine
    install(machine)
    monkeypatch.setattr(os, "access", lambda *_arguments, **_options: False)
    with pytest.raises(CannotRead, match="chmod 644"):
        read_startup.read_startup(str(home), user=ME, unit_dir=str(units))


def test_a_home_behind_a_link_is_the_same_home(machine):
    units, _tools, home = machine
    link = home.parent / "link"
    link.symlink_to(home)
    install(machine)
    assert read_startup.read_startup(str(link), user=ME, unit_dir=str(units))["home_matches"] is True


def test_a_unit_of_a_home_with_a_longer_name_is_another(machine):
    units, _tools, home = machine
    install(machine, name="other.service", home=f"{home}-other")
    assert read_startup.read_startup(str(home), user=ME, unit_dir=str(units))["present"] is False
