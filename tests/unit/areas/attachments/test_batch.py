# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The batch: its marker, its log, and the day that they belong to."""

from __future__ import annotations

import os
import time
from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.attachments import (
    batch,
    check_present,
)

from ..host.helpers import reads_well
from . import helpers as h

DAY = date(2026, 11, 21)


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
    failed, finished = batch.patterns_of(None, "END OF BATCH")
    assert batch.read_batch(batch.BatchSettings("", str(log), failed, finished))["state"] == state


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
    patterns = batch.patterns_of(None, "END OF BATCH")
    since = batch.since_of(str(log), DAY, "Asia/Seoul", 6)
    found = batch.read_batch(batch.BatchSettings("", str(log), *patterns, (0.0, since)))
    assert found["state"] == state
    assert bool(found["last"]) is (state == "not_run")


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
