# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The source attachments.files in real folders: outcomes, options, files that change, and other users."""

from __future__ import annotations

import os
import shutil
import threading
import time

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.attachments import (
    check_present,
    content_parts,
    inspect_files,
    read_files,
)
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import WrongQuestion

from . import helpers as h


def test_all_are_found(folder):
    answer = h.read([folder], h.NAMES)
    assert answer["counts"] == {"FOUND": 12, "NOT_FOUND": 0, "DUPLICATED": 0, "INVALID": 0, "UNKNOWN": 0}
    assert (answer["complete"], answer["files"], answer["unread"]) == (True, 12, 0)
    assert h.codes(answer) == [""]
    assert all(row["size"] == len(h.CONTENTS[os.path.splitext(row["name"])[1]]) for row in answer["details"])


def test_one_of_everything(folder):
    xls, pdf, xlsx, csv = h.NAMES[:4]
    (folder / xls).unlink()
    h.put(folder, pdf, b"")
    h.put(folder, xlsx, h.CONTENTS[".xlsx"][:700])
    os.rename(folder / csv, folder / csv.lower())
    h.put(folder, h.NAMES[4], b"<html></html>")
    (folder / "sub").mkdir()
    shutil.copy2(folder / h.NAMES[5], folder / "sub" / h.NAMES[5])
    (folder / h.NAMES[6]).unlink()
    os.mkdir(folder / h.NAMES[6])
    (folder / h.NAMES[7]).unlink()
    os.symlink("/nowhere", folder / h.NAMES[7])
    (folder / h.NAMES[8]).unlink()
    os.mkfifo(folder / h.NAMES[8])
    os.rename(folder / h.NAMES[9], folder / h.NAMES[9].replace(".pdf", ".pdf.part"))
    answer = h.read([folder], [*h.NAMES, "", "x.exe", "../" + pdf])
    told = h.outcomes(answer)
    assert told == {
        xls: ("NOT_FOUND", "not_found"),
        pdf: ("INVALID", "empty"),
        xlsx: ("INVALID", "damaged"),
        csv: ("NOT_FOUND", "case_differs"),
        h.NAMES[4]: ("INVALID", "wrong_type"),
        h.NAMES[5]: ("DUPLICATED", "duplicated"),
        h.NAMES[6]: ("INVALID", "unreadable"),
        h.NAMES[7]: ("INVALID", "unreadable"),
        h.NAMES[8]: ("INVALID", "unreadable"),
        h.NAMES[9]: ("NOT_FOUND", "near_name"),
        h.NAMES[10]: ("FOUND", ""),
        h.NAMES[11]: ("FOUND", ""),
        "": ("INVALID", "no_name"),
        "x.exe": ("INVALID", "extension"),
        "../" + pdf: ("INVALID", "bad_name"),
    }
    why = {row["name"]: row.get("why") for row in answer["details"]}
    assert [why[name] for name in h.NAMES[6:9]] == ["is_a_folder", "dangling_link", "not_a_file"]


@pytest.mark.parametrize(("change", "equal"), [(b"", "yes"), (b"x", "no")])
def test_duplicates_are_compared(tmp_path, change, equal):
    for number, more in enumerate((b"", change)):
        (tmp_path / str(number)).mkdir()
        h.put(tmp_path / str(number), "A_1.csv", b"a,b\n" * 20_000 + more)
    assert h.read([tmp_path], ["A_1.csv"])["details"][0]["equal"] == equal


def test_duplicates_of_one_size_are_compared_by_their_first_and_last_blocks(tmp_path):
    for name, middle in (("x", b"1"), ("y", b"2")):
        (tmp_path / name).mkdir()
        h.put(tmp_path / name, "A_1.csv", b"a,b\n" * 10_000 + middle + b"a,b\n" * 10_000)
    assert h.read([tmp_path], ["A_1.csv"])["details"][0]["equal"] == "yes"
    assert h.read([tmp_path], ["A_1.csv"], deep=True)["details"][0]["equal"] == "no"


def test_two_roots_one_in_the_other_are_no_duplicates(folder):
    answer = h.read([folder.parent, folder, f"{folder}/"], h.NAMES)
    assert answer["counts"]["FOUND"] == 12
    assert answer["files"] == 12


def test_links_to_folders_are_not_followed(folder):
    os.symlink(folder, folder / "again")
    assert h.read([folder], h.NAMES)["counts"]["FOUND"] == 12


def test_depth(folder):
    deep = folder / "a" / "b"
    deep.mkdir(parents=True)
    os.rename(folder / h.NAMES[0], deep / h.NAMES[0])
    assert h.read([folder], h.NAMES, depth=2)["counts"]["FOUND"] == 12
    assert h.outcomes(h.read([folder], h.NAMES, depth=1))[h.NAMES[0]] == ("NOT_FOUND", "not_found")


def test_many_names_that_are_no_attachments_beside_folders(tmp_path):
    for number in range(700):
        (tmp_path / f"note_{number}.txt").touch()
    (tmp_path / "x").mkdir()
    h.put(tmp_path / "x", "A_1.csv")
    answer = h.read([tmp_path], ["A_1.csv"])
    assert (answer["counts"]["FOUND"], answer["files"]) == (1, 701)


