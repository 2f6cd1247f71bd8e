# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The source attachments.kept: old folders of days, and old files."""

from __future__ import annotations

import os
import time

from ansible_collections.ops.remediation.plugins.module_utils._areas.attachments import (
    read_kept,
)

from . import helpers as h


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
