# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module attachment_scan: its main over real folders, the file of all details, renames and the way back."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import time

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ops.remediation.plugins.module_utils._actions import rename_attachments as _attachments_rename
from ansible_collections.ops.remediation.plugins.module_utils._areas.attachments import check_present, outcomes
from ansible_collections.ops.remediation.plugins.module_utils._core import children as _process
from ansible_collections.ops.remediation.plugins.module_utils._modules import attachment_scan as _attachment_scan
from ansible_collections.ops.remediation.plugins.modules import attachment_scan

from ..areas.attachments import helpers as h
from ..areas.host.helpers import reads_well

WANTED = ["A_1.pdf", "B_1.csv", "C_1.csv", "D_1.csv", "E_1.csv"]


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "report"
    path.mkdir()
    for name in ("A_1.PDF", "B_1.csv ", " C_1.csv", "D_1.csv"):
        h.put(path, name, h.CONTENTS[".pdf" if name.startswith("A") else ".csv"])
    return path


@pytest.fixture
def run(tmp_path, capsys, folder):
    """Return a function that runs the module's main() and returns its answer."""

    def call(check=False, **options):
        given = {"roots": [str(folder)], "wanted": WANTED, "state_dir": str(tmp_path / "state"), "read_only": False}
        given = {"state_dir": given["state_dir"]} if options.get("state") == "undone" else given
        given = {name: value for name, value in {**given, **options}.items() if value is not None}
        with patch_module_args({**given, "_ansible_check_mode": check, "_ansible_diff": True}), pytest.raises(SystemExit):
            attachment_scan.main()
        return {"failed": False, **json.loads(capsys.readouterr().out)}

    return call


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def codes(result):
    return [finding["code"] for finding in result["findings"] if finding["code"]]


def test_a_scan_says_everything_and_changes_nothing(run, folder):
    before = names(folder)
    result = run()
    assert not result["failed"]
    assert (result["changed"], names(folder)) == (False, before)
    assert result["counts"] == {"FOUND": 1, "NOT_FOUND": 4, "DUPLICATED": 0, "INVALID": 0, "UNKNOWN": 0}
    assert codes(result) == ["attachments.not_found", "attachments.case_differs"]
    assert [finding["check"] for finding in result["findings"]][:2] == ["nas.path", "nas.disk"]
    assert {row["name"]: row["outcome"] for row in result["details"]} == {**dict.fromkeys(WANTED, "NOT_FOUND"), "D_1.csv": "FOUND"}
    assert "move" not in json.dumps(result["details"]) + json.dumps(result["findings"])


def test_details_are_cut_and_that_is_told(run):
    result = run(details=2)
    assert (len(result["details"]), result["details_left"]) == (2, 3)


