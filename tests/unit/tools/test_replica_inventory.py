# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory of a replica in containers, without any containers: its facts are those that the replica's own code makes."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.registry import REGISTERED
from inventory_rules import wrong_variables

CHECKOUT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(CHECKOUT))

from tests.replica import nas  # noqa: E402 - found through the line above
from tests.replica.containers.hosts import HOSTS, Hosts  # noqa: E402
from tests.replica.containers.replica import ContainerReplica  # noqa: E402
from tests.replica.oracle_part import delivered_targets  # noqa: E402
from tests.replica.parts import parts  # noqa: E402
from tests.replica.paths import Paths  # noqa: E402

SPEC = importlib.util.spec_from_file_location("tank", CHECKOUT / "inventories/replica/tank.py")
tank = importlib.util.module_from_spec(SPEC)
# No byte code beside it: Ansible takes every folder within an inventory for another one.
WRITES_NONE, sys.dont_write_bytecode = sys.dont_write_bytecode, True
SPEC.loader.exec_module(tank)
sys.dont_write_bytecode = WRITES_NONE


@pytest.fixture
def facts(monkeypatch, tmp_path):
    """Return a function that writes replica.json and what it refers to, as `up --containers` does, and returns the facts."""
    monkeypatch.setattr(Hosts, "addresses", lambda _self: {host: f"192.0.2.{11 + number}" for number, host in enumerate(HOSTS)})
    monkeypatch.setattr(nas, "can_mount", lambda: True)

    def write(engine: str) -> dict:
        monkeypatch.setenv("TANK_CONTAINER_ENGINE", engine)
        paths = Paths(tmp_path, "box")
        made = ContainerReplica(paths, "/usr/lib/postgresql/15/bin", "planted").facts
        paths.run.mkdir(parents=True)
        paths.facts_file.write_text(json.dumps(made), encoding="utf-8")
        variables = {"stack_oracle_targets": delivered_targets(made["oracle"])}
        Path(made["oracle"]["variables_file"]).write_text(json.dumps(variables), encoding="utf-8")
        return made

    return write


def inventory(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Return how the inventory's script ended, as Ansible calls it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TANK_", "ANSIBLE_"))}
    environment = {**kept, "TANK_REPLICA_BASE": str(folder), "TANK_REPLICA_NAME": "box", **variables}
    command = [sys.executable, str(CHECKOUT / "inventories/replica/tank.py"), "--list"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def hosts_of(done: subprocess.CompletedProcess[str]) -> dict[str, dict]:
    assert (done.returncode, done.stderr) == (0, "")
    listed = json.loads(done.stdout)
    found = listed["_meta"]["hostvars"]
    assert listed["tank"]["hosts"] == list(found) == ["tank-app", "tank-web", "tank-logsdb"]
    return {host: {**listed["tank"]["vars"], **variables} for host, variables in found.items()}


@pytest.fixture
def plugin(tmp_path) -> dict[str, str]:
    """Return settings with which the connection plugins of both engines are found: their folders alone count."""
    for name in ("containers/podman", "community/docker"):
        (tmp_path / "collections/ansible_collections" / name).mkdir(parents=True)
    return {"ANSIBLE_COLLECTIONS_PATH": str(tmp_path / "collections")}


@pytest.mark.parametrize("engine", ["podman", "docker"])
@pytest.mark.parametrize("connection", ["", "ssh"])
def test_every_variable_is_known_and_of_its_type(facts, plugin, tmp_path, engine, connection):
    made = facts(engine)
    hosts = hosts_of(inventory(tmp_path, TANK_REPLICA_CONNECTION=connection, **plugin))
    assert {host: wrong_variables(variables) for host, variables in hosts.items()} == {host: [] for host in hosts}
    # Containers have no AWS, and none of the parts that came later.
    later = {part.name for part in parts()}
    assert {area for variables in hosts.values() for area in variables["stack_areas"]} == set(REGISTERED) - {"ses"} - later
    for host, variables in hosts.items():
        reached = made["hosts"][host.removeprefix("tank-")]
        if connection:
            assert (variables["ansible_connection"], variables["ansible_host"], variables["ansible_become"]) == (
                "ssh",
                reached["address"],
                True,
            )
        else:
            plugins = {"podman": "containers.podman.podman", "docker": "community.docker.docker"}
            assert (variables["ansible_connection"], variables["ansible_host"]) == (plugins[engine], reached["container"])
        assert ("ansible_podman_executable" in variables) == (engine == "podman" and not connection)


def test_a_connection_plugin_that_is_missing_is_one_line(facts, plugin, tmp_path, monkeypatch):
    made = facts("docker")
    monkeypatch.delenv("ANSIBLE_COLLECTIONS_PATH", raising=False)
    monkeypatch.delenv("TANK_REPLICA_CONNECTION", raising=False)
    told = tank.missing_plugin(made, [tmp_path / "elsewhere"])
    assert "community.docker is missing" in told
    assert "TANK_CONTAINER_ENGINE=docker make setup-containers" in told
    assert tank.missing_plugin(made, [tmp_path / "elsewhere", plugin["ANSIBLE_COLLECTIONS_PATH"]]) == ""
    monkeypatch.setenv("TANK_REPLICA_CONNECTION", "ssh")
    assert tank.missing_plugin(made, [tmp_path / "elsewhere"]) == ""


def test_it_ends_the_inventory(facts, tmp_path, monkeypatch, capsys):
    facts("docker")
    monkeypatch.setattr(tank, "missing_plugin", lambda _facts: "it is missing")
    monkeypatch.setenv("TANK_REPLICA_BASE", str(tmp_path))
    monkeypatch.setenv("TANK_REPLICA_NAME", "box")
    assert tank.main() == 1
    assert capsys.readouterr() == ("", "inventories/replica: it is missing\n")
