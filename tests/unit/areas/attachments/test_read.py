# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Readings of real folders: outcomes, dates, roots, wanted files, the batch, what is kept too long, other users."""

from __future__ import annotations

import os
import re
import shutil
import threading
import time
from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.attachments import batch as _attachments_batch
from ansible_collections.ops.remediation.plugins.module_utils._areas.attachments import (
    check_present,
    content_parts,
    inspect_files,
    read_files,
    read_kept,
    wanted,
)
from ansible_collections.ops.remediation.plugins.module_utils._areas.attachments.match import Wanted
from ansible_collections.ops.remediation.plugins.module_utils._core import children as _process
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import CannotRead, NeedsUser, WrongQuestion
from ansible_collections.ops.remediation.plugins.module_utils._shared import dated_paths as _attachments_roots
from ansible_collections.ops.remediation.plugins.module_utils._shared.threads import Crew
from ansible_collections.ops.remediation.plugins.plugin_utils.texts import catalogue as faults_catalogue

from ..host.helpers import reads_well
from . import helpers as h

DAY = date(2026, 11, 21)


@pytest.fixture
def folder(tmp_path):
    """A folder of one day with all files, whole."""
    path = tmp_path / "statement" / "20261121"
    path.mkdir(parents=True)
    for name in h.NAMES:
        h.put(path, name)
    return path


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


def test_the_day_is_that_of_the_zone():
    moment = 1_795_276_800 - 3600  # 2026-11-21 15:00 in UTC, midnight in Korea
    assert _attachments_roots.day_of("today", "Asia/Seoul", moment) == date(2026, 11, 22)
    assert _attachments_roots.day_of("tomorrow", "UTC", moment) == date(2026, 11, 22)


@pytest.mark.parametrize(
    ("root", "said"),
    [
        ("batch/report", "no absolute path"),
        ("/batch/../etc", "no absolute path"),
        ("\\\\NAS-01\\mti", "Windows share"),
        ("/batch/%H", "no part of a date"),
        ("/batch/100%", "no part of a date"),
        ("s3://B/x", "no absolute path"),
    ],
)
def test_roots_that_are_none(root, said):
    with pytest.raises(WrongQuestion, match=said):
        _attachments_roots.roots_of([root], DAY)


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


# --- wanted names


def test_a_csv_of_the_target_query(tmp_path):
    path = tmp_path / "targets.csv"
    path.write_text(
        "CUST_ID,EMAIL_ADDR,attach_file_name,ORG_ID\n1,a@b.kr,A_1.pdf,ORG1\n2,c@d.kr,,ORG2\n\n3,e@f.kr,A_1.pdf,ORG1\n", encoding="utf-8-sig"
    )
    assert wanted.of_file(str(path), group_column="ORG_ID") == [Wanted("A_1.pdf", "ORG1", 2), Wanted("", "ORG2", 1)]


def test_json_lines_and_plain_lines_and_korean(tmp_path):
    lines = tmp_path / "t.jsonl"
    lines.write_text('{"ATTACH_FILE_NAME": "A_1.pdf", "ORG": 7}\n"B_1.pdf"\n')
    assert wanted.of_file(str(lines), group_column="org") == [Wanted("A_1.pdf", "7"), Wanted("B_1.pdf")]
    plain = tmp_path / "t.txt"
    plain.write_bytes("명세서.pdf\r\n\r\nB_1.pdf\r\n".encode("cp949"))
    assert wanted.of_file(str(plain)) == [Wanted("명세서.pdf"), Wanted("B_1.pdf")]


@pytest.mark.parametrize(
    ("name", "data", "error", "said"),
    [
        ("x.csv", b"A,B\n1,2\n", WrongQuestion, "it has A, B"),
        ("x.csv", b'ATTACH_FILE_NAME\n"a\n', CannotRead, "no CSV"),
        ("x.jsonl", b"{\n", CannotRead, "line 1 is no JSON"),
        ("x.jsonl", b"[1]\n", CannotRead, "neither an object"),
        ("x.txt", b"\xff\xff\xff", CannotRead, "neither UTF-8 nor CP949"),
    ],
)
def test_damaged_files_of_wanted_names(tmp_path, name, data, error, said):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(error, match=said):
        wanted.of_file(str(tmp_path / name))


def test_a_file_of_wanted_names_that_is_absent_or_no_file(tmp_path):
    with pytest.raises(CannotRead, match="cannot be read"):
        wanted.of_file(str(tmp_path / "absent.csv"))
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(CannotRead, match="no file"):
        wanted.of_file(str(tmp_path / "pipe.csv"))
    with pytest.raises(WrongQuestion, match="wanted\\[1\\]"):
        wanted.of_list(["A_1.pdf", {"file": "x"}])


