# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook check_runtime, and the daily check with a check that needs a driver: asked on a host that has a runtime, or by the checker.

The checks are real ones, registered in a copy of the collection: one loads oracledb, one needs nothing.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
COPIED = ("CHANGELOG.rst", "galaxy.yml", "meta", "playbooks", "plugins", "roles")
AREA = '''
"""Say which Python asks, and whether it has a driver."""

import sys

from ..._core.check import Check
from ..._core.errors import DriverMissing
from ..._core.finding import ok
from ..._core.source import Source


def with_driver():
    try:
        import oracledb
    except ImportError:
        raise DriverMissing("no oracledb", libraries=["oracledb"], install="pip install oracledb") from None
    return {"python": sys.executable, "driver": oracledb.__version__}


def without():
    return {"python": sys.executable}


def tell(name):
    return lambda asked: [ok(name, evidence=asked.read(name))]


CHECKS = tuple(
    Check(name, "Which Python asks?", tell(name), (Source(name, function, ()),), {}, driver=driver)
    for name, function, driver in (("templates.driver", with_driver, "oracledb"), ("templates.plain", without, ""))
)
'''
REGISTRATION = """

def _templates() -> tuple[Check, ...]:
    from .templates.area import CHECKS

    return CHECKS


REGISTERED["templates"] = _templates
AREAS = (*REGISTERED, "run")
"""
EXTRA = [{"check": "templates.plain"}, {"check": "templates.driver"}]


@dataclass
class Run:
    """One end of ansible-playbook."""

    code: int
    output: str
    record: dict

    def finding(self, host: str, check: str) -> dict:
        return next(found for found in self.record["findings"] if (found["host"], found["check"]) == (host, check))


class Project:
    """A folder with a collection of its own, and an inventory of two hosts that are this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runtime = folder / "made" / "runtime"
        self.python = f"{self.runtime}/bin/python"
        self.collection = folder / "collections/ansible_collections/ops/remediation"
        self.collection.mkdir(parents=True)
        for name in COPIED:
            copy = shutil.copytree if (CHECKOUT / name).is_dir() else shutil.copy
            copy(CHECKOUT / name, self.collection / name)
        utils = self.collection / "plugins/module_utils"
        area = utils / "_areas/templates"
        area.mkdir()
        (area / "__init__.py").touch()
        (area / "area.py").write_text(AREA)
        with (utils / "_areas/registry.py").open("a") as registry:
            registry.write(REGISTRATION)
        system = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
        common = {"ansible_connection": "local", "ansible_python_interpreter": system, "stack_areas": [], "daily_check_extra": EXTRA}
        hosts = {name: {**common, "stack_state_dir": str(folder / name)} for name in ("with", "without")}
        hosts["with"]["stack_check_python"] = self.python
        hosts["without"]["stack_checker_state_dir"] = str(folder / "checker")
        (folder / "ansible.cfg").write_text("[defaults]\n")
        (folder / "inventory.json").write_text(json.dumps({"all": {"hosts": hosts}}))

    def play(self, playbook: str, *arguments: str) -> Run:
        home = self.folder / "home"
        shutil.rmtree(home, ignore_errors=True)
        command = [Path(sys.executable).with_name("ansible-playbook"), f"ops.remediation.{playbook}", "-i", "inventory.json"]
        variables = {
            **os.environ,
            "ANSIBLE_CONFIG": str(self.folder / "ansible.cfg"),
            "ANSIBLE_HOME": str(self.folder / "ansible"),
            "ANSIBLE_COLLECTIONS_PATH": str(self.folder / "collections"),
            "ANSIBLE_CALLBACKS_ENABLED": "ops.remediation.run_record",
            "ANSIBLE_NOCOLOR": "1",
            "PYTHONPYCACHEPREFIX": str(self.folder / "pycache"),
        }
        arguments = ("-e", json.dumps({"remediation_home": str(home), "check_runtime_path": str(self.runtime)}), *arguments)
        done = subprocess.run(
            [*command, *arguments], cwd=self.folder, env=variables, capture_output=True, text=True, timeout=300, check=False
        )
        latest = home / "runs/latest/record.json"
        record = json.loads(latest.read_text(encoding="utf-8")) if latest.exists() else {}
        return Run(done.returncode, done.stdout + done.stderr, record)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return Project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def made(project):
    """Make the runtime on one host with the playbook; returns that run."""
    return project.play("check_runtime", "--limit", "with", "--diff")


def test_the_playbook_makes_the_runtime_and_records_it(project, made):
    assert made.code == 0, made.output
    evidence = made.finding("with", "run.runtime")["evidence"]
    assert (evidence["changed"], evidence["interpreter"]) == (True, project.python)
    assert f"+oracledb {evidence['packages']['oracledb']}" in made.output
    assert "Runtime of the checks · " in made.output
    again = project.play("check_runtime", "--limit", "with")
    assert again.code == 0, again.output
    assert "changed=0" in again.output
    assert "is up to date" in again.output


def test_a_host_with_a_runtime_is_asked_with_it_and_another_by_the_checker(project, made):
    assert made.code == 0, made.output
    run = project.play("daily_check")
    assert run.code == 0, run.output
    places = {(host, check): run.finding(host, check) for host in ("with", "without") for check in ("templates.plain", "templates.driver")}
    assert {place: found["asked_from"] for place, found in places.items()} == {
        ("with", "templates.plain"): "with",
        ("with", "templates.driver"): "with",
        ("without", "templates.plain"): "without",
        ("without", "templates.driver"): "localhost",
    }
    pythons = {place: found["evidence"]["python"] for place, found in places.items()}
    assert pythons["with", "templates.driver"] == project.python
    assert pythons["with", "templates.plain"] == pythons["without", "templates.plain"] != project.python
    assert Path(pythons["without", "templates.driver"]).parent.samefile(Path(sys.executable).parent)
    assert {host["host"]: set(host["checked"]) for host in run.record["hosts"]} == {
        host: {"templates.plain", "templates.driver"} for host in ("with", "without")
    }
    assert run.output.count("TASK [ops.remediation.daily_check : Ask the daily checks]") == 1


def test_without_the_runtime_only_what_needs_it_is_unknown(project):
    run = project.play("daily_check", "--limit", "with", "-e", "stack_check_python=/nope/bin/python")
    assert run.code == 2, run.output
    assert run.finding("with", "templates.plain")["status"] == "ok"
    unknown = run.finding("with", "templates.driver")
    assert unknown["status"] == "unknown"
    assert (
        "stack_check_python: '/nope/bin/python' does not run on this host; make it with the role ops.remediation.check_runtime"
        in (unknown["evidence"]["reason"])
    )


def test_a_runtime_that_the_checks_would_not_use_is_refused(project):
    run = project.play("check_runtime", "--limit", "with", "-e", "stack_check_python=/usr/bin/python3")
    assert run.code == 2, run.output
    reason = run.finding("with", "run.reach")["evidence"]["reason"]
    assert f"stack_check_python: /usr/bin/python3 is not {project.python}, which check_runtime_path makes" in reason


def test_removing_in_check_mode_and_for_good(project, made):
    assert made.code == 0, made.output
    would = project.play("check_runtime", "--limit", "with", "-e", "check_runtime_state=absent", "--check")
    assert (would.code, "changed=1" in would.output, project.runtime.exists()) == (0, True, True), would.output
    gone = project.play("check_runtime", "--limit", "with", "-e", "check_runtime_state=absent")
    assert (gone.code, "changed=1" in gone.output, project.runtime.parent.exists()) == (0, True, False), gone.output
