# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dates of any locale and zone."""

from __future__ import annotations

import calendar

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._shared.logs import dates

from . import helpers as h
from .helpers import EVENING


@pytest.mark.parametrize(
    "text",
    [
        "11/21/2026, 7:16:12 PM",
        "21/11/2026 19:16:12",
        "21/11/2026, 19:16:12",
        "21.11.2026, 19:16:12",
        "2026-11-21T19:16:12",
        "2026-11-21 19:16:12.345",
        "2026/11/21 19:16:12",
        "2026. 11. 21. 오후 7:16:12",
        "21/11/2026, 7:16:12 p. m.",
        "11/21/2026, 7:16:12\u202fPM",
    ],
)
def test_dates_of_many_locales_are_one_moment(text):
    found = dates.naive_times(text)
    meant, zone = found[0], found[1]
    assert EVENING in meant.values()
    assert next(iter(meant.values())) == EVENING
    assert zone == ""


@pytest.mark.parametrize("text", ["2026-11-21T10:16:12Z", "2026-11-21T19:16:12+09:00", "2026-11-21 19:16:12 +0900"])
def test_a_zone_that_is_written_counts(text):
    assert dates.Clock(offset=3600.0).moment(text) == EVENING - 9 * 3600


@pytest.mark.parametrize("text", ["", "13/32/2026 19:16:12", "2026-11-21", "1/2/3 4:5", "99/99/9999 99:99:99"])
def test_what_is_no_date_has_no_moment(text):
    assert dates.Clock().moment(text) is None


def test_an_ambiguous_date_is_read_as_the_files_own_time_says():
    modified = float(calendar.timegm((2026, 3, 4, 10, 0, 30)))
    assert dates.clock_of("[Nest] 1  - 04/03/2026, 19:00:12     LOG [A] x\n", modified) == dates.Clock("dmy", -9 * 3600.0)
    assert dates.clock_of("[Nest] 1  - 03/04/2026, 7:00:12 PM     LOG [A] x\n", modified) == dates.Clock("mdy", -9 * 3600.0)
    assert dates.clock_of("[Nest] 1  - 03/04/2026, 19:00:12     LOG [A] x\n", modified) == dates.Clock("mdy", -9 * 3600.0)


def test_a_file_that_ends_without_a_date_tells_no_zone():
    assert dates.clock_of(h.nest("x") + "Error: something\n    at main.js:1:1\n", EVENING - 9 * 3600.0) is None


@pytest.mark.parametrize(
    ("line", "zone"), [("2026-11-21T19:16:12: x", ""), ("2026-11-21 19:16:12,345 x", ""), ("2026-11-21T19:16:12.3+0900 x", "+0900")]
)
def test_a_leading_iso_date_and_its_zone(line, zone):
    assert dates.leading_iso(line) == (EVENING, zone)
    assert dates.leading_time(line, -9 * 3600.0) == EVENING - 9 * 3600


@pytest.mark.parametrize("line", ["", "x 2026-11-21T19:16:12", "0000-11-21T19:16:12", "2026-13-21T19:16:12", "11/21/2026 19:16:12"])
def test_what_is_no_leading_iso_date(line):
    assert dates.leading_iso(line) is None
    assert dates.leading_time(line, None) is None
