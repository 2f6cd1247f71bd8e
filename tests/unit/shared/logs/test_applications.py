# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors of one process over several runs: what is kept, forgotten and damaged."""

from __future__ import annotations

import json
import time

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._shared.logs import applications
from ansible_collections.ops.remediation.plugins.module_utils._shared.logs.limits import Limits

from . import helpers as h
from .helpers import ORACLE, append


def entries(now, **more):
    return [{"pid": 4711, "status": "online", "started_at": now - 3600, "created_at": (now - 3600) * 1000, "restarts": 1, **more}]


def process(log, memory, now, **more):
    remembered, kept = applications.usable(memory), {"version": 1, "files": {}, "clocks": {}, "groups": {}}
    limits = Limits(1 << 30, 1 << 30, time.monotonic() + 20)
    told = applications.read_process("worker", [str(log)], entries(now, **more), remembered, kept, limits, now, 86400.0)
    return told, json.loads(json.dumps(kept))


def now_line(message, at, **more):
    """Return a line of a process in Seoul."""
    return h.nest(message, date=time.strftime("%m/%d/%Y, %I:%M:%S %p", time.gmtime(at + 9 * 3600)), **more)


def test_what_is_known_is_kept_and_added_to(log):
    now = time.time()
    append(log, now_line("Oracle connection failed: NJS-503", now - 60))
    told, memory = process(log, None, now)
    assert told["groups"]["worker_oracle"]["count"] == 1
    told, memory = process(log, memory, now + 5)
    assert (told["groups"]["worker_oracle"]["count"], told["new"]) == (1, {})
    append(log, now_line("Oracle connection failed: NJS-503", now - 10))
    told, memory = process(log, memory, now + 10)
    assert (told["groups"]["worker_oracle"]["count"], told["new"]) == (2, {"worker_oracle": 1})


def test_a_restart_on_purpose_forgets(log):
    now = time.time()
    append(log, now_line("Oracle connection failed: NJS-503", now - 60, pid=1))
    _told, memory = process(log, None, now)
    told, memory = process(log, memory, now, created_at=(now - 30) * 1000, started_at=now - 30)
    assert told["groups"] == {}


def test_what_is_known_of_a_process_that_is_not_listed_now_is_kept(log):
    now = time.time()
    append(log, now_line("Oracle connection failed: NJS-503", now - 60))
    _told, memory = process(log, None, now)
    kept = applications.with_absent(applications.usable(None), memory, now)
    assert kept == memory
    _told, again = process(log, kept, now)
    assert again["groups"]["worker"]["worker_oracle"]["count"] == 1
    memory["files"][str(log)]["at"] = now - 31 * 86400
    assert applications.with_absent(applications.usable(None), memory, now)["files"] == {}


@pytest.mark.parametrize("memory", [None, 7, [], {"version": 1}, {"version": 0, "files": {}, "clocks": {}, "groups": {}}])
def test_a_memory_of_no_use_counts_as_none(memory):
    assert applications.usable(memory)["files"] == {}


@pytest.mark.parametrize(
    "damage",
    [
        {"files": {"PATH": {"inode": "x"}}},
        {"files": {"PATH": 7}},
        {"groups": {"worker": {"a": 7, "b": {"name": 1}, "c": {"strange": 1}}}},
        {"groups": {"worker": 7}},
        {"clocks": {"worker": {"order": 7, "offset": "x"}}},
        {"clocks": {"worker": 7}},
    ],
)
def test_a_damaged_memory_does_no_harm(log, damage):
    append(log, ORACLE)
    memory = {"version": 1, "files": {}, "clocks": {}, "groups": {}, **json.loads(json.dumps(damage).replace("PATH", str(log)))}
    told, _memory = process(log, memory, time.time())
    assert told["new"] == {"worker_oracle": 1}
