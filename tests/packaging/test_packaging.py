"""Build the archive, install it in the ways that users do, and run from it. Real commands in empty folders."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from inventory_rules import INVENTORIES

CHECKOUT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(sys.executable).parent
CALLBACK = {"ANSIBLE_CALLBACKS_ENABLED": "ops.remediation.run_record"}
INVENTORY = {"all": {"hosts": {"app": {"ansible_connection": "local", "stack_areas": []}}}}
ALLOWED = {
    "CHANGELOG.rst",
    "FILES.json",
    "LICENSE",
    "MANIFEST.json",
    "README.md",
    "changelogs",
    "docs",
    "inventories",
    "meta",
    "playbooks",
    "plugins",
    "roles",
}
NEEDED = {
    "docs/checks.md",
    "docs/faults.md",
    "meta/runtime.yml",
    "meta/execution-environment.yml",
    "playbooks/daily_check.yml",
    "plugins/modules/stack_check.py",
    "plugins/module_utils/_areas/pm2/texts.yml",
    "docs/rollback.md",
    "inventories/example/README.md",
    "inventories/example/group_vars/all/vault.yml.example",
    "playbooks/check_runtime.yml",
    "playbooks/emergency_rollback.yml",
    "playbooks/release_backup.yml",
    "playbooks/rollback_list.yml",
    "roles/check_runtime/files/requirements.txt",
    "roles/daily_check/README.md",
}


@dataclass
class Answer:
    """How a command ended."""

    rc: int
    text: str


class Project:
    """A folder in which somebody works, with a home of its own and no settings of ours."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder.with_name(f"{folder.name}-home")
        for path in (folder, self.home):
            path.mkdir(exist_ok=True)

    def run(self, program: str, *arguments: str, **variables: str) -> Answer:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "XDG_"))}
        settings = {"HOME": str(self.home), "ANSIBLE_HOME": str(self.home / ".ansible"), "NO_COLOR": "1", "COLUMNS": "1000"}
        done = subprocess.run(
            [PROGRAMS / program, *arguments],
            cwd=self.folder,
            env={**inherited, **settings, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        return Answer(done.returncode, done.stdout)

    def install(self, *arguments: str) -> None:
        answer = self.run("ansible-galaxy", "collection", "install", *arguments)
        assert answer.rc == 0, answer.text

    def play(self, playbook: str, **variables: str) -> Answer:
        (self.home / "inventory.yml").write_text(yaml.safe_dump(INVENTORY), encoding="utf-8")
        return self.run("ansible-playbook", playbook, "-i", str(self.home / "inventory.yml"), **variables)


def copy_of_checkout(folder: Path) -> Path:
    """What a clone holds, with what is not yet committed, without what was made in the checkout."""
    listed = subprocess.check_output(["git", "ls-files", "-coz", "--exclude-standard"], cwd=CHECKOUT, text=True)
    for name in filter(None, listed.split("\0")):
        if (CHECKOUT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, folder / name)
    return folder


def expect_nothing_checked(answer: Answer) -> None:
    """A run on a host without areas starts, records, and fails because it checked nothing."""
    assert answer.rc == 2, answer.text
    assert "nothing was checked" in answer.text
    assert "Report: " in answer.text


@pytest.fixture(scope="session")
def clone(tmp_path_factory):
    return copy_of_checkout(tmp_path_factory.mktemp("clone"))


@pytest.fixture(scope="session")
def archive(clone, tmp_path_factory):
    output = tmp_path_factory.mktemp("archive")
    answer = Project(clone).run("ansible-galaxy", "collection", "build", "--output-path", str(output))
    assert answer.rc == 0, answer.text
    (path,) = output.iterdir()
    return path


@pytest.fixture(scope="session")
def members(archive):
    with tarfile.open(archive) as tar:
        return set(tar.getnames())


@pytest.fixture(scope="session")
def installed(archive, tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("installed"))
    project.install(str(archive), "-p", "collections")
    return project


def test_the_archive_holds_the_collection_alone(members):
    assert {name.split("/")[0] for name in members} == ALLOWED
    assert not {name for name in members if name.endswith((".pyc", ".log", "/__pycache__", "/.plugin-cache.yaml"))}


def test_the_archive_holds_all_that_is_needed(members):
    assert members >= NEEDED


def test_what_the_documents_of_the_archive_point_to_is_in_it(archive, members):
    with tarfile.open(archive) as tar:
        texts = {name: tar.extractfile(name).read().decode() for name in members if name.endswith(".md")}
    links = {
        (name, os.path.normpath(os.path.join(os.path.dirname(name), link)))
        for name, text in texts.items()
        for link in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", text)
    }
    assert ("README.md", "inventories/example/README.md") in links
    assert {(name, place) for name, place in links if place not in members} == set()


# --- inventories


@pytest.mark.parametrize("name", ["tank", "east", "ex", "exam", "examples", "example.bak"])
def test_an_inventory_of_ones_own_gets_into_no_commit(name):
    ignored = ["git", "check-ignore", "-q", f"inventories/{name}/group_vars/all/vault.yml"]
    assert subprocess.run(ignored, cwd=CHECKOUT, check=False).returncode == 0


def test_the_inventories_of_the_project_are_all_looked_at():
    listed = subprocess.check_output(["git", "ls-files", "-co", "--exclude-standard", "inventories"], cwd=CHECKOUT, text=True)
    assert {name.split("/")[1] for name in listed.splitlines()} == set(INVENTORIES)


def test_inventories_of_ones_own_stay_out_of_the_archive(clone, tmp_path):
    checkout = Path(shutil.copytree(clone, tmp_path / "checkout"))
    for name in ("tank", "east", "ex", "exam", "examples", "example.bak"):
        (checkout / "inventories" / name / "group_vars/all").mkdir(parents=True)
        (checkout / "inventories" / name / "group_vars/all/vault.yml").write_text("planted\n", encoding="utf-8")
    answer = Project(checkout).run("ansible-galaxy", "collection", "build", "--output-path", str(tmp_path / "output"))
    assert answer.rc == 0, answer.text
    (path,) = (tmp_path / "output").iterdir()
    with tarfile.open(path) as tar:
        files = {member.name for member in tar.getmembers() if member.isfile() and member.name.startswith("inventories/")}
    assert "inventories/example/hosts.yml" in files
    assert {name for name in files if not name.startswith("inventories/example/")} == set()


def test_the_commands_of_the_example_hold_with_an_installed_collection(archive, tmp_path):
    """As they stand in its README, but for the folder; ssh ends with 255 as when it cannot connect."""
    project, ssh = Project(tmp_path / "project"), tmp_path / "ssh"
    project.install(str(archive))
    ssh.write_text("#!/bin/sh\nexit 255\n", encoding="utf-8")
    ssh.chmod(0o755)
    readme = (CHECKOUT / "inventories/example/README.md").read_text(encoding="utf-8")
    block = re.search(r"## Copy it.*?```sh\n(.*?)```", readme, re.DOTALL)[1]
    copy, graph, check, run = re.split(r"^(?=ansible)", block.replace("/srv/ops", str(tmp_path / "ops")), flags=re.MULTILINE)
    assert check.split("#")[0].split() == [*run.split(), "--check"]
    settings = {"PATH": f"{PROGRAMS}:{os.environ['PATH']}", "ANSIBLE_SSH_EXECUTABLE": str(ssh), "ANSIBLE_SSH_RETRIES": "0"}
    done = project.run("/bin/sh", "-ec", copy + graph + check, **settings)
    assert done.rc in (2, 4), done.text
    assert "--seoul-app-1" in done.text
    assert "check mode: no record was written" in done.text
    assert "Remark" not in done.text


# --- installed


def test_an_installed_archive_runs_from_an_empty_folder(installed):
    expect_nothing_checked(installed.play("ops.remediation.daily_check", ANSIBLE_COLLECTIONS_PATH="collections", **CALLBACK))


def test_without_the_callback_one_line_says_what_to_do(installed):
    answer = installed.play("ops.remediation.daily_check", ANSIBLE_COLLECTIONS_PATH="collections")
    told = [line for line in answer.text.splitlines() if "callbacks_enabled" in line]
    assert answer.rc == 2, answer.text
    assert told, answer.text
    assert all("ANSIBLE_CALLBACKS_ENABLED=ops.remediation.run_record" in line for line in told)
    assert "Traceback" not in answer.text


def test_a_project_may_only_name_the_collection_in_its_requirements(archive, tmp_path):
    project = Project(tmp_path / "project")
    (project.folder / "collections").mkdir()
    named = {"collections": [{"source": str(archive), "type": "file"}]}
    (project.folder / "collections/requirements.yml").write_text(yaml.safe_dump(named), encoding="utf-8")
    # What AWX does on a project update, and the path it sets for the job.
    cache = str(tmp_path / "requirements_collections")
    project.install("-r", "collections/requirements.yml", "-p", cache)
    expect_nothing_checked(project.play("ops.remediation.daily_check", ANSIBLE_COLLECTIONS_PATH=cache, **CALLBACK))


@pytest.mark.parametrize("playbook", ["playbooks/daily_check.yml", "ops.remediation.daily_check"])
def test_the_checkout_is_a_project_without_make(as_project, playbook):
    project, cache = as_project
    expect_nothing_checked(project.play(playbook, ANSIBLE_COLLECTIONS_PATH=cache))


@pytest.fixture(scope="module")
def as_project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    project = Project(copy_of_checkout(folder))
    cache = str(folder.with_name("requirements_collections"))
    project.install("-r", "collections/requirements.yml", "-p", cache)
    return project, cache
