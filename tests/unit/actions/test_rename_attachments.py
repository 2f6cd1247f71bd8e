# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Renames that are killed, that run out of time, and whose NAS is away when they are undone: nothing is lost, nothing is left twice."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ops.remediation.plugins.module_utils._actions import rename_attachments as _attachments_rename
from ansible_collections.ops.remediation.plugins.module_utils._modules import attachment_scan as _attachment_scan
from ansible_collections.ops.remediation.plugins.modules import attachment_scan

from ..areas.attachments import helpers as h

BEFORE = {"A_1.CSV": b"a\n1\n", "B_1.csv ": b"b\n22\n", " C_1.csv": b"c\n333\n"}
AFTER = {"A_1.csv": b"a\n1\n", "B_1.csv": b"b\n22\n", "C_1.csv": b"c\n333\n"}
STEPS = 4 * len(BEFORE)  # of each file: begun (fsync), link, unlink, done (fsync)


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "nas" / "report"
    path.mkdir(parents=True)
    for name, data in BEFORE.items():
        h.put(path, name, data)
    return path


@pytest.fixture
def run(tmp_path, capsys, folder):
    """Return a function that runs the module's main() and returns its answer."""

    def call(**options):
        given = {"roots": [str(folder)], "wanted": sorted(AFTER), "read_only": False, "state_dir": str(tmp_path / "state"), **options}
        with patch_module_args(given), pytest.raises(SystemExit):
            attachment_scan.main()
        return {"failed": False, **json.loads(capsys.readouterr().out)}

    return call


@pytest.fixture
def journal(tmp_path):
    return str(tmp_path / "state" / _attachment_scan.JOURNAL)


def held(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def killed_before(monkeypatch, step):
    """Have every child killed before this step of renaming."""
    parent, steps = os.getpid(), []

    def wrap(name):
        function = getattr(os, name)

        def counted(*arguments, **options):
            if os.getpid() != parent:
                steps.append(name)
                if len(steps) > step:
                    os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)

        monkeypatch.setattr(os, name, counted)

    for name in ("fsync", "link", "unlink"):
        wrap(name)


@pytest.mark.parametrize("step", range(STEPS))
def test_a_rename_that_is_killed_at_any_step_can_be_undone_and_says_what_it_did(run, folder, journal, monkeypatch, step):
    with monkeypatch.context() as patched:
        killed_before(patched, step)
        broken = run(state="renamed")
    assert broken["failed"]
    assert "renaming broke off" in broken["msg"]
    whole = step // 4
    noted = [os.path.basename(one["to"]) for one in broken["moves"]]
    assert len(noted) in (whole, whole + (step % 4 == 3)), "those whose end stands in the journal"
    assert set(noted) <= set(held(folder))
    assert broken["changed"] is bool(noted)
    assert [one["why"] for one in broken["not_moved"]] in ([], ["broken_off"])
    assert broken["findings"], "what was found is not lost"
    after = held(folder)
    assert set(after.values()) == set(BEFORE.values())
    run(state="undone")
    assert held(folder) == BEFORE
    assert _attachments_rename.read_journal(journal) == []
    assert run(state="renamed")["changed"] is True
    assert held(folder) == AFTER


@pytest.mark.parametrize("step", range(3 * len(BEFORE)))
def test_an_undo_that_is_killed_at_any_step_is_finished_by_the_next(run, folder, journal, monkeypatch, step):
    run(state="renamed")
    with monkeypatch.context() as patched:
        killed_before(patched, step)
        assert run(state="undone")["failed"]
    assert set(held(folder).values()) == set(BEFORE.values())
    run(state="undone")
    assert held(folder) == BEFORE
    assert _attachments_rename.read_journal(journal) == []


def test_two_links_to_one_file_become_one_and_two_files_stay_two(folder):
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.link(folder / "A_1.CSV", folder / "A_1.csv")
        _attachments_rename.exchange(descriptor, "A_1.CSV", "A_1.csv")
        assert "A_1.CSV" not in held(folder)
        h.put(folder, "A_1.CSV", b"a\n1\n")
        with pytest.raises(FileExistsError):
            _attachments_rename.exchange(descriptor, "A_1.CSV", "A_1.csv")
        assert {"A_1.CSV", "A_1.csv"} <= set(held(folder))
    finally:
        os.close(descriptor)


def test_a_name_that_is_removed_twice_over_the_network_costs_no_file(folder, monkeypatch):
    unlink = os.unlink

    def removed_and_then_asked_again(name, **options):
        unlink(name, **options)
        raise FileNotFoundError(2, "No such file or directory", name)

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        monkeypatch.setattr(os, "unlink", removed_and_then_asked_again)
        _attachments_rename.exchange(descriptor, "A_1.CSV", "A_1.csv")
    finally:
        os.close(descriptor)
    assert held(folder)["A_1.csv"] == BEFORE["A_1.CSV"]


# --- time