def test_a_folder_of_the_day(folder):
    pattern = f"{folder.parent}/%Y%m%d"
    assert h.read([pattern], h.NAMES, date="2026-11-21")["counts"]["FOUND"] == 12
    answer = h.read([pattern], h.NAMES, date="2026-11-22")
    assert answer["counts"]["NOT_FOUND"] == 12
    assert answer["complete"]
    assert h.codes(answer) == ["attachments.batch_missing", "attachments.not_found"]


@pytest.mark.parametrize(
    "more",
    [
        {"date": "soon"},
        {"timezone": "Mars/Base"},
        {"extensions": ["pdf"]},
        {"name_pattern": "("},
        {"answer_within": -1},
        {"batch_log": "x"},
    ],
)
def test_options_that_cannot_be_used(tmp_path, more):
    with pytest.raises(WrongQuestion):
        h.read([tmp_path], [], **more)


def test_a_file_that_grows_is_still_being_written(folder):
    path = folder / h.NAMES[3]
    stop = threading.Event()

    def write():
        with path.open("ab") as file:
            while not stop.is_set():
                file.write(b"GID,2026-11-21,1\n")
                file.flush()
                time.sleep(0.01)

    writer = threading.Thread(target=write)
    writer.start()
    time.sleep(0.05)
    try:
        assert h.outcomes(h.read([folder], h.NAMES, settle=10.0))[h.NAMES[3]] == ("INVALID", "still_written")
    finally:
        stop.set()
        writer.join()


def test_a_file_that_was_changed_a_moment_ago_and_is_not_whole(folder):
    h.put(folder, h.NAMES[1], h.CONTENTS[".pdf"][:300], modified=time.time())
    h.put(folder, h.NAMES[0], modified=time.time() + 3600)  # the clock of the NAS is ahead
    told = h.outcomes(h.read([folder], h.NAMES, settle=10.0))
    assert told[h.NAMES[1]] == ("INVALID", "still_written")
    assert told[h.NAMES[0]] == ("FOUND", "")


def test_groups_folders_and_cut_details(folder):
    (folder / h.NAMES[0]).unlink()
    given = [{"name": name, "group": f"ORG_{number % 3}"} for number, name in enumerate(h.NAMES)]
    answer = h.read([folder], given, details=2)
    assert answer["groups"]["ORG_0"] == {"FOUND": 3, "NOT_FOUND": 1, "DUPLICATED": 0, "INVALID": 0, "UNKNOWN": 0}
    assert next(iter(answer["groups"])) == "ORG_0"
    assert [row["outcome"] for row in answer["details"]] == ["NOT_FOUND", "FOUND"]
    assert answer["folders"] == [{"path": str(folder), "files": 11, "problem": "", "FOUND": 11}]


def test_a_name_that_is_wanted_twice_is_told_once(folder):
    answer = h.read([folder], [h.NAMES[0], h.NAMES[0]])
    assert [(row["outcome"], row["times"]) for row in answer["details"]] == [("FOUND", 2)]


def test_without_names_only_files_at_all_are_asked_for(folder):
    answer = h.read([folder])
    assert (answer["listed"], answer["files"], h.codes(answer)) == (False, 12, [""])
    shutil.rmtree(folder)
    assert h.codes(h.read([f"{folder.parent}/%Y%m%d"], date="2026-11-21")) == ["attachments.batch_missing"]


@h.as_root
def test_folders_are_read_as_the_user_of_the_worker(folder, tmp_path):
    folder.chmod(0o700)
    for above in list(folder.parents)[:-1]:
        if above.stat().st_uid == 0 and above != above.parent and str(above).startswith("/tmp/"):
            above.chmod(0o755)
    given = {"roots": [str(folder)], "wanted": h.NAMES, "answer_within": 5.0, "as_user": "nobody"}
    source = read_files.FILES
    from ansible_collections.ops.remediation.plugins.module_utils._core.source import read_all
    from ansible_collections.ops.remediation.plugins.module_utils._core.state import State

    state = State(str(tmp_path / "state"), read_only=True)
    (outcome,) = read_all([(source, given, 10.0)], state).values()
    answer = outcome.get()
    assert answer["user"] == "nobody"
    assert answer["counts"]["UNKNOWN"] == 12
    assert answer["roots"][0]["problem"] == "EACCES"
    findings = check_present.present_of(answer)
    assert [(finding.status, finding.evidence["blocked_by"]) for finding in findings] == [("unknown", "nas.no_permission")]
    folder.chmod(0o755)
    (folder / h.NAMES[0]).chmod(0o600)
    (outcome,) = read_all([(source, given, 10.0)], state).values()
    assert h.outcomes(outcome.get())[h.NAMES[0]] == ("INVALID", "unreadable")


@pytest.mark.parametrize("most", [1, 5])
def test_never_more_files_are_read_at_the_same_time_than_is_told(tmp_path, monkeypatch, most):
    names = [f"A_{number}.csv" for number in range(40)]
    for name in names:
        h.put(tmp_path, name)
    reading, seen = set(), []

    def inspect(path, _extension, deep=False):
        reading.add(path)
        seen.append(len(reading))
        time.sleep(0.05)
        reading.discard(path)
        return content_parts.Verdict()

    monkeypatch.setattr(inspect_files, "inspect_file", inspect)
    assert h.read([tmp_path], names, parallel_reads=most)["counts"]["FOUND"] == 40
    assert len(seen) == 40
    # A crew grows as work waits; on a busy machine it may not need all of them.
    assert min(most, 2) <= max(seen) <= most
