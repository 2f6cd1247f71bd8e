# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The archive of the checks: built in a child while the run begins, and kept for the next run as long as no source changes."""

from __future__ import annotations

import os
import time
from types import SimpleNamespace

import pytest
from ansible_collections.ops.remediation.plugins.plugin_utils.run import build_ahead

ARCHIVE = "ansible_collections.ops.remediation.plugins.modules.stack_check-ZIP_DEFLATED-none"


class Ansible:
    """Where Ansible keeps archives for a run; building writes one, as Ansible does."""

    def __init__(self, folder):
        self.home, self.temporary = folder / "home", folder / "tmp"
        self.home.mkdir()
        self.built = 0
        self.new_run()

    def new_run(self):
        self.temporary = self.temporary.with_name(f"tmp-{self.built}-{time.monotonic_ns()}")
        self.temporary.mkdir()

    def build(self):
        self.built += 1
        place = self.temporary / "ansiballz_cache"
        place.mkdir(exist_ok=True)
        (place / ARCHIVE).write_text(f"archive {self.built}")
        (place / f"{ARCHIVE}.lock").touch()

    @property
    def found(self):
        return {path.name: path.read_text() for path in (self.temporary / "ansiballz_cache").iterdir() if path.suffix != ".lock"}

    @property
    def shelf(self):
        return self.home / "ops-remediation" / "archives"


@pytest.fixture
def ansible(tmp_path, monkeypatch):
    made = Ansible(tmp_path)
    sources = tmp_path / "plugins"
    (sources / "modules").mkdir(parents=True)
    (sources / "module_utils").mkdir()
    (sources / "modules" / "stack_check.py").write_text("x = 1\n")
    (sources / "module_utils" / "one.py").write_text("x = 1\n")
    config = SimpleNamespace(get_config_value=lambda _name: str(made.home))
    constants = SimpleNamespace(config=config, DEFAULT_MODULE_UTILS_PATH=[str(tmp_path / "own")], __file__="constants.py")
    monkeypatch.setattr(build_ahead, "constants", constants)
    monkeypatch.setattr(build_ahead, "PLUGINS", sources)
    monkeypatch.setattr(build_ahead, "_build", made.build)
    monkeypatch.setattr(build_ahead.context, "CLIARGS", {})
    made.sources, made.own = sources, tmp_path / "own"

    def run(check=False):
        made.new_run()
        constants.DEFAULT_LOCAL_TMP = str(made.temporary)
        build_ahead.context.CLIARGS["check"] = check
        build_ahead._provide()
        return made.found

    made.run = run
    return made


def test_the_second_run_takes_what_the_first_one_built(ansible):
    assert ansible.run() == {ARCHIVE: "archive 1"}
    assert ansible.run() == {ARCHIVE: "archive 1"}
    assert ansible.built == 1


@pytest.mark.parametrize("changed", ["modules/stack_check.py", "module_utils/one.py", "module_utils/new.py"])
def test_a_source_that_changed_or_is_new_makes_a_new_archive(ansible, changed):
    ansible.run()
    (ansible.sources / changed).write_text("x = 2\n")
    assert ansible.run() == {ARCHIVE: "archive 2"}


def test_a_file_of_the_user_that_stands_in_for_one_of_ansible_makes_a_new_archive(ansible):
    ansible.run()
    ansible.own.mkdir()
    (ansible.own / "basic.py").write_text("x = 2\n")
    assert ansible.run() == {ARCHIVE: "archive 2"}


def test_another_version_of_ansible_makes_a_new_archive(ansible, monkeypatch):
    ansible.run()
    monkeypatch.setattr(build_ahead, "ansible_version", "2.99.0")
    assert ansible.run() == {ARCHIVE: "archive 2"}


def test_check_mode_keeps_nothing(ansible):
    assert ansible.run(check=True) == {ARCHIVE: "archive 1"}
    assert not ansible.shelf.exists()


