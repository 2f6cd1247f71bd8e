# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventories of this repository through the real commands: each variable is known and of its type; the example holds as it is copied."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from ansible_collections.ops.remediation.plugins.module_utils._areas.registry import REGISTERED
from conftest import CHECKOUT, INSTANCE
from inventory_rules import INVENTORIES, listed, uncommented, wrong_variables

EXAMPLE = CHECKOUT / "inventories/example"
LISTED = [
    entry if isinstance(entry, str) else entry["check"]
    for entry in yaml.safe_load((CHECKOUT / "roles/daily_check/defaults/main.yml").read_text(encoding="utf-8"))["daily_check_checks"]
]


@pytest.fixture
def copied(tmp_path) -> Path:
    """Return a copy of the example, as a customer makes one."""
    return Path(shutil.copytree(EXAMPLE, tmp_path / "inventory"))


# --- every inventory


@pytest.mark.parametrize("inventory", INVENTORIES)
def test_every_variable_is_known_and_of_its_type(replica, inventory):
    found = listed(f"inventories/{inventory}", environment={"TANK_REPLICA_NAME": INSTANCE})
    assert (found.code, found.complaints) == (0, "")
    assert found.hosts
    assert {host: wrong_variables(variables) for host, variables in found.hosts.items()} == {host: [] for host in found.hosts}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"stack_pm2_hom": "/x"}, "stack_pm2_hom is not known"),
        ({"daily_check_of": []}, "daily_check_of is not known"),
        ({"stack_areas": None}, "'stack_areas' is of type NoneType"),
        ({"stack_areas": ["pm3"]}, "value of stack_areas must be one or more of"),
        ({"stack_logsdb_port": "many"}, "'stack_logsdb_port' is of type"),
        ({"remediation_fail_on": "sometimes"}, "value of remediation_fail_on must be one of"),
    ],
)
def test_what_is_wrong_would_be_found(copied, change, words):
    (copied / "host_vars").mkdir()
    (copied / "host_vars/busan-app-1.yml").write_text(yaml.safe_dump(change))
    hosts = listed(copied).hosts
    assert words in "\n".join(wrong_variables(hosts["busan-app-1"]))
    assert wrong_variables(hosts["seoul-app-1"]) == []


def test_a_host_without_areas_would_be_found():
    assert wrong_variables({"ansible_host": "192.0.2.1"}) == ["missing required arguments: stack_areas"]


def test_without_a_running_replica_its_inventory_says_how_to_start_one(play, tmp_path):
    environment = {"TANK_REPLICA_BASE": str(tmp_path), "TANK_REPLICA_NAME": "none"}
    found = listed("inventories/replica", environment=environment)
    assert found.hosts == {}
    assert "start the replica with: tests/replica/replica up" in found.complaints
    run = play(environment=environment)
    assert run.code == 2
    assert "start the replica with: tests/replica/replica up" in run.output
    assert [finding["code"] for finding in run.record["findings"]] == ["run.no_hosts"]


# --- the example


def test_the_example_shows_two_sites_with_a_server_for_each_role():
    hosts = listed(EXAMPLE).hosts
    areas = {name: sorted(variables["stack_areas"]) for name, variables in hosts.items()}
    # An area is on the server of the applications, but for what belongs to the web server.
    app = sorted(set(REGISTERED) - {"nginx", "web"})
    web, logsdb = ["host", "nginx", "web"], ["host"]
    assert areas == {f"{site}-{role}-1": of for site in ("seoul", "busan") for role, of in (("app", app), ("web", web), ("logsdb", logsdb))}
    assert {name.split("-")[0]: variables["stack_site"] for name, variables in hosts.items()} == {"seoul": "seoul", "busan": "busan"}
    # RFC 5737: addresses that nobody has.
    assert all(variables["ansible_host"].startswith(("192.0.2.", "198.51.100.")) for variables in hosts.values())


def test_the_example_puts_every_question_rightly(play, tmp_path):
    """ssh ends with 255 when it cannot connect; until then nothing must be wrong with what would be asked."""
    ssh = tmp_path / "ssh"
    ssh.write_text("#!/bin/sh\necho 'no route to host' >&2\nexit 255\n")
    ssh.chmod(0o755)
    # A file that is not there: nobody shall be asked at the example's addresses.
    password = {"stack_logsdb_login": {"file": str(tmp_path / "password")}}
    environment = {"ANSIBLE_SSH_EXECUTABLE": str(ssh), "ANSIBLE_SSH_RETRIES": "0"}
    run = play("-e", json.dumps(password), inventory="inventories/example", environment=environment)
    assert run.code not in (0, None)
    assert run.record["remarks"] == []
    areas = {name: variables["stack_areas"] for name, variables in listed(EXAMPLE).hosts.items()}
    assert {host["host"]: (host["state"], set(host["expected"])) for host in run.record["hosts"]} == {
        host: ("unreachable", {check for check in LISTED if check.split(".")[0] in of}) for host, of in areas.items()
    }
    for line in run.reasons().splitlines():
        # The password's file of the example is not here either.
        missing = "password_from of targets[customer-db], file: '/etc/ops-remediation/oracle-password' cannot be read"
        if missing in line or line == "customer-db cannot be used":
            continue
        if "credentials_from, env_file: '/etc/ops-remediation/ses.env' cannot be read" in line:
            continue
        assert "no route to host" in line or f"login.file: '{tmp_path}/password' cannot be read" in line, line


