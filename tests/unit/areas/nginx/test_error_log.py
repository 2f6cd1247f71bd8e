# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events of an error log, and the zone of its times."""

from __future__ import annotations

import time

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.nginx import error_log
from hypothesis import given
from hypothesis import strategies as st

from ..web import helpers as h
from .helpers import QUICK


def line(second, level, text, pid=7):
    return f"{time.strftime('%Y/%m/%d %H:%M:%S', time.gmtime(second))} [{level}] {pid}#{pid}: {text}\n"


def events(text, modified, start=0):
    return error_log.log_events(text.encode(), start, 1, modified)


@pytest.mark.parametrize("zone", [0, 9 * 3600, -5 * 3600, 5.5 * 3600])
def test_the_logs_clock_is_told_from_when_it_was_written(zone):
    text = line(h.NOW - 60 + zone, "error", "*3 connect() failed (111: Connection refused) while connecting to upstream") + line(
        h.NOW + zone, "emerg", 'unknown directive "x" in /c:1'
    )
    refused, emerg = events(text, h.NOW + 1)
    assert (refused["kind"], refused["time"]) == ("502", h.NOW - 60)
    assert (emerg["kind"], emerg["time"], emerg["text"]) == ("emerg", h.NOW, 'unknown directive "x" in /c:1')


@pytest.mark.parametrize(
    ("level", "text", "kind"),
    [
        ("error", "*1 upstream timed out (110: Connection timed out) while reading response header from upstream", "504"),
        ("error", "*1 recv() failed (104: Connection reset by peer) while reading response header from upstream", "502"),
        ("error", "*1 upstream prematurely closed connection while reading response header", "502"),
        ("error", "*1 no live upstreams while connecting to upstream", "502"),
        ("alert", "worker process 12 exited on signal 11 (core dumped)", "worker_died"),
        ("notice", "worker process 12 exited with code 0", ""),
        ("notice", "signal 3 (SIGQUIT) received from 1, shutting down", "told_to_end"),
        ("notice", "signal 15 (SIGTERM) received from 1, exiting", "told_to_end"),
        ("notice", "start worker processes", "started"),
        ("notice", "start worker process 5", ""),
        ("notice", "reconfiguring", "reloaded"),
        ("emerg", "bind() to 0.0.0.0:80 failed (98: Address already in use)", "emerg"),
        ("error", '*1 open() "/x" failed (2: No such file or directory)', ""),
    ],
)
def test_what_a_line_means(level, text, kind):
    assert [event["kind"] for event in events(line(h.NOW, level, text), h.NOW)] == ([kind] if kind else [])


@QUICK
@given(st.binary(max_size=500), st.floats(0, 4e9))
def test_any_log_is_read(data, modified):
    prefix = b"2026/11/21 10:00:00 [emerg] 7#7: "
    for text in (data, prefix + data, b"9999/99/99 99:99:99 [emerg] 7#7: x\n" + data):
        error_log.log_events(text, 0, 1, modified)


def test_a_huge_log_is_read_from_its_end_and_with_the_one_before(tmp_path):
    path = tmp_path / "error.log"
    path.write_text(line(h.NOW, "emerg", "x") * 50_000)
    (tmp_path / "error.log.1").write_text(line(h.NOW, "emerg", "y"))
    log = error_log.read_log(str(path))
    assert len(log["events"]) == error_log.MAX_EVENTS
    assert log["size"] == path.stat().st_size
    assert error_log.read_log("stderr")["readable"] is False
    assert error_log.read_log(str(tmp_path))["readable"] is False