def test_check_mode_writes_nothing_at_all(run, folder, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    for options in ({}, {"state": "renamed"}, {"state": "undone"}, {"details_file": str(tmp_path / "all.csv")}):
        run(check=True, **options)
    assert sorted(tmp_path.rglob("*")) == before


def test_the_plan_of_check_mode_is_what_is_done(run, folder):
    plan = run(check=True, state="renamed")
    done = run(state="renamed")
    assert plan["changed"] is done["changed"] is True
    assert plan["moves"] == done["moves"]
    assert plan["diff"] == done["diff"]
    assert plan["diff"]["before"].splitlines() == [f"{folder}/A_1.PDF", f"{folder}/B_1.csv ", f"{folder}/ C_1.csv"]
    assert names(folder) == ["A_1.pdf", "B_1.csv", "C_1.csv", "D_1.csv"]
    assert done["counts"]["FOUND"] == 4, "it was looked again"


def test_a_second_rename_changes_nothing_and_undone_puts_all_back(run, folder):
    before = names(folder)
    run(state="renamed")
    assert run(state="renamed")["changed"] is False
    plan = run(check=True, state="undone")
    done = run(state="undone")
    assert plan["moves"] == done["moves"] != []
    assert names(folder) == before
    again = run(state="undone")
    assert (again["changed"], again["moves"]) == (False, [])
    assert run(state="renamed")["changed"] is True, "and it can be done once more"


def test_nothing_is_overwritten_by_a_rename(folder, tmp_path):
    h.put(folder, "A_1.pdf", b"another")
    done = _attachments_rename.rename(
        [_attachments_rename.Move(str(folder), "A_1.PDF", "A_1.pdf")], str(tmp_path / "journal"), time.monotonic() + 9
    )
    assert [one["why"] for one in done["failed"]] == ["EEXIST"]
    assert (folder / "A_1.pdf").read_bytes() == b"another"
    assert _attachments_rename.read_journal(str(tmp_path / "journal")) == []


def test_nothing_is_overwritten_on_the_way_back(run, folder):
    run(state="renamed")
    h.put(folder, "A_1.PDF", b"made again by the batch")
    result = run(state="undone")
    assert result["failed"]
    assert "could not be given their old names back" in result["msg"]
    assert [one["why"] for one in result["not_moved"]] == ["EEXIST"]
    assert (folder / "A_1.PDF").read_bytes() == b"made again by the batch"
    assert names(folder) == [" C_1.csv", "A_1.PDF", "A_1.pdf", "B_1.csv ", "D_1.csv"]
    (folder / "A_1.PDF").unlink()
    assert len(run(state="undone")["moves"]) == 1


def test_a_file_that_has_gone_or_was_made_anew_keeps_its_name(run, folder):
    run(state="renamed")
    (folder / "A_1.pdf").unlink()
    h.put(folder, "B_1.csv.new", b"x,y\n", modified=5)
    os.replace(folder / "B_1.csv.new", folder / "B_1.csv")
    result = run(state="undone")
    assert not result["failed"]
    assert [(os.path.basename(one["from"]), one["why"]) for one in result["gone"]] == [("B_1.csv", "another_file"), ("A_1.pdf", "ENOENT")]
    assert names(folder) == [" C_1.csv", "B_1.csv", "D_1.csv"]
    assert run(state="undone")["moves"] == []


@pytest.mark.parametrize("error", [errno.EPERM, errno.EOPNOTSUPP])
def test_file_systems_without_hard_links(run, folder, monkeypatch, error):
    def no_link(*_arguments, **_options):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "link", no_link)
    run(state="renamed")
    assert names(folder) == ["A_1.pdf", "B_1.csv", "C_1.csv", "D_1.csv"]
    h.put(folder, "A_1.PDF", b"taken")
    assert run(state="undone")["failed"]
    assert (folder / "A_1.PDF").read_bytes() == b"taken"


def test_a_journal_that_was_cut_off_is_read_as_far_as_it_goes(run, folder, tmp_path):
    run(state="renamed")
    journal = tmp_path / "state" / _attachment_scan.JOURNAL
    assert journal.stat().st_mode & 0o777 == 0o600
    journal.write_bytes(journal.read_bytes()[:-20])
    assert len(run(state="undone")["moves"]) == 3
    assert names(folder) == [" C_1.csv", "A_1.PDF", "B_1.csv ", "D_1.csv"]


def test_a_rename_that_had_only_begun_is_not_undone(folder, tmp_path):
    journal = tmp_path / "journal"
    descriptor = os.open(folder, os.O_RDONLY)
    place = _attachments_rename.place_of(descriptor)
    os.close(descriptor)
    entry = {"id": "1", "event": "begun", "folder": str(folder), "old": "A_1.PDF", "new": "A_1.pdf", "inode": 1, **place}
    journal.write_text(json.dumps(entry) + "\n")
    assert _attachments_rename.undo(str(journal), time.monotonic() + 9)["gone"]
    assert names(folder) == [" C_1.csv", "A_1.PDF", "B_1.csv ", "D_1.csv"]


@h.needs_fuse
def test_a_mount_that_is_read_only_says_so(tmp_path, run):
    with h.mounted(tmp_path, ["a_1.csv"]) as nas:
        result = run(state="renamed", roots=[str(nas.path)], wanted=["A_1.csv"])
        assert result["failed"]
        assert "do it on the NAS itself" in result["msg"]
        assert [one["why"] for one in result["not_moved"]] == ["EROFS"]
        assert result["counts"]["NOT_FOUND"] == 1


@h.needs_fuse
def test_in_a_mount_that_hangs_nothing_is_looked_for(tmp_path, run):
    with h.mounted(tmp_path, ["A_1.csv"], "hung") as nas:
        result = run(roots=[str(nas.path)], mounts=[str(nas.path)], deadline=6)
        assert codes(result)[0] == "nas.hung"
        blocked = next(finding for finding in result["findings"] if finding["check"] == "attachments.present")
        assert (blocked["status"], blocked["evidence"]["blocked_by"]) == ("unknown", "nas.hung")
        assert (result["counts"]["UNKNOWN"], result["files"], result["complete"]) == (len(WANTED), 0, False)
        assert {row["outcome"] for row in result["details"]} == {"UNKNOWN"}