@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_a_folder_that_others_may_write_is_neither_used_nor_filled(ansible, mode):
    ansible.run()
    before = sorted(ansible.shelf.iterdir())
    ansible.shelf.chmod(mode)
    assert ansible.run() == {ARCHIVE: "archive 2"}
    assert sorted(ansible.shelf.iterdir()) == before


def test_a_link_in_place_of_the_folder_is_not_followed(ansible, tmp_path):
    ansible.run()
    ansible.shelf.rename(tmp_path / "elsewhere")
    ansible.shelf.symlink_to(tmp_path / "elsewhere")
    assert ansible.run() == {ARCHIVE: "archive 2"}


def test_only_the_latest_archives_are_kept_and_nothing_half_done_stays(ansible):
    for number in range(build_ahead.KEPT + 3):
        (ansible.sources / "module_utils" / "one.py").write_text(f"x = {number}\n")
        ansible.run()
    names = [path.name for path in ansible.shelf.iterdir()]
    assert len(names) <= build_ahead.KEPT
    assert not [name for name in names if name.startswith("new-")]


def test_an_archive_that_another_run_kept_meanwhile_stays(ansible):
    ansible.run()
    kept = next(ansible.shelf.iterdir())
    ansible.build()
    build_ahead._keep(ansible.temporary / "ansiballz_cache", ansible.shelf, kept)
    assert [path.name for path in ansible.shelf.iterdir()] == [kept.name]
    assert (kept / ARCHIVE).read_text() == "archive 1"


def test_nothing_is_kept_where_ansible_keeps_no_archive(ansible, monkeypatch):
    monkeypatch.setattr(build_ahead, "_build", (ansible.temporary.parent / "built").touch)
    build_ahead.constants.DEFAULT_LOCAL_TMP = str(ansible.temporary)
    build_ahead._provide()
    assert list(ansible.shelf.iterdir()) == []


# --- the child


def task(action):
    return SimpleNamespace(action=action, resolved_action=action)


def playbook(*blocks, roles=()):
    return SimpleNamespace(get_plays=lambda: [SimpleNamespace(tasks=list(blocks), roles=list(roles))])


def block(*entries, rescue=()):
    return SimpleNamespace(block=list(entries), rescue=list(rescue), always=[])


ASKS = task(build_ahead.MODULE)


@pytest.mark.parametrize(
    ("given", "built"),
    [
        (playbook(block(ASKS)), True),
        (playbook(block(task("ansible.builtin.ping"), block(task("ansible.builtin.ping"), rescue=[ASKS]))), True),
        (playbook(roles=[SimpleNamespace(get_task_blocks=lambda: [block(ASKS)])]), True),
        (playbook(block(task("ansible.builtin.ping"))), False),
        (playbook(), False),
    ],
)
def test_only_a_playbook_that_asks_checks_starts_the_child(monkeypatch, tmp_path, given, built):
    monkeypatch.setattr(build_ahead, "_provide", (tmp_path / "built").touch)
    child = build_ahead.begin(given)
    assert bool(child) is built
    if child:
        os.waitpid(child, 0)
    assert (tmp_path / "built").exists() is built


def test_a_child_that_fails_is_of_no_consequence(monkeypatch):
    monkeypatch.setattr(build_ahead, "_provide", lambda: 1 / 0)
    child = build_ahead.begin(playbook(block(ASKS)))
    assert os.waitpid(child, 0)[1] == 0


def test_the_end_of_the_run_kills_a_child_that_hangs(monkeypatch, tmp_path):
    os.mkfifo(tmp_path / "never")
    monkeypatch.setattr(build_ahead, "_provide", (tmp_path / "never").read_bytes)
    child = build_ahead.begin(playbook(block(ASKS)))
    build_ahead.end(child)
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_the_end_of_a_run_without_a_child_does_nothing():
    build_ahead.end(0)


def test_a_user_who_may_start_no_more_processes_gets_no_child(monkeypatch):
    def refuse():
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(build_ahead.os, "fork", refuse)
    assert build_ahead.begin(playbook(block(ASKS))) == 0