def test_what_the_example_has_commented_out_is_right_too(copied):
    taken = 0
    for path in sorted(copied.rglob("*.yml")):
        before = path.read_text(encoding="utf-8")
        path.write_text(uncommented(before), encoding="utf-8")
        taken += len(re.findall(r"(?m)^# (?:stack|remediation|daily_check)_\w+:", before))
    found = listed(copied)
    assert (found.code, found.complaints) == (0, "")
    assert {host: wrong_variables(variables) for host, variables in found.hosts.items()} == {host: [] for host in found.hosts}
    assert taken > 20
    named = {name for variables in found.hosts.values() for name in variables}
    role = yaml.safe_load((CHECKOUT / "roles/daily_check/meta/argument_specs.yml").read_text(encoding="utf-8"))
    missing = {name for name in role["argument_specs"]["main"]["options"] if name not in named}
    # The cadence itself is rather tuned than replaced; to forget a refused password is for the command line.
    assert missing == {"daily_check_checks", "stack_logsdb_forget_refused", "stack_oracle_forget_refused"}


def test_secrets_come_from_the_vault_alone(copied, tmp_path):
    example = (copied / "group_vars/all/vault.yml.example").read_text(encoding="utf-8")
    names = set(yaml.safe_load(example))
    main = copied / "group_vars/tank.yml"
    assert set(re.findall(r"{{ (vault_\w+) }}", main.read_text(encoding="utf-8"))) == names
    # The example of a vault is not read.
    assert not names & set(listed(copied).hosts["seoul-app-1"])
    key = tmp_path / "key"
    key.write_text("planted-key\n")
    vault = copied / "group_vars/all/vault.yml"
    vault.write_text(example.replace("CHANGE-ME", "planted-7a1"), encoding="utf-8")
    main.write_text(uncommented(main.read_text(encoding="utf-8")), encoding="utf-8")
    command = ["ansible-vault", "encrypt", str(vault), "--vault-password-file", str(key)]
    subprocess.run(command, cwd=CHECKOUT, check=True, capture_output=True, timeout=60)
    assert "planted-7a1" not in vault.read_text(encoding="utf-8")
    assert listed(copied).code != 0, "an encrypted vault was read without its password"
    asked = ["ansible", "seoul-app-1", "-i", str(copied), "--vault-password-file", str(key)]
    asked += ["-m", "ansible.builtin.debug", "-a", "msg={{ ansible_become_password }}/{{ ansible_password }}"]
    done = subprocess.run(asked, cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=False)
    assert '"msg": "planted-7a1/planted-7a1"' in done.stdout, done.stdout + done.stderr


BECOME = """
- hosts: seoul-app-1
  gather_facts: false
  tasks:
    - name: On the controller
      ansible.builtin.command: "true"
      delegate_to: localhost
    - name: On the server
      ansible.builtin.command: "true"
      ignore_errors: true
"""


def test_sudo_holds_for_the_servers_and_not_for_the_controller(copied, tmp_path):
    """A sudo that refuses and keeps a note stands for one that asks the controller's user for a password."""
    note, sudo, playbook, more = (tmp_path / name for name in ("note", "sudo", "play.yml", "more.yml"))
    sudo.write_text(f"#!/bin/sh\necho asked >>'{note}'\nexit 1\n")
    sudo.chmod(0o755)
    playbook.write_text(BECOME)
    shared = {"ansible_become_exe": str(sudo), "ansible_become_user": "nobody"}
    more.write_text(json.dumps({"all": {"vars": shared, "hosts": {"seoul-app-1": {"ansible_connection": "local"}}}}))

    def run() -> tuple[int, str]:
        note.unlink(missing_ok=True)
        command = ["ansible-playbook", str(playbook), "-i", str(copied), "-i", str(more)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, note.read_text() if note.exists() else ""

    assert run() == (0, "asked\n")
    # In the file for all hosts, the line holds for the controller too, as the example warns.
    main = copied / "group_vars/all/main.yml"
    main.write_text(main.read_text(encoding="utf-8") + "ansible_become: true\n", encoding="utf-8")
    assert run() == (2, "asked\n")