@h.as_root
def test_a_file_of_wanted_names_that_is_not_for_us(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("A_1.pdf\n")
    path.chmod(0o600)
    tmp_path.chmod(0o755)
    outcome = _process.call(lambda: [one.name for one in wanted.of_file(str(path))], 5, user=lambda: 65534)
    assert isinstance(outcome.error, NeedsUser)


# --- the batch


@pytest.mark.parametrize(
    ("text", "age", "state"),
    [
        ("start\n10:02 ERROR disk quota exceeded\n", 9000, "failed"),
        ("ERROR first try\nstart again\nEND OF BATCH ok\n", 9000, "done"),
        ("END OF BATCH ok\nstart again\njava.io.IOException: failed\n", 9000, "failed"),
        ("wrote 10 files\n0 failed, errors: 0\n", 9000, "ended"),
        ("wrote 10 files\n", 10, "running"),
    ],
)
def test_the_log_of_the_batch(tmp_path, text, age, state):
    log = tmp_path / "batch.log"
    log.write_text(text)
    os.utime(log, (time.time() - age,) * 2)
    failed, finished = _attachments_batch.patterns_of(None, "END OF BATCH")
    assert _attachments_batch.read_batch(_attachments_batch.BatchSettings("", str(log), failed, finished))["state"] == state


BEGIN = datetime(2026, 11, 21, tzinfo=ZoneInfo("Asia/Seoul")).timestamp()


@pytest.mark.parametrize(
    ("text", "modified", "state"),
    [
        ("2026-11-20 05:10:02 END OF BATCH\n", BEGIN - 18 * 3600, "not_run"),
        ("2026-11-20 05:10:02 END OF BATCH\n", BEGIN + 3600, "not_run"),  # touched by the rotation
        ("2026-11-20 05:10:02 END OF BATCH\n2026-11-21 05:10:00 start\n", BEGIN + 6 * 3600, "ended"),
        ("2026-11-20 05:10:02 ERROR x\njava.io.IOException: failed\n2026-11-21 05:10:00 start\n", BEGIN + 6 * 3600, "ended"),
        ("[2026-11-20 23:10:02] END OF BATCH\n", BEGIN - 1800, "done"),  # the evening before
        ("ERROR 2026/11/21 05:10:02 failed\n", BEGIN + 6 * 3600, "failed"),
        ("2026-11-20T20:10:02.123Z END OF BATCH\n", BEGIN + 6 * 3600, "done"),  # that is 05:10 in Seoul
        ("wrote A_2017-01-20_1.csv\nEND OF BATCH 2017-01-20\n", BEGIN + 6 * 3600, "done"),  # a day that is spoken of
        ("END OF BATCH\n", BEGIN - 18 * 3600, "not_run"),
    ],
)
def test_a_log_without_a_date_in_its_path_counts_for_its_day_only(tmp_path, text, modified, state):
    log = tmp_path / "batch.log"
    log.write_text(text)
    os.utime(log, (modified,) * 2)
    patterns = _attachments_batch.patterns_of(None, "END OF BATCH")
    since = _attachments_batch.since_of(str(log), DAY, "Asia/Seoul", 6)
    batch = _attachments_batch.read_batch(_attachments_batch.BatchSettings("", str(log), *patterns, (0.0, since)))
    assert batch["state"] == state
    assert bool(batch["last"]) is (state == "not_run")


def test_a_marker_without_a_date_in_its_path_counts_for_its_day_only(tmp_path):
    marker = tmp_path / "done"
    marker.touch()
    given = {"date": "2026-11-21", "batch_marker": str(marker)}
    for hours, before, state in ((-18, None, "not_run"), (-5, None, "done"), (5, None, "done"), (-18, 20, "done"), (-5, 0, "not_run")):
        os.utime(marker, (BEGIN + hours * 3600,) * 2)
        answer = h.read([tmp_path / "none"], [], **given, batch_hours_before=before)
        assert answer["batch"]["state"] == state, (hours, before)
    (finding,) = check_present.present_of(h.read([tmp_path / "none"], None, **given, batch_hours_before=0))
    assert finding.evidence["last"] == "2026-11-20 19:00"
    reads_well(finding)


def test_a_date_in_the_path_says_which_day_it_is(tmp_path):
    os.utime(h.put(tmp_path, "20261121.done", b""), (1, 1))
    answer = h.read([tmp_path], [], date="2026-11-21", batch_marker=f"{tmp_path}/%Y%m%d.done")
    assert answer["batch"]["state"] == "done"


@pytest.mark.parametrize(("line", "state"), [("ERROR x\n", "failed"), (None, "not_run"), ("wrote\n", "running")])
def test_without_names_a_batch_that_failed_or_has_not_run_is_a_fault_though_files_are_there(folder, tmp_path, line, state):
    log = tmp_path / "batch-20261121.log"
    if line:
        log.write_text(line)
    given = {"date": "2026-11-21", "batch_log": str(tmp_path / "batch-%Y%m%d.log")}
    (finding,) = check_present.present_of(h.read([folder], None, **given))
    assert (finding.code, finding.evidence["batch"]) == ("" if state == "running" else "attachments.batch_missing", state)
    if finding.code:
        reads_well(finding)
        assert "No attachment" not in faults_catalogue.render({**finding.as_dict(), "host": "app"})["en"]["title"]
    assert h.codes(h.read([folder], h.NAMES, **given)) == [""], "with names, each was looked for"


@pytest.mark.parametrize(
    ("why", "said", "step"),
    [
        ("EACCES", "EACCES (no right to read)", "EACCES: give the user"),
        ("EIO", "EIO (the NAS cannot read it)", "EIO: the NAS"),
        ("ESTALE", "ESTALE (the handle is stale)", "mount the NAS again"),
        ("dangling_link", ", a link to nothing", "the link"),
        ("is_a_folder", ", a folder bears the name", "move the folder away"),
        ("not_a_file", ", it is no plain file", "plain file"),
        ("AccessDenied", "S3 denies", "s3:GetObject"),
        ("InvalidObjectState", "an archive of S3", "Restore the object"),
        ("ReadTimeoutError", ", ReadTimeoutError", "sudo -u"),
    ],
)
def test_why_a_file_cannot_be_read_is_told_in_words(folder, why, said, step):
    answer = h.read([folder], h.NAMES)
    row = {**answer["details"][0], "outcome": "INVALID", "code": "attachments.unreadable", "why": why}
    finding = check_present._one_code(
        "attachments.present", row["code"], {**answer, "codes": {row["code"]: 1}, "examples": {row["code"]: [row]}}, "x"
    )
    reads_well(finding)
    texts = faults_catalogue.render({**finding.as_dict(), "host": "app"})
    assert said in texts["en"]["cause"]
    assert step in texts["en"]["next"]
    assert "_" not in texts["ko"]["cause"].replace(h.NAMES[0], "").replace(str(folder), "")


def test_missing_names_that_no_similar_ones_were_looked_for_are_told(folder):
    answer = h.read([folder], [f"Z_{number}.pdf" for number in range(510)])
    assert (answer["similar"]["looked"], answer["similar"]["left"]) == (500, 10)
    found = next(one for one in check_present.present_of(answer) if one.code == "attachments.not_found")
    assert "for 10 of the missing names" in found.evidence["not_asked"][0]
    few = check_present.present_of(h.read([folder], ["Z_1.pdf"]))
    assert "not_asked" not in few[0].evidence


def test_what_was_not_looked_at_is_told_besides_another_root_that_is_unknown(folder):
    answer = h.read([folder, folder.parent / "elsewhere"], h.NAMES)
    assert all("looked" not in row for row in [*answer["details"], *h.read([folder], h.NAMES, contents=False)["details"]])
    answer["roots"][1]["problem"], answer["unread"], answer["complete"] = "EIO", 3, False
    reasons = [one.evidence["reason"] for one in check_present.present_of(answer) if one.status == "unknown"]
    assert len(reasons) == 2
    assert "3 of 12 wanted files are there but were not read in time" in reasons[1]


def test_marker_and_log_of_the_batch_in_a_finding(folder):
    shutil.rmtree(folder)
    pattern, log = f"{folder.parent}/%Y%m%d", folder.parent / "batch-20261121.log"
    given = {"date": "2026-11-21", "batch_marker": f"{folder.parent}/%Y%m%d.done", "batch_log": f"{folder.parent}/batch-%Y%m%d.log"}

    def batch():
        answer = h.read([pattern], h.NAMES, **given)
        return next(one for one in check_present.present_of(answer) if one.code == "attachments.batch_missing").evidence["batch"]

    assert batch() == "not_run"
    log.write_text("ERROR password=hunter2\n")
    assert batch() == "failed"
    assert "hunter2" not in str(h.read([pattern], h.NAMES, **given)["batch"])
    (folder.parent / "20261121.done").touch()
    assert batch() == "done"


def test_some_missing_files_are_not_a_missing_batch(folder):
    (folder / h.NAMES[0]).unlink()
    assert h.codes(h.read([folder], h.NAMES)) == ["attachments.not_found"]
    assert h.codes(h.read([folder], ["Z_1.pdf"])) == ["attachments.not_found"]
    assert h.codes(h.read([folder], ["Z_1.pdf", "Z_2.pdf", "Y_3.pdf"])) == ["attachments.batch_missing", "attachments.not_found"]


# --- what is kept too long


def test_old_folders_of_days(tmp_path):
    for name in ("20261121", "20261101", "20261001", "20260901", "notes"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "A_1.pdf").touch()
    os.remove(tmp_path / "20260901" / "A_1.pdf")
    (entry,) = read_kept.read([f"{tmp_path}/%Y%m%d"], date="2026-11-21", keep_days=30)["roots"]
    assert (entry["old"], entry["oldest"], entry["examples"], entry["looked"]) == (1, "2026-10-01", ["20261001"], 4)


def test_old_files_and_roots_without_a_whole_date(tmp_path):
    h.put(tmp_path, "A_1.pdf")
    h.put(tmp_path, "B_1.pdf", modified=time.time())
    plain, untold = read_kept.read([str(tmp_path), f"{tmp_path}/%Y/%m"], keep_days=30)["roots"]
    assert (plain["how"], plain["old"], plain["examples"]) == ("files", 1, ["A_1.pdf"])
    assert untold["how"] == "untold"
    (absent,) = read_kept.read([f"{tmp_path}/nowhere/%Y%m%d"])["roots"]
    assert absent["problem"] == "ENOENT"


# --- the crew


def test_a_crew_does_everything_once_and_what_that_brings():
    crew = Crew(lambda item: (item, [item * 10] if item < 10 else []), most=4, until=time.monotonic() + 10)
    assert sorted(crew.run(range(1, 6))) == [1, 2, 3, 4, 5, 10, 20, 30, 40, 50]
    assert crew.left == []


def test_a_crew_grows_where_work_waits_and_ends_in_time():
    def work(item):
        time.sleep(30 if item == 3 else 0.01)
        return item, ()

    started = time.monotonic()
    crew = Crew(work, most=8, until=started + 1.0)
    assert sorted(crew.run(range(100))) == [item for item in range(100) if item != 3]
    assert crew.left == [3]
    assert time.monotonic() - started < 10


def test_what_breaks_in_a_crew_is_told_at_once_and_is_no_silence():
    def work(item):
        if item == 3:
            raise KeyError("a defect")
        time.sleep(0.01)
        return item, ()

    started = time.monotonic()
    with pytest.raises(KeyError, match="a defect"):
        Crew(work, most=2, until=started + 30).run(range(100))
    assert time.monotonic() - started < 10


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


def test_names_of_codes_are_those_of_the_table():
    assert all(re.fullmatch(r"attachments\.[a-z_]+", code) for code in check_present.CODES)


def test_dates_over_several_folders_tell_their_age(tmp_path):
    for name in ("2026/08/01", "2026/11/20", "2025/12/31"):
        (tmp_path / name).mkdir(parents=True)
        h.put(tmp_path / name, "A_1.csv")
    (tmp_path / "2026" / "readme.txt").touch()
    (tmp_path / "2024" / "01" / "01").mkdir(parents=True)  # cleaned
    (entry,) = read_kept.read([f"{tmp_path}/%Y/%m/%d"], date="2026-11-21", keep_days=30)["roots"]
    assert (entry["how"], entry["old"], entry["oldest"], entry["examples"]) == ("folders", 2, "2025-12-31", ["2025/12/31", "2026/08/01"])
    (entry,) = read_kept.read([f"{tmp_path}/%Y/%m/%d/AC"], date="2026-11-21", keep_days=400)["roots"]
    assert (entry["how"], entry["old"]) == ("folders", 0)


def test_old_files_below_a_root_without_a_date_are_found(tmp_path):
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    h.put(below, "A_1.csv")
    h.put(tmp_path, "B_1.csv", modified=time.time())
    os.symlink(below, tmp_path / "again")
    (entry,) = read_kept.read([str(tmp_path)], keep_days=30)["roots"]
    assert (entry["how"], entry["old"], entry["examples"]) == ("files", 1, ["a/b/A_1.csv"])
