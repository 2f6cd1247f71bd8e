# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""attachments.present: findings of readings, and the words in their texts."""

from __future__ import annotations

import re
import shutil

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.attachments import (
    check_present,
)
from ansible_collections.ops.remediation.plugins.plugin_utils.texts import catalogue as faults_catalogue

from ..host.helpers import reads_well
from . import helpers as h


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
        ("EACCES", "EACCES (no read permission)", "EACCES: give the user"),
        ("EIO", "EIO (the NAS cannot read it)", "EIO: the NAS"),
        ("ESTALE", "ESTALE (the handle is stale)", "mount the NAS again"),
        ("dangling_link", ", a link without a target", "the link"),
        ("is_a_folder", ", a folder has the name", "move the folder away"),
        ("not_a_file", ", it is not a regular file", "regular file"),
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


def test_names_of_codes_are_those_of_the_table():
    assert all(re.fullmatch(r"attachments\.[a-z_]+", code) for code in check_present.CODES)
