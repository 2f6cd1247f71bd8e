# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pm2.log and its events."""

from __future__ import annotations

import json
import os

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.pm2 import (
    read_log,
)
from ansible_collections.ops.remediation.plugins.module_utils._areas.pm2 import read_log as _read_log

from . import helpers as h
from .helpers import ends


@pytest.mark.parametrize("version", h.VERSIONS)
def test_the_events_of_a_real_log(version):
    recorded = h.transcript(version)
    events = read_log.parse_events(recorded["log"], recorded["log_modified"])
    kinds = {event["event"] for event in events}
    assert {"daemon_started", "starting", "exited", "stopping", "gave_up", "memory_restart", "forced_kill"} <= kinds
    assert all(recorded["recorded"] - 120 < event["time"] <= recorded["recorded"] + 1 for event in events)
    (gave_up,) = [event for event in events if event["event"] == "gave_up"]
    assert (gave_up["script"], gave_up["count"]) == ("/srv/tank/app/nest_crash.js", 16)
    assert any(event.get("signal") == "SIGKILL" for event in events)
    assert any(event.get("pm_id") == "_old_0" for event in events), "a worker that a reload replaces"


def test_names_with_colons_and_brackets():
    (event,) = read_log.parse_events("2026-11-21T09:00:00: PM2 log: App [a:b [x]:3] exited with code [-2] via signal [SIGSEGV]", 0)
    assert (event["name"], event["pm_id"], event["code"], event["signal"]) == ("a:b [x]", 3, -2, "SIGSEGV")


@pytest.mark.parametrize(
    ("prefix", "epoch"),
    [
        ("2026-11-21T09:00:00+09:00: ", 1795219200.0),
        ("2026-11-21 00:00:00Z: ", 1795219200.0),
        ("", None),
        ("2026-13-41T09:00:00: ", None),
        ("21/11/2026 09:00: ", None),
    ],
)
def test_other_date_formats(prefix, epoch):
    (event,) = read_log.parse_events(f"{prefix}App [x:0] online", 5.0)
    assert event["time"] == epoch


@pytest.mark.parametrize("zone", [-9 * 3600, 0, 5.5 * 3600, 9 * 3600])
def test_the_zone_of_pm2_log_is_found_out(zone):
    lines = "\n".join(ends(1900 + zone + 86400, 6))
    events = h.log(lines, 1950.0 + 86400)["events"]
    assert events[0]["time"] == 1900.0 + 86400


def test_a_rotated_log_is_read_together(tmp_path):
    line = "2026-11-21T09:00:0{}: PM2 log: App [x:0] exited with code [1] via signal [SIGINT]\n"
    (tmp_path / "pm2.log").write_text(line.format(5))
    (tmp_path / "pm2.log.1").write_text(line.format(1) + line.format(2))
    (tmp_path / "pm2.log.2.gz").write_bytes(b"\x1f\x8b")
    assert len(_read_log.read_daemon_log(str(tmp_path))["events"]) == 3


def test_an_absent_or_strange_log_has_no_events(tmp_path):
    assert _read_log.read_daemon_log(str(tmp_path)) == {"present": False, "since": None, "last_write": None, "events": []}
    (tmp_path / "pm2.log").write_bytes(os.urandom(200_000))
    assert _read_log.read_daemon_log(str(tmp_path))["present"] is True


def test_a_huge_log_is_read_from_its_end(tmp_path):
    line = "2026-11-21T09:00:00: PM2 log: App [x:0] exited with code [1] via signal [SIGINT]\n"
    (tmp_path / "pm2.log").write_text(line * 40_000)
    value = _read_log.read_daemon_log(str(tmp_path))
    assert len(value["events"]) == _read_log.MAX_EVENTS
    assert len(json.dumps(value)) < 1_000_000
