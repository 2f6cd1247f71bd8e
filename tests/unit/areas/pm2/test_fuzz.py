# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever stands in PM2's answers, its log and its dump: a plain value or a typed error, within bounds, and nothing that cannot be sent on."""

from __future__ import annotations

import json
import math
import socket
import time

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.pm2 import check_processes, read_dump, read_log
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import CannotRead
from ansible_collections.ops.remediation.plugins.module_utils._shared import last_words, pm2_list, pm2_rpc
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from . import helpers as h

QUICK = settings(max_examples=150, deadline=2000)
WITH_FILES = settings(max_examples=150, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
NOW = 1_800_000_000.0
GOOD = h.frame({"args": [[h.entry()]]})
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4), max_leaves=12
)
FIELDS = [
    "name",
    "namespace",
    "status",
    "exec_mode",
    "pm_uptime",
    "created_at",
    "restart_time",
    "unstable_restarts",
    "exit_code",
    "pm_exec_path",
    "autorestart",
    "pmx_module",
    "restart_delay",
    "prev_restart_delay",
    "kill_timeout",
    "listen_timeout",
    "max_memory_restart",
    "pm_out_log_path",
    "pm_err_log_path",
    "uid",
    "username",
    "instances",
    "watch",
]
ENVIRONMENTS = st.dictionaries(st.sampled_from(FIELDS), ANYTHING)
ENTRIES = st.fixed_dictionaries(
    {},
    optional={
        "name": ANYTHING,
        "pm_id": ANYTHING,
        "pid": ANYTHING,
        "monit": ANYTHING | st.dictionaries(st.sampled_from(["cpu", "memory"]), ANYTHING),
        "pm2_env": ANYTHING | ENVIRONMENTS,
    },
)
CHANGES = st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=6)
EVENT_LINES = st.builds(
    lambda date, rest: f"{date}{rest}",
    st.sampled_from(["", "PM2 log: "])
    | st.builds(
        "{:04d}-{:02d}-{:02d}{}{:02d}:{:02d}:{:02d}{}: ".format,
        st.integers(0, 9999),
        *(st.integers(0, 99) for _part in range(2)),
        st.sampled_from(["T", " "]),
        *(st.integers(0, 99) for _part in range(3)),
        st.sampled_from(["", "Z", "+09:00", "-9999", ".123", "+09:00Z"]),
    ),
    st.sampled_from(
        [
            "PM2 log: App [x:0] exited with code [1] via signal [SIGINT]",
            "App [x:y:_old_3] exited with code [9999999999999999999999] via signal []",
            "App [x:0] online",
            "Stopping app:x id:0",
            "Script /a had too many unstable restarts (16). Stopped. errored",
            "Process 0 restarted because it exceeds --max-memory-restart value (current_memory=5 max_memory_limit=4 [octets])",
            "New PM2 Daemon started",
        ]
    )
    | st.text(max_size=60),
)


def sent(data):
    """Return what the reader makes of these bytes, or None for a typed error."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        try:
            return pm2_rpc.read_message(ours, time.monotonic() + 1.0)
        except CannotRead:
            return None


def must_be_sendable(value):
    """Fail for what is not plain JSON in UTF-8: this is how it leaves the host."""
    assert json.loads(json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")) == value


@QUICK
@given(st.binary(max_size=200))
@example(b"\x12\xff\xff\xff\xff")
def test_bytes_of_a_stranger(data):
    sent(data)


@QUICK
@given(CHANGES)
def test_a_damaged_answer(changes):
    data = bytearray(GOOD)
    for place, value in changes:
        data[place] = value
    sent(bytes(data))


@QUICK
@given(ANYTHING)
def test_an_answer_that_is_whole_comes_through(value):
    expected = json.loads(json.dumps({"args": [value]}))
    assert json.dumps(sent(h.frame({"args": [value]}))) == json.dumps(expected)


@QUICK
@given(st.lists(ENTRIES | ANYTHING, max_size=4) | ANYTHING)
@example([{"pm2_env": {"exit_code": True, "pm_uptime": 1e308, "status": "online"}, "pid": 2**63}])
@example([{"name": "\ud800"}])
def test_a_list_becomes_plain_processes(entries):
    try:
        found = pm2_list.processes(entries)
    except CannotRead:
        assert not isinstance(entries, list)
        return
    must_be_sendable(found)
    for process in found:
        assert isinstance(process["name"], str)
        assert process["pid"] >= 0 or process["status"] in ("online", "launching", "stopping")


@QUICK
@given(st.lists(ENTRIES, max_size=3), st.lists(EVENT_LINES, max_size=6))
def test_whatever_is_listed_and_logged_gets_findings(entries, lines):
    log = {"present": True, "since": None, "last_write": NOW, "events": read_log.parse_events("\n".join(lines), NOW)}
    asked = h.asked(now=NOW, pm2_list=h.listed(entries, now=NOW), pm2_log=log)
    findings = check_processes.judge(asked)
    assert findings
    for finding in findings:
        json.dumps(finding.as_dict())


@QUICK
@given(st.lists(EVENT_LINES, max_size=8), st.floats(0, 4e9))
@example(["0000-01-01T00:00:00: App [x:0] online"], 5.0)
def test_a_log_becomes_events(lines, modified):
    for event in read_log.parse_events("\n".join(lines), modified):
        assert event["event"]
        assert event["time"] is None or math.isfinite(event["time"])
        json.dumps(event)


@QUICK
@given(st.text(max_size=400), st.floats(0, 4e9))
def test_any_text_may_be_a_log(text, modified):
    read_log.parse_events(text, modified)


@QUICK
@given(
    st.lists(EVENT_LINES | st.just("Node.js v20.1.0") | st.just("TypeError: DB_PASS=planted-secret"), max_size=12),
    st.none() | st.floats(0, 4e9),
)
def test_a_reason_is_a_masked_line(lines, not_before):
    told = last_words.reason("\n".join(lines), not_before)
    assert h.PLANTED not in told
    assert "\n" not in told
    assert len(told) <= 400


@pytest.fixture
def dump(tmp_path):
    path = tmp_path / "dump.pm2"

    def read(data):
        path.write_bytes(data)
        return read_dump.read_dump(str(tmp_path))["dump"]

    return read


@WITH_FILES
@given(data=st.binary(max_size=300))
def test_any_bytes_may_be_a_dump(dump, data):
    found = dump(data)
    must_be_sendable(found)
    assert found["problem"] or isinstance(found["entries"], list)


@WITH_FILES
@given(saved=st.lists(ENVIRONMENTS | ANYTHING, max_size=4) | ANYTHING)
@example(saved=[{"name": "\ud800", "status": ["online"]}])
def test_a_dump_becomes_plain_entries(dump, saved):
    found = dump(json.dumps(saved).encode())
    must_be_sendable(found)
    if isinstance(saved, list):
        assert (found["problem"], len(found["entries"])) == ("", sum(isinstance(entry, dict) for entry in saved))
    else:
        assert found["problem"] == "is not a list of processes"
