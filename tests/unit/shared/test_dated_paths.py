# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths whose names hold a date: the day in a zone, and places that cannot be used."""

from __future__ import annotations

from datetime import date

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import WrongQuestion
from ansible_collections.ops.remediation.plugins.module_utils._shared import dated_paths

DAY = date(2026, 11, 21)


def test_the_day_is_that_of_the_zone():
    moment = 1_795_276_800 - 3600  # 2026-11-21 15:00 in UTC, midnight in Korea
    assert dated_paths.day_of("today", "Asia/Seoul", moment) == date(2026, 11, 22)
    assert dated_paths.day_of("tomorrow", "UTC", moment) == date(2026, 11, 22)


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
        dated_paths.roots_of([root], DAY)
