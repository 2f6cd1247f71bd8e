# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restart loops, kills and transitions, from pm2.log and from the restart counts of earlier runs."""

from __future__ import annotations

import json
import time

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.pm2 import (
    check_processes,
    list_memory,
)
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import CannotRead
from ansible_collections.ops.remediation.plugins.plugin_utils.texts import catalogue as faults_catalogue

from . import helpers as h
from .helpers import dated, ends


def loop(lines, now=2000.0, remembered=None, **env):
    last = max((_pm2_log_time(line) for line in lines), default=now)
    asked = h.asked(
        now=now,
        remembered=remembered,
        parameters={"processes": ["backend"]},
        pm2_list=h.listed([h.entry(started=env.pop("started", now - 1), **env)]),
        pm2_log=h.log("\n".join(lines), last),
    )
    return check_processes.judge(asked)[0]


def _pm2_log_time(line):
    from calendar import timegm

    return timegm(time.strptime(line[:19], "%Y-%m-%dT%H:%M:%S"))


def test_five_ends_in_ten_minutes_are_a_loop_and_four_are_not():
    assert loop(ends(1900, 5)).code == "pm2.restart_loop"
    assert loop(ends(1900, 4)).code == ""


def test_ends_before_the_window_do_not_count():
    assert loop(ends(1000, 3) + ends(1900, 2)).code == ""


def test_a_loop_that_ended_by_itself_holds_for_the_quiet_time_only():
    assert loop(ends(1600, 10, step=1), now=1800.0).code == "pm2.restart_loop"
    assert loop(ends(1600, 10, step=1), now=1910.0).code == ""


def test_an_operators_restart_clears_a_loop_at_once():
    stop = [dated(1990, "Stopping app:backend id:0"), dated(1990, "App [backend:0] exited with code [0] via signal [SIGINT]")]
    assert loop([*ends(1900, 9), *stop, dated(1991, "App [backend:0] starting in -fork mode-")]).code == ""


def test_a_start_without_an_end_before_it_is_an_operators_reload():
    assert loop([*ends(1900, 9), dated(1991, "App [backend:0] starting in -cluster mode-")]).code == ""


def test_a_new_daemon_forgets():
    assert loop([*ends(1900, 9), dated(1991, "--- New PM2 Daemon started ---")]).code == ""


def test_a_kill_is_reported_until_an_operator_restarts():
    killed = [
        dated(1900, "App [backend:0] exited with code [0] via signal [SIGKILL]"),
        dated(1900, "App [backend:0] starting in -fork mode-"),
    ]
    assert loop(killed).code == "pm2.killed"
    assert loop([*killed, dated(1950, "Stopping app:backend id:0")]).code == ""
    assert loop(killed, now=1900.0 + 90000).code == ""


def test_the_counter_since_the_last_run_shows_a_loop_without_pm2_log():
    env = {"restart_time": 12, "started": 1995.0}
    identity = f"0:{int(1995.0 * 1000)}"
    assert loop([], remembered={"at": 1900.0, "restarts": {identity: 2}}, **env).code == "pm2.restart_loop"
    assert loop([], remembered={"at": 1900.0, "restarts": {identity: 9}}, **env).code == ""
    assert loop([], remembered={"at": 1900.0, "restarts": {"0:5": 2}}, **env).code == "", "an operator's restart renews created_at"
    assert loop([], remembered={"garbage": True}, **env).code == ""


def test_a_night_of_restarts_that_is_over_is_not_a_loop():
    day = 86400.0
    env = {"restart_time": 20, "started": 2 * day - 6 * 3600}
    remembered = {"at": day, "restarts": {f"0:{int(env['started'] * 1000)}": 0}}
    assert loop([], now=2 * day, remembered=remembered, **env).code == ""
    assert loop([], now=2 * day - 6 * 3600 + 60, remembered=remembered, **env).code == "pm2.restart_loop"


