# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading log folders and the dates of logs."""

from __future__ import annotations

import gzip
import os
import time

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.host import read_log_files

from .helpers import NOW


def test_log_folders(tmp_path):
    tmp_path.chmod(0o755)
    folder = tmp_path / "logs"
    folder.mkdir()
    folder.chmod(0o755)
    (folder / "a.log").write_text("2026-01-02 03:04:05 begin\n")
    (folder / "a.log").chmod(0o644)
    (folder / "a.log.1.gz").write_bytes(gzip.compress(b"x"))
    (folder / "a.log.1.gz").chmod(0o600)
    (folder / "b.log").symlink_to("/etc/passwd")
    os.mkfifo(folder / "pipe.log")
    rules = tmp_path / "rules"
    rules.write_text(f"{folder}/a.log {{\n}}\n")
    answer = read_log_files.read_logs([str(folder), str(tmp_path / "gone")], logrotate=[str(rules)])
    first, second = answer["folders"]
    files = {entry["name"]: entry for entry in first["files"]}
    assert sorted(files) == ["a.log", "a.log.1.gz"]
    assert files["a.log"]["ruled"] and files["a.log.1.gz"]["ruled"]
    assert files["a.log"]["oldest"] == time.mktime((2026, 1, 2, 3, 4, 5, 0, 0, -1))
    assert (files["a.log"]["mode"], files["a.log.1.gz"]["base"]) == ("0644", "a.log")
    assert second["problem"] == "No such file or directory"


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("2026-11-21T01:02:03.123+09:00 x", None),
        ("[Nest] 99  - 11/21/2026, 7:16:12 AM     LOG x", (2026, 11, 21, 7, 16, 12)),
        ('1.2.3.4 - - [21/Nov/2026:07:16:12 +0900] "GET /', (2026, 11, 21, 7, 16, 12)),
        ("2026/11/21 07:16:12 [error] 1#1: x", (2026, 11, 21, 7, 16, 12)),
        ("nothing here", ()),
        ("2026-99-99 99:99:99", ()),
    ],
)
def test_the_first_date_of_a_log(line, parts):
    found = read_log_files.date_in(f"{line}\n", NOW)
    wanted = time.mktime((*parts, 0, 0, -1)) if parts else None if parts == () else 1795190523.0
    assert found == wanted
