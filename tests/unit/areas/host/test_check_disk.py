# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""host.disk: how full, what grew, and the forecast."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.host import read_disks
from ansible_collections.ops.remediation.plugins.module_utils._shared import series

from . import helpers as h
from .helpers import DAY, GB, codes


@pytest.mark.parametrize(
    ("entry", "code", "value"),
    [
        (h.disk(used=79.9), "", 79.9),
        (h.disk(used=80), "host.disk_80", 80.0),
        (h.disk(used=90), "host.disk_90", 90.0),
        (h.disk(used=85, files_used=990, files_free=10), "host.inodes", 99.0),
        (h.disk(used=95, files_used=990, files_free=10), "host.disk_90", 95.0),
        (h.disk(files=0, files_used=0, files_free=0), "", 50.0),
        (h.disk(used=0, size=0), "", 0.0),
    ],
)
def test_a_disk_has_one_finding_the_worst(entry, code, value):
    (found,) = h.ask("host.disk", host_disks=h.disks(entry))
    assert (found.code, found.value, found.subject) == (code, value, "/")


def test_what_root_keeps_for_itself_is_not_in_use():
    entry = {**h.disk(used=70), "free": 10 << 30}  # 20 GB are reserved: df shows 88 %
    (found,) = h.ask("host.disk", host_disks=h.disks(entry))
    assert (found.code, found.value) == ("host.disk_80", 87.5)


def test_what_cannot_be_asked_is_unknown():
    findings = h.ask("host.disk", host_disks=h.disks({**h.disk("/a"), "error": "Input/output error"}, missing=["/b"]))
    assert [(found.status, found.subject) for found in findings] == [("unknown", "/a"), ("unknown", "/b")]
    assert h.ask("host.disk", host_disks=h.disks())[0].status == "unknown"


def test_the_folder_that_grew_is_named():
    folder = {"path": "/opt/logs", "size": 30 * GB, "whole": True, "largest": [{"name": "worker.log", "size": 29 * GB}]}
    kept = read_disks.remember_disks(h.disks(h.disk(used=40), at=h.NOW - DAY, folders=[{**folder, "size": 2 * GB}]), None)
    (found,) = h.ask("host.disk", host_disks=h.disks(h.disk(used=92), folders=[folder]), kept=kept)
    grew = {"path": "/opt/logs", "size": "30.0 GB", "largest": "worker.log (29.0 GB)", "grown": "28.0 GB", "hours": 24.0}
    assert found.evidence["grew"] == [grew]


def kept_disk(*points, size=100):
    """What earlier runs kept: (hours ago, GB in use)."""
    return {"disks": {"/ /dev/vda": [[h.NOW - hours * 3600, used * GB, size * GB] for hours, used in points]}, "folders": {}}


def forecast_of(*points, used=60):
    (found,) = h.ask("host.disk", host_disks=h.disks(h.disk(used=used)), kept=kept_disk(*points))
    return found


def test_steady_growth_is_continued_to_the_end():
    found = forecast_of((96, 40), (72, 45), (48, 50), (24, 55))
    assert (found.code, found.value, found.unit) == ("host.disk_forecast", 8.0, "days")
    assert found.evidence["full_at"] == "2027-01-23T08:00:00Z"
    assert found.evidence["full_at_kst"] == "2027-01-23 17:00 KST"
    assert found.evidence["per_day"] == "5.0 GB"


@pytest.mark.parametrize(
    "points",
    [
        (),
        ((24, 40), (12, 50)),  # too few runs
        ((3, 45), (2, 50), (1, 55)),  # too short a time
        ((96, 60), (72, 60), (48, 60), (24, 60)),  # no growth
        ((96, 59.6), (72, 59.7), (48, 59.8), (24, 59.9)),  # full in a year
        ((96, 20), (72, 20), (48, 60), (24, 60)),  # one leap: a new release was unpacked
        ((96, 80), (72, 85), (48, 90), (24, 59)),  # cleaned a day ago
        ((100, 10), (90, 60), (76, 90), (75, 10), (60, 70), (51, 90), (50, 12), (30, 70), (26, 90), (25, 10), (20, 20), (15, 33), (10, 45)),
    ],
)
def test_no_forecast(points):
    assert forecast_of(*points).code == ""


def test_after_a_clean_up_the_growth_counts_anew():
    found = forecast_of((200, 60), (170, 75), (140, 90), (96, 10), (72, 23), (48, 35), (24, 48))
    assert found.code == "host.disk_forecast"
    assert found.evidence["runs"] == 5


def test_a_clock_that_was_put_back_leaves_no_points_of_the_future():
    assert forecast_of((-24, 10), (-48, 20), (96, 40), (72, 45)).code == ""


def test_a_series_stays_small_and_long():
    points = None
    for minute in range(5000):
        points = series.add(points, [h.NOW + minute * 60, minute, 10000])
    assert len(points) <= series.MOST_POINTS
    assert points[-1][0] - points[0][0] > DAY


def test_an_enlarged_disk_starts_a_new_series():
    kept = kept_disk((96, 40), (72, 45), (48, 50), (24, 55), size=80)
    assert codes(h.ask("host.disk", host_disks=h.disks(h.disk(used=60)), kept=kept)) == [""]