@h.needs_fuse
@pytest.mark.parametrize(("mode", "code"), [("hung", "nas.hung"), ("ESTALE", "nas.stale")])
def test_a_mount_that_is_sick_costs_no_other_root(tmp_path, run, folder, mode, code):
    h.put(folder, "batch.log", b"ERROR\n", modified=time.time())
    with h.mounted(tmp_path, ["E_1.csv"], mode) as nas:
        given = {"mounts": [str(nas.path)], "deadline": 8, "roots": [str(nas.path), str(folder)], "keep_days": 30}
        result = run(**given, batch_log=str(folder / "batch.log"))
        assert codes(result)[0] == code
        assert result["counts"] == {"FOUND": 1, "NOT_FOUND": 0, "DUPLICATED": 0, "INVALID": 0, "UNKNOWN": 4}
        assert result["batch"]["state"] == "failed"
        assert [(one["check"], one["subject"]) for one in result["findings"] if one["evidence"].get("blocked_by") == code][-2:] == [
            ("attachments.present", str(nas.path)),
            ("attachments.retention", str(nas.path)),
        ]
        assert "attachments.retention" in codes(result), "of the other root"
        # One that holds no root at all harms nothing.
        result = run(**{**given, "roots": [str(folder)]})
        assert result["counts"] == {"FOUND": 1, "NOT_FOUND": 4, "DUPLICATED": 0, "INVALID": 0, "UNKNOWN": 0}
        assert code in codes(result)
        result = run(wanted=None, wanted_file=str(nas.path / "wanted.csv"), **given)
        assert "the wanted names are not known" in json.dumps(result["findings"])


@h.needs_fuse
def test_a_second_run_finds_the_first_one_stuck_and_says_that_the_mount_hangs(tmp_path, run, folder):
    with h.mounted(tmp_path, ["E_1.csv"], "hung") as nas:
        given = {"mounts": [str(nas.path)], "deadline": 6, "roots": [str(nas.path), str(folder)]}
        first, second = run(**given), run(**given)
        assert codes(first)[0] == codes(second)[0] == "nas.hung"
        assert second["counts"] == first["counts"]
        assert second["counts"]["UNKNOWN"] == 4


def test_all_details_in_a_file(run, tmp_path, folder):
    path = tmp_path / "all.csv"
    result = run(details=1, details_file=str(path))
    assert result["changed"]
    assert path.stat().st_mode & 0o777 == 0o600
    rows = list(csv.DictReader(io.StringIO(path.read_text())))
    assert [row["outcome"] for row in rows] == ["NOT_FOUND"] * 4 + ["FOUND"]
    assert run(details_file=str(path))["changed"] is False
    lines = tmp_path / "all.jsonl"
    run(details_file=str(lines))
    assert [json.loads(line)["name"] for line in lines.read_text().splitlines()][-1] == "D_1.csv"


def test_details_that_are_too_many_for_an_answer_are_packed(run, tmp_path, monkeypatch):
    monkeypatch.setattr(_process, "MAX_ANSWER", 300_000)
    wanted = [f"BAC04V403R_MERSTAT_GID_{number:08}_20261121_1.xls" for number in range(5000)]
    path = tmp_path / "all.jsonl"
    given = {"wanted": wanted, "details": 10, "details_file": str(path)}
    assert "over 300000" in json.dumps(run(**given)["findings"])
    monkeypatch.setattr(outcomes, "MOST_PLAIN", 100)
    result = run(**given)
    assert (len(result["details"]), result["details_left"], result["counts"]["NOT_FOUND"]) == (10, 4990, 5000)
    assert [json.loads(line)["name"] for line in path.read_text().splitlines()] == wanted


