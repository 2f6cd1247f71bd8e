# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""host.memory: too little memory, and kills."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.host import read_memory

from . import helpers as h
from .helpers import DAY, codes


@pytest.mark.parametrize(
    ("state", "how"),
    [
        ({"available": 1 << 28}, "available"),
        ({"pressure": h.pressure(30, full=15)}, "waiting"),
        ({"swap_total": 2 << 30, "swap_free": 1 << 20, "paged": 10_000_000}, "swapping"),
        ({"swap_total": 2 << 30, "swap_free": 1 << 20}, ""),
        ({}, ""),
        ({"pressure": None}, ""),
    ],
)
def test_too_little_memory(state, how):
    kept = read_memory.remember_memory(h.memory(at=h.NOW - 600), None)
    (found,) = h.ask("host.memory", host_memory=h.memory(**state), kept=kept)
    assert (found.code, found.evidence.get("how", "")) == ("host.memory_low" if how else "", how)


KILL = {"at": h.NOW - 100, "pid": 77, "name": "node", "group": ""}


def test_a_kill_since_the_last_run_is_named():
    kept = read_memory.remember_memory(h.memory(at=h.NOW - 3600, kills=3), None)
    (found,) = h.ask("host.memory", host_memory=h.memory(kills=4, killed=[{**KILL, "at": h.NOW - 9 * DAY}, KILL]), kept=kept)
    assert (found.code, found.severity, found.value) == ("host.oom_killed", "P1", 1)
    assert found.evidence["killed"] == [{"name": "node", "pid": 77, "at": "2027-01-15T07:58:20Z"}]


def test_a_kill_is_reported_for_a_day_however_often_it_is_asked():
    kept = read_memory.remember_memory(h.memory(at=h.NOW - 2000, kills=3), None)
    for later in (0, 600, 7200, 80000):
        now = h.memory(at=h.NOW + later, kills=4)
        assert codes(h.ask("host.memory", host_memory=now, kept=kept)) == ["host.oom_killed"]
        kept = read_memory.remember_memory(now, kept)
    assert codes(h.ask("host.memory", host_memory=h.memory(at=h.NOW + 2 * DAY, kills=4), kept=kept)) == [""]


def test_a_first_run_believes_the_log_and_not_a_counter_of_weeks():
    assert codes(h.ask("host.memory", host_memory=h.memory(kills=3))) == [""]
    assert codes(h.ask("host.memory", host_memory=h.memory(kills=3, killed=[KILL]))) == ["host.oom_killed"]
    (found,) = h.ask("host.memory", host_memory=h.memory(kills=3, killed=None))
    assert (found.code, len(found.evidence["not_asked"])) == ("", 2)
    assert codes(h.ask("host.memory", host_memory=h.memory(kills=3, killed=None, boot=int(h.NOW) - 3600))) == ["host.oom_killed"]


@pytest.mark.parametrize("where", [{}, {"scope": "cgroup", "group": "tank"}])
def test_a_kill_that_the_first_run_reported_is_reported_for_a_day(where):
    kept = None
    for later in (0, 600, 80000):
        now = h.memory(at=h.NOW + later, kills=3, killed=[KILL], **where)
        (found,) = h.ask("host.memory", host_memory=now, kept=kept, now=now["at"])
        assert (found.code, found.value, [kill["pid"] for kill in found.evidence["killed"]]) == ("host.oom_killed", 1, [77])
        kept = read_memory.remember_memory(now, kept)
    now = h.memory(at=h.NOW + 2 * DAY, kills=3, killed=[KILL], **where)
    assert codes(h.ask("host.memory", host_memory=now, kept=kept)) == [""]


@pytest.mark.parametrize(
    "more",
    [
        {"scope": "cgroup", "group": ""},  # the log is that of the whole machine
        {"scope": "cgroup", "group": "tank", "kills": 0},  # the cgroup was made anew
        {"killed": [{**KILL, "at": None}]},  # nobody knows when
    ],
)
def test_a_log_proves_nothing_about_other_counters(more):
    kept = read_memory.remember_memory(h.memory(**{"at": h.NOW - 3600, "kills": 3, **more}), None)
    assert codes(h.ask("host.memory", host_memory=h.memory(**{"kills": 3, "killed": [KILL], **more}), kept=kept)) == [""]


def test_a_kernel_that_does_not_count_has_its_log():
    assert codes(h.ask("host.memory", host_memory=h.memory(kills=None, killed=[KILL]))) == ["host.oom_killed"]
    assert codes(h.ask("host.memory", host_memory=h.memory(kills=None, killed=None))) == [""]


def test_both_can_be():
    assert codes(h.ask("host.memory", host_memory=h.memory(available=0, kills=None, killed=[KILL]))) == [
        "host.oom_killed",
        "host.memory_low",
    ]