def test_a_rename_stops_by_itself_and_the_next_one_goes_on(run, folder, journal, monkeypatch):
    fsync = os.fsync

    def slow(descriptor):
        time.sleep(1.0)
        fsync(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", slow)
        patched.setattr(_attachment_scan, "STOP_SHARE", 0.3)
        result = run(state="renamed", deadline=8)
    assert result["failed"]
    assert "deadline" in result["msg"]
    assert "broke off" not in result["msg"]
    assert result["changed"] is True
    assert 1 <= len(result["moves"]) < len(BEFORE)
    assert {one["why"] for one in result["not_moved"]} == {"no_time"}
    assert len(result["moves"]) + len(result["not_moved"]) == len(BEFORE)
    assert run(state="renamed")["changed"] is True
    assert held(folder) == AFTER
    assert len(_attachments_rename.read_journal(journal)) == len(BEFORE)


def test_an_undo_that_has_no_time_keeps_all_in_the_journal(run, folder, journal):
    run(state="renamed")
    answer = _attachments_rename.undo(journal, time.monotonic() - 1)
    assert (len(answer["left"]), answer["done"], answer["gone"]) == (len(BEFORE), [], [])
    assert len(_attachments_rename.read_journal(journal)) == len(BEFORE)


def test_a_plan_for_many_files_is_made_at_once():
    rows = [{"move": ["/f", f"{number}.PDF", f"{number}.pdf"]} for number in range(100_000)]
    rows += [{"move": ["/f", "x.PDF", "y.pdf"]}, {"move": ["/f", "z.PDF", "y.pdf"]}, {"move": ["/f", "0.PDF", "w.pdf"]}]
    started = time.process_time()
    moves = _attachments_rename.plan(rows)
    assert time.process_time() - started < 5
    assert len(moves) == 99_999


# --- another user


@pytest.fixture
def theirs(folder):
    """The folder and its files belong to another user, and the way to it is open."""
    for path in (folder, *folder.iterdir()):
        os.chown(path, 65534, 65534)
    folder.chmod(0o755)
    above = folder
    while above != above.parent and above.parent != Path("/tmp"):
        above = above.parent
        above.chmod(above.stat().st_mode | 0o011)
    return folder


@h.as_root
def test_a_named_user_renames_with_a_journal_that_only_root_can_read(run, theirs, journal):
    assert len(run(state="renamed", rename_as="nobody")["moves"]) == len(BEFORE)
    assert held(theirs) == AFTER
    assert (os.stat(journal).st_uid, os.stat(journal).st_mode & 0o777) == (0, 0o600)
    assert len(run(state="undone", rename_as="nobody")["moves"]) == len(BEFORE)
    assert held(theirs) == BEFORE


@h.as_root
def test_a_user_that_may_not_rename_is_told_and_what_to_do(run, folder):
    for above in (folder, *folder.parents):
        if above != Path("/") and above != Path("/tmp"):
            above.chmod(above.stat().st_mode | 0o055)
    result = run(state="renamed", rename_as="nobody")
    assert {one["why"] for one in result["not_moved"]} <= {"EACCES", "EPERM"}
    assert "rename_as" in result["msg"]
    assert result["changed"] is False
    assert held(folder) == BEFORE
    wrong = run(state="renamed", rename_as="nobody-of-that-name")
    assert "does not exist on this host" in wrong["msg"]
    assert "broke off" not in wrong["msg"]
    assert wrong["findings"]


# --- the NAS is away when the names are put back


def test_a_folder_that_is_away_keeps_the_journal(run, folder, journal):
    run(state="renamed")
    entries = _attachments_rename.read_journal(journal)
    os.rename(folder.parent, folder.parent.with_name("away"))
    changed = [{**entry, "device": entry["device"] + 1} for entry in entries]
    for entry in changed:
        assert _attachments_rename._undo_one(_attachments_rename.Move(entry["folder"], entry["old"], entry["new"]), entry) == (
            "failed",
            "no_folder",
        )
    os.rename(folder.parent.with_name("away"), folder.parent)
    run(state="undone")
    assert held(folder) == BEFORE


def test_a_folder_that_the_batch_has_cleared_away_is_gone(run, folder, journal):
    run(state="renamed")
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    result = run(state="undone")
    assert not result["failed"]
    assert {one["why"] for one in result["gone"]} == {"ENOENT"}
    assert _attachments_rename.read_journal(journal) == []


@contextlib.contextmanager
def bound(source, target):
    subprocess.run(["mount", "--bind", str(source), str(target)], check=True, timeout=20)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(target)], check=True, timeout=20)


@pytest.mark.parametrize("same_folder", [False, True])
@h.as_root
def test_while_the_nas_is_not_mounted_nothing_is_given_up(run, folder, journal, tmp_path, same_folder):
    point = tmp_path / "mnt"
    point.mkdir()
    root = [str(point / "report")]
    with bound(folder.parent, point):
        assert run(state="renamed", roots=root)["changed"]
    if same_folder:
        # The local folder below holds a folder of that name, and a file that has one of the names.
        (point / "report").mkdir()
        h.put(point / "report", "A_1.csv", b"another")
    result = run(state="undone")
    assert result["failed"]
    assert (result["gone"], result["changed"]) == ([], False)
    assert {one["why"] for one in result["not_moved"]} == {"another_file_system" if same_folder else "no_folder"}
    assert "that the NAS is mounted" in result["msg"]
    assert len(_attachments_rename.read_journal(journal)) == len(BEFORE)
    with bound(folder.parent, point):
        assert len(run(state="undone")["moves"]) == len(BEFORE)
    assert held(folder) == BEFORE
    if same_folder:
        assert held(point / "report") == {"A_1.csv": b"another"}