def test_a_fork_process_over_its_limit_is_not_mistaken_for_an_operator():
    line = "[PM2][WORKER] Process 0 restarted because it exceeds --max-memory-restart value (current_memory=31457280 max_memory_limit=20971520 [octets])"
    lines = [
        dated(1900, line),
        dated(1900, "Stopping app:backend id:0"),
        dated(1900, "App [backend:0] exited with code [0] via signal [SIGINT]"),
        dated(1900, "App [backend:0] starting in -fork mode-"),
    ]
    found = loop(lines)
    assert (found.code, found.value, found.threshold, found.unit) == ("pm2.memory_restart", 30.0, 20.0, "MB")


def test_the_moment_between_an_end_and_the_next_start_is_not_stopped():
    lines = ends(1999, 1, start=False)
    assert loop(lines, now=2000.0, status="stopped").code == ""
    assert loop(lines, now=2010.0, status="stopped").code == "pm2.stopped"
    assert loop(lines, now=2000.0, status="stopped", autorestart=False).code == "pm2.stopped"


@pytest.mark.parametrize(
    ("status", "how"),
    [("waiting restart", "waiting"), ("launching", "launching"), ("stopping", "stopping"), ("one-launch-status", "other"), ("", "other")],
)
def test_only_what_is_online_is_ok(status, how):
    found = loop([], now=9000.0, started=1000.0, status=status, listen_timeout=10**9, kill_timeout=10**9)
    assert (found.code, found.evidence["how"]) == ("pm2.stopped", how)
    for parts in faults_catalogue.render({**found.as_dict(), "host": "tank-app"}).values():
        assert all(parts.values())


@pytest.mark.parametrize("status", ["waiting restart", "launching", "stopping"])
def test_a_transition_has_a_few_seconds(status):
    assert loop([], now=2000.0, started=1995.0, status=status).code == ""
    assert loop([], now=2000.0, started=1980.0, status=status).code == "pm2.stopped"
    assert loop([], now=2000.0, started=1e9, status=status).code == "pm2.stopped", "a start that lies ahead is not just now"


def test_waiting_after_several_ends_is_a_loop():
    assert loop(ends(1900, 3), now=1960.0, started=1920.0, status="waiting restart").code == "pm2.restart_loop"


@pytest.mark.parametrize("step", [180, 600, 1800])
def test_a_slow_loop_is_seen_on_a_first_run(step):
    day = 86400
    lines = ends(day, day // step, step=step)
    last = day + (day // step - 1) * step
    assert loop(lines, now=last + step / 2, started=last).code == "pm2.restart_loop"
    assert loop(lines, now=last + 2.5 * step, started=last).code == ""


def test_ends_without_a_rhythm_are_no_slow_loop():
    lines = [line for first in (10000, 10700, 14000, 14100, 20000, 21500) for line in ends(first, 1)]
    assert loop(lines, now=21600.0, started=21500.0).code == ""


def test_a_slow_loop_without_a_log_shows_against_an_older_count():
    kept = None
    found = []
    for run in range(60):
        now = 100000.0 + run * 600
        count = int((now - 100000.0) // 180)
        started = 100000.0 + count * 180
        entry = h.entry(restart_time=count, started=started)
        entry["pm2_env"]["created_at"] = 5000
        value = h.listed([entry], now=now)
        asked = h.asked(now=now, remembered=kept, parameters={"processes": ["backend"]}, pm2_list=value, pm2_log=CannotRead("none"))
        found.append(check_processes.judge(asked)[0].code)
        kept = json.loads(json.dumps(list_memory.remember_list(value, kept)))
    assert found[:2] == ["", ""]
    assert set(found[3:]) == {"pm2.restart_loop"}
    assert 6 * 3600 <= now - kept["baseline"]["at"] <= 12 * 3600 + 600 or now - kept["baseline"]["at"] >= 6 * 3600 - 600