def test_cells_that_a_spreadsheet_would_run_are_quoted():
    rows = [{"name": "=cmd|' /C calc'!A0", "outcome": "INVALID", "candidates": ["x", "y"]}, {"name": "-1_A.pdf", "outcome": "FOUND"}]
    told = list(csv.DictReader(io.StringIO(_attachment_scan.details_text(rows, True))))
    assert [row["name"] for row in told] == ["'=cmd|' /C calc'!A0", "-1_A.pdf"]
    assert told[0]["candidates"] == "x\ny"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"roots": []}, "names no folder"),
        ({"roots": ["report"]}, "no absolute path"),
        ({"wanted": [["x"]]}, "is not a wanted name"),
        ({"wanted": None, "state": "renamed"}, "any of the following are missing: wanted, wanted_file"),
        ({"wanted_file": "/x.csv"}, "mutually exclusive"),
        ({"deadline": 0}, "out of bounds"),
        ({"details": -1}, "out of bounds"),
        ({"mounts": [{"path": "x"}]}, "is no mount"),
        ({"details_file": "all.csv"}, "absolute path"),
        ({"as_user": "nobody-of-that-name"}, "does not exist on this host"),
    ],
)
def test_a_wrong_question_is_refused(run, options, said, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    result = run(**options)
    assert result["failed"]
    assert said in result["msg"]
    assert result["msg"].count(said) == 1


@pytest.mark.parametrize("path", ["all.csv", "{tmp}/absent/all.csv", "{tmp}/report"])
def test_a_details_file_that_cannot_be_written_is_refused_before_a_file_is_renamed(run, folder, tmp_path, path):
    before = names(folder)
    result = run(state="renamed", details_file=path.format(tmp=tmp_path))
    assert result["failed"]
    assert "details_file" in result["msg"]
    assert names(folder) == before


def test_a_details_file_may_lie_in_a_folder_that_comes_with_the_run(run, tmp_path):
    of_a_task_before = tmp_path / "made" / "by" / "a" / "task" / "all.csv"
    assert not run(check=True, details_file=str(of_a_task_before))["failed"]
    assert not (tmp_path / "made").exists()
    beside_the_state = tmp_path / "state" / "all.csv"
    assert not run(details_file=str(beside_the_state))["failed"]
    assert beside_the_state.exists()


def test_a_details_file_that_fails_in_the_end_costs_nothing_of_the_answer(run, folder, tmp_path, monkeypatch):
    def full(*_arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(_attachment_scan, "_put", full)
    result = run(state="renamed", details_file=str(tmp_path / "all.csv"))
    assert result["failed"]
    assert "No space left" in result["msg"]
    assert result["changed"] is True
    assert len(result["moves"]) == 3
    assert result["counts"]["FOUND"] == 4
    assert result["findings"]


def test_a_details_file_that_is_no_plain_file_is_left_alone(run, tmp_path):
    os.symlink(tmp_path / "target", tmp_path / "link.csv")
    assert "is no plain file" in run(details_file=str(tmp_path / "link.csv"))["msg"]
    assert not (tmp_path / "target").exists()


def test_a_wanted_file_that_is_absent_is_unknown_and_no_failure(run, tmp_path):
    result = run(wanted=None, wanted_file=str(tmp_path / "absent.csv"))
    assert not result["failed"]
    (finding,) = (one for one in result["findings"] if one["check"] == "attachments.present")
    assert finding["status"] == "unknown"
    assert "export the wanted names there first" in finding["evidence"]["reason"]


def test_what_is_kept_too_long(run, folder):
    assert "attachments.retention" in codes(run(keep_days=30))


def test_the_texts_of_all_findings_read_well(tmp_path):
    for name in h.NAMES:
        h.put(tmp_path, name)
    h.put(tmp_path, h.NAMES[1], b"")
    h.put(tmp_path, h.NAMES[2], h.CONTENTS[".xlsx"][:700])
    (tmp_path / "x").mkdir()
    h.put(tmp_path / "x", h.NAMES[3])
    os.rename(tmp_path / h.NAMES[4], tmp_path / h.NAMES[4].lower())
    answer = h.read(
        [tmp_path], [*({"name": name, "group": "ORG1"} for name in h.NAMES), {"name": "Z_1.pdf", "group": "ORG2"}, "", "", "a/b.pdf"]
    )
    found = check_present.present_of(answer)
    assert len(found) == 7
    for finding in found:
        reads_well(finding)
    assert next(one for one in found if one.code == "attachments.no_name").value == 2
    assert next(one for one in found if one.code == "attachments.not_found").evidence["groups"] == ["ORG2"]
