# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wanted names in files: CSV, JSON lines, a name a line, and files that cannot be used."""

from __future__ import annotations

import os

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.attachments import (
    wanted,
)
from ansible_collections.ops.remediation.plugins.module_utils._areas.attachments.match import Wanted
from ansible_collections.ops.remediation.plugins.module_utils._core import children
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import CannotRead, NeedsUser, WrongQuestion

from . import helpers as h


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
    outcome = children.call(lambda: [one.name for one in wanted.of_file(str(path))], 5, user=lambda: 65534)
    assert isinstance(outcome.error, NeedsUser)
