# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is concluded about PM2, from recorded answers of PM2 5, 6 and 7 and from made-up ones."""

from __future__ import annotations

import json
import time

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.catalogue import FAULTS
from ansible_collections.ops.remediation.plugins.module_utils._areas.pm2 import area as _pm2_area
from ansible_collections.ops.remediation.plugins.module_utils._areas.pm2 import (
    check_daemon,
    check_processes,
    check_saved,
    check_startup,
    check_user,
    list_memory,
)
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import CannotRead, WrongQuestion
from ansible_collections.ops.remediation.plugins.module_utils._shared import pm2_list
from ansible_collections.ops.remediation.plugins.module_utils._shared import pm2_list as _pm2_list
from ansible_collections.ops.remediation.plugins.plugin_utils.texts import catalogue as faults_catalogue

from . import helpers as h

SITUATIONS = {
    "backend": "",  # a cluster after a reload
    "worker": "",
    "errored": "pm2.errored",
    "slow_loop": "pm2.restart_loop",
    "backoff": "pm2.restart_loop",
    "exit3": "pm2.stopped",
    "by_operator": "pm2.stopped",
    "killed": "pm2.killed",
    "killed_once": "pm2.stopped",
    "stubborn": "",  # an operator's restart that needed SIGKILL
    "mended": "",  # looped until an operator restarted it
    "hog": "pm2.memory_restart",
    "never_started": "pm2.missing",
}


def situation(version):
    recorded = h.transcript(version)
    return h.asked(
        now=recorded["recorded"],
        parameters={"processes": list(SITUATIONS)},
        pm2_list=h.listed(recorded["list"], now=recorded["recorded"]),
        pm2_log=h.log(recorded["log"], recorded["log_modified"]),
    )


@pytest.mark.parametrize("version", h.VERSIONS)
def test_every_situation_is_told_from_the_others(version):
    findings = check_processes.judge(situation(version))
    assert h.codes(findings) == SITUATIONS
    by_name = {finding.subject: finding for finding in findings}
    assert by_name["exit3"].evidence["how"] == "ended"
    assert by_name["exit3"].evidence["exit_code"] == 3
    assert by_name["by_operator"].evidence["how"] == "operator"
    assert by_name["killed_once"].evidence["how"] == "killed"
    assert by_name["errored"].evidence["restarts"] == 16
    assert by_name["slow_loop"].value >= by_name["slow_loop"].threshold
    assert by_name["hog"].threshold == 20.0
    assert by_name["hog"].value > 20
    assert by_name["backend"].evidence["instances"] == 2


@pytest.mark.parametrize("version", h.VERSIONS)
def test_no_secret_in_any_value_or_finding(version):
    recorded = h.transcript(version)
    assert h.PLANTED in json.dumps(recorded["list"])
    asked = situation(version)
    values = [asked.read("pm2.list"), [finding.as_dict() for finding in check_processes.judge(asked)]]
    values.append(list_memory.remember_list(asked.read("pm2.list")))
    assert h.PLANTED not in json.dumps(values)


@pytest.mark.parametrize("version", h.VERSIONS)
def test_every_finding_has_texts_that_read_well(version):
    for finding in check_processes.judge(situation(version)):
        if finding.code:
            for parts in faults_catalogue.render({**finding.as_dict(), "host": "tank-app"}).values():
                assert all(part and "Undefined" not in part and "None" not in part for part in parts.values()), parts


@pytest.mark.parametrize("code", [code for code in FAULTS if code.startswith("pm2.")])
def test_texts_survive_missing_evidence(code):
    bare = {"code": code, "subject": "worker", "host": "tank-app", "evidence": {}, "value": 7, "threshold": 5, "unit": "x"}
    for language, parts in faults_catalogue.render(bare).items():
        assert all(parts.values()), (language, parts)
        assert "None" not in str(parts)


# --- the daemon


@pytest.mark.parametrize(("state", "code"), [("stopped", "pm2.daemon_down"), ("killed", "pm2.daemon_down"), ("hung", "pm2.daemon_hung")])
def test_a_daemon_that_is_away_blocks_the_others(state, code):
    sources = {"pm2_list": h.listed(state=state), "pm2_log": h.log("", 1900.0), "pm2_dump": dump()}
    asked = h.asked(**sources, pm2_startup=CannotRead("no"))
    found = check_daemon.judge(asked)[0]
    assert (found.code, found.severity, found.status) == (code, "P0", "critical")
    for check in (check_processes.judge, check_saved.judge, check_user.judge):
        (blocked,) = check(asked)
        assert (blocked.status, blocked.code, blocked.evidence["blocked_by"]) == ("unknown", "run.check_unknown", code)


def test_what_a_resurrect_would_bring_back_is_said():
    asked = h.asked(pm2_list=h.listed(state="killed"), pm2_log=h.log("", 1900.0), pm2_dump=dump(saved("worker"), saved("backend")))
    (found,) = check_daemon.judge(asked)
    assert found.evidence["saved"] == ["backend", "worker"]
    assert found.evidence["since"] == "1970-01-01T00:31:40Z"
    assert found.evidence["dump_problem"] == ""


def test_a_daemon_of_another_user_is_unknown_not_down():
    asked = h.asked(pm2_list=h.listed(state="denied"))
    assert {check(asked)[0].status for check in (check_daemon.judge, check_processes.judge, check_user.judge)} == {"unknown"}


def test_an_unreadable_pm2_log_does_not_hide_the_list():
    asked = h.asked(pm2_list=h.listed([h.entry(status="errored")]), pm2_log=CannotRead("gone"), parameters={"processes": ["backend"]})
    (found,) = check_processes.judge(asked)
    assert found.code == "pm2.errored"
    assert found.evidence["not_asked"] == ["pm2.log: it is absent or cannot be read"]


# --- restart loops


def dated(second, text):
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(second))}: PM2 log: {text}"


def ends(first, count, step=10.0, name="backend", pm_id=0, start=True):
    lines = []
    for number in range(count):
        lines.append(dated(first + number * step, f"App [{name}:{pm_id}] exited with code [1] via signal [SIGINT]"))
        if start:
            lines.append(dated(first + number * step, f"App [{name}:{pm_id}] starting in -fork mode-"))
    return lines


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


@pytest.mark.parametrize("zone", [-9 * 3600, 0, 5.5 * 3600, 9 * 3600])
def test_the_zone_of_pm2_log_is_found_out(zone):
    lines = "\n".join(ends(1900 + zone + 86400, 6))
    events = h.log(lines, 1950.0 + 86400)["events"]
    assert events[0]["time"] == 1900.0 + 86400


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


# --- wanted processes


def test_fewer_instances_than_wanted_are_missing():
    asked = h.asked(parameters={"processes": [{"name": "backend", "instances": 2}]}, pm2_list=h.listed([h.entry()]), pm2_log=h.log("", 1.0))
    (found,) = check_processes.judge(asked)
    assert (found.code, found.value, found.threshold) == ("pm2.missing", 1, 2)


def test_one_ill_instance_of_several_is_found():
    entries = [h.entry(pm_id=0), h.entry(pm_id=1, status="errored"), h.entry(pm_id=2, status="stopped")]
    asked = h.asked(parameters={"processes": ["backend"]}, pm2_list=h.listed(entries), pm2_log=h.log("", 1.0))
    assert h.codes(check_processes.judge(asked)) == {"backend": "pm2.errored"}


@pytest.mark.parametrize(
    "given",
    [[{"nam": "x"}], [{"name": "x", "instances": 0}], [{"name": "x", "exec_mode": "forc"}], [3], ["a", "a"], [{"name": "x", "port": 1}]],
)
def test_a_wrong_list_of_processes_is_refused(given):
    with pytest.raises(WrongQuestion, match="processes"):
        _pm2_list.wanted({"processes": given})


# --- saved


def saved(name="backend", status="online", exec_mode="fork_mode", script=None):
    return {
        "name": name,
        "script": script or f"/opt/app/{name}.js",
        "exec_mode": pm2_list.exec_mode_of(exec_mode),
        "status": status,
        "module": False,
    }


def dump(*entries, **more):
    file = {
        "path": f"{h.HOME}/dump.pm2",
        "present": True,
        "problem": "",
        "mode": "0600",
        "owner": "tank",
        "exposed": False,
        "saved_at": 1500.0,
    }
    backup = {**file, "path": f"{h.HOME}/dump.pm2.bak", "present": False, "entries": []}
    return {"dump": {**file, "entries": list(entries), **more}, "backup": backup}


def compare(entries, kept, **more):
    parameters = {"processes": more.pop("processes", ["backend"])}
    return check_saved.judge(h.asked(parameters=parameters, pm2_list=h.listed(entries), pm2_dump=dump(*kept, **more)))


def test_what_runs_is_saved():
    assert h.codes(compare([h.entry(), h.entry(pm_id=1)], [saved(), saved()])) == {"": ""}


@pytest.mark.parametrize("status", ["stopped", "errored", "waiting restart"])
def test_a_process_that_is_merely_ill_is_no_difference(status):
    assert h.codes(compare([h.entry(status=status)], [saved()])) == {"": ""}


@pytest.mark.parametrize(
    ("entries", "kept", "field"),
    [
        ([h.entry()], [saved(), saved()], "instances"),
        ([h.entry()], [saved(script="/opt/old/backend.js")], "script"),
        ([h.entry()], [saved(exec_mode="cluster_mode")], "mode"),
        ([h.entry()], [saved(status="stopped")], "stopped"),
        ([], [saved()], "not_running"),
    ],
)
def test_what_differs_is_named(entries, kept, field):
    (found,) = compare(entries, kept)
    assert (found.code, found.subject) == ("pm2.dump_differs", "backend")
    assert [difference["field"] for difference in found.evidence["differences"]] == [field]


def test_saving_is_no_remedy_for_a_process_that_should_run_and_does_not():
    assert compare([], [saved()])[0].remedies == ()
    assert compare([], [saved("old"), saved()], processes=["backend"])[1].remedies == ("pm2.save",)


def test_stopped_now_and_saved_stopped_waits_for_the_start():
    assert h.codes(compare([h.entry(status="stopped")], [saved(status="stopped")])) == {"": ""}


@pytest.mark.parametrize(("more", "problem"), [({"present": False}, "absent"), ({"problem": "is not JSON"}, "unusable"), ({}, "empty")])
def test_no_usable_dump_is_one_finding(more, problem):
    (found,) = compare([h.entry()], [], **more)
    assert (found.code, found.subject, found.evidence["problem"]) == ("pm2.not_saved", "", problem)


def test_a_process_that_is_not_in_the_dump_is_named():
    found = compare([h.entry(), h.entry("worker", 1)], [saved()])
    assert h.codes(found) == {"worker": "pm2.not_saved"}


def test_modules_of_pm2_are_no_applications():
    assert h.codes(compare([h.entry(), h.entry("pm2-logrotate", 1, pmx_module=True)], [saved()])) == {"": ""}


def test_an_exposed_dump_is_found_while_the_daemon_is_down():
    asked = h.asked(pm2_list=h.listed(state="killed"), pm2_dump=dump(saved(), exposed=True, mode="0644"))
    assert [finding.code for finding in check_saved.judge(asked)] == ["pm2.dump_readable", "run.check_unknown"]


def test_a_mode_that_is_not_the_wanted_one_is_left_to_a_person():
    (found,) = compare([h.entry()], [saved()], processes=[{"name": "backend", "exec_mode": "cluster"}])
    assert (found.code, found.remedies) == ("pm2.dump_differs", ())


# --- startup, user


def unit(**more):
    value = {"expected": "pm2-tank.service", "unit_dir": "/etc/systemd/system", "unit_dir_present": True, "wanted_user": "tank"}
    value.update(wanted_home=h.HOME, present=True, path="/etc/systemd/system/pm2-tank.service", enabled=True, masked=False, user="tank")
    value.update(
        pm2_home=h.HOME,
        home_matches=True,
        path_dirs=["/usr/bin"],
        command="/usr/bin/pm2",
        command_exists=True,
        resurrects=True,
        node_found=True,
    )
    return {**value, **more}


@pytest.mark.parametrize(
    ("more", "code", "why"),
    [
        ({}, "", None),
        ({"unit_dir_present": False}, "pm2.startup_missing", "no_systemd"),
        ({"present": False}, "pm2.startup_missing", "absent"),
        ({"enabled": False}, "pm2.startup_missing", "not_enabled"),
        ({"masked": True}, "pm2.startup_missing", "masked"),
        ({"user": "root"}, "pm2.startup_wrong", ["user"]),
        ({"pm2_home": "/root/.pm2", "home_matches": False, "node_found": False}, "pm2.startup_wrong", ["home", "path"]),
        ({"command_exists": False, "resurrects": False}, "pm2.startup_wrong", ["command", "resurrect"]),
    ],
)
def test_the_boot_unit(more, code, why):
    (found,) = check_startup.judge(h.asked(pm2_startup=unit(**more)))
    assert found.code == code
    assert found.evidence.get("reason", found.evidence.get("problems")) == why
    assert code == "" or "None" not in str(faults_catalogue.render({**found.as_dict(), "host": "tank-app"}))


def owned(uid, daemon=1000, **env):
    value = h.listed([h.entry("worker", **env)], daemon={"pid": 4, "uid": daemon, "frozen": False})
    value["processes"][0]["uid"] = uid
    return check_user.judge(h.asked(parameters={"processes": ["worker"]}, pm2_list=value))[0]


def test_a_worker_of_root_is_found_and_one_of_a_user_is_not():
    assert owned(0).code == "pm2.runs_as_root"
    assert owned(1000, daemon=0).code == ""


def test_a_worker_that_does_not_run_is_judged_by_whom_it_would_run_as():
    assert owned(None, daemon=0).code == "pm2.runs_as_root"
    assert owned(None, daemon=1000).code == ""


def test_a_missing_process_has_no_user():
    (found,) = check_user.judge(h.asked(parameters={"processes": ["gone"]}, pm2_list=h.listed()))
    assert (found.status, found.evidence["blocked_by"]) == ("unknown", "pm2.missing")


def test_the_moment_between_an_end_and_the_next_start_is_not_stopped():
    lines = ends(1999, 1, start=False)
    assert loop(lines, now=2000.0, status="stopped").code == ""
    assert loop(lines, now=2010.0, status="stopped").code == "pm2.stopped"
    assert loop(lines, now=2000.0, status="stopped", autorestart=False).code == "pm2.stopped"


# --- nothing but online is ok


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


# --- slow loops


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


# --- lack of memory


@pytest.mark.parametrize(
    ("remembered", "oom_kills", "said"),
    [
        (None, 3, "perhaps the kernel for lack of memory (since boot it has done so 3 times), perhaps a person"),
        (None, 0, "nothing for lack of memory since boot, so a person"),
        (
            {"oom": {"count": 3, "at": 1800.0, "since": 1000.0, "rises": []}},
            4,
            "the kernel ended 1 process for lack of memory about that time",
        ),
        ({"oom": {"count": 3, "at": 1800.0, "since": 1000.0, "rises": []}}, 3, "ended nothing for lack of memory about that time"),
        ({"oom": {"count": 4, "at": 1950.0, "since": 1000.0, "rises": [[1800.0, 1950.0, 1]]}}, 4, "ended 1 process for lack of memory"),
        ({"oom": {"count": 9, "at": 1950.0, "since": 1000.0, "rises": []}}, 4, "perhaps the kernel"),
        ({"oom": {"count": 4, "at": 1950.0, "since": 1940.0, "rises": []}}, 4, "perhaps the kernel"),
    ],
)
def test_the_kernel_is_named_only_for_its_own(remembered, oom_kills, said):
    lines = [
        dated(1900, "App [backend:0] exited with code [0] via signal [SIGKILL]"),
        dated(1900, "App [backend:0] starting in -fork mode-"),
    ]
    value = h.listed([h.entry(started=1900.0)], now=2000.0, oom_kills=oom_kills)
    asked = h.asked(remembered=remembered, parameters={"processes": ["backend"]}, pm2_list=value, pm2_log=h.log("\n".join(lines), 1900.0))
    (found,) = check_processes.judge(asked)
    assert found.code == "pm2.killed"
    assert said in faults_catalogue.render({**found.as_dict(), "host": "x"})["en"]["cause"]


@pytest.mark.parametrize(
    ("kernel", "said", "asked_of_it"),
    [
        (
            [{"at": 1903.0, "name": "node", "pid": 77}, {"at": 1500.0, "name": "java", "pid": 5}],
            "node (process 77) for lack of memory at 1970",
            True,
        ),
        ([{"at": 1895.0, "name": "old", "pid": 5}, {"at": 1901.0, "name": "node", "pid": 77}], "ended node (process 77)", True),
        ([{"at": 1500.0, "name": "java", "pid": 5}], "perhaps the kernel", True),
        ([{"at": None, "name": "java", "pid": 5}], "perhaps the kernel", True),
        ([], "perhaps the kernel", True),
        (None, "perhaps the kernel", False),
        (CannotRead("no"), "perhaps the kernel", False),
    ],
)
def test_the_kernels_log_names_what_it_killed(kernel, said, asked_of_it):
    lines = [
        dated(1900, "App [backend:0] exited with code [0] via signal [SIGKILL]"),
        dated(1900, "App [backend:0] starting in -fork mode-"),
    ]
    value = h.listed([h.entry(started=1900.0)], now=2000.0, oom_kills=3)
    told = kernel if isinstance(kernel, Exception) else {"killed": kernel, "killed_in": "/dev/kmsg"}
    asked = h.asked(parameters={"processes": ["backend"]}, pm2_list=value, pm2_log=h.log("\n".join(lines), 1900.0), host_kills=told)
    (found,) = check_processes.judge(asked)
    assert found.code == "pm2.killed"
    texts = faults_catalogue.render({**found.as_dict(), "host": "x"})
    assert said in texts["en"]["cause"]
    assert ("process 77" in said) == ("PID 77" in texts["ko"]["cause"])
    assert ("not_asked" not in found.evidence) == asked_of_it


def test_the_kernels_log_is_read_beside_pm2():
    (check,) = [one for one in _pm2_area.CHECKS if one.id == "pm2.processes"]
    (source,) = [one for one in check.sources if one.name == "host.kills"]
    assert source.owner is None  # read as root where the run is root's
    assert set(source.read()) == {"killed", "killed_in"}


# --- root's daemon in another user's PM2_HOME


def test_under_an_intruder_the_intruder_is_the_finding():
    value = h.listed([h.entry("worker")], daemon={"pid": 4, "uid": 0, "frozen": False})
    value["processes"][0]["uid"] = 0
    asked = h.asked(parameters={"processes": ["backend", "worker"]}, pm2_list=value, pm2_log=h.log("", 1.0), pm2_dump=dump())
    assert h.codes(check_user.judge(asked)) == {"backend": "pm2.runs_as_root", "worker": "pm2.runs_as_root"}
    ill = [finding for finding in (*check_processes.judge(asked), *check_saved.judge(asked)) if finding.status != "ok"]
    assert len(ill) == 2
    assert {(finding.code, finding.evidence["blocked_by"]) for finding in ill} == {("run.check_unknown", "pm2.runs_as_root")}


# --- bounds and words


def test_thousands_of_unsaved_processes_are_a_few_findings():
    found = compare([h.entry(f"p{number}", number) for number in range(6000)], [saved(), saved("old")])
    assert len(found) == 2 + check_saved.MOST_SUBJECTS + 1
    rest = [finding for finding in found if finding.evidence.get("more")]
    assert [finding.evidence["more"] for finding in rest] == [6000 - check_saved.MOST_SUBJECTS]
    assert "5980 more" in faults_catalogue.render({**rest[0].as_dict(), "host": "x"})["en"]["title"]


@pytest.mark.parametrize("kind", ["link", "other"])
def test_a_dump_that_is_no_file_is_not_to_be_saved_over(kind):
    detail = {"link": "is a symbolic link", "other": "is not a regular file"}[kind]
    (found,) = compare([h.entry()], [], problem=detail, kind=kind, mode="", exposed=False)
    assert (found.code, found.remedies, found.evidence["kind"]) == ("pm2.not_saved", (), kind)
    texts = faults_catalogue.render({**found.as_dict(), "host": "x"})["en"]
    assert detail in texts["title"]
    assert "chmod" not in str(texts)
    assert "chown" not in str(texts)


def test_a_socket_that_everybody_may_write_to():
    socket = {"path": f"{h.HOME}/rpc.sock", "mode": "0777", "owner": "tank", "open": True}
    asked = h.asked(parameters={"processes": ["backend"]}, pm2_list=h.listed([h.entry()], socket=socket), pm2_dump=dump(saved()))
    (found,) = [finding for finding in check_saved.judge(asked) if finding.code]
    assert (found.code, found.subject, found.evidence["kind"], found.remedies) == ("pm2.dump_readable", socket["path"], "socket", ())
    texts = faults_catalogue.render({**found.as_dict(), "host": "x"})["en"]
    assert "command PM2 through" in texts["title"]
    assert f"chmod 700 {socket['path']}" in texts["next"]


def test_missing_instances_are_scaled_not_started():
    asked = h.asked(parameters={"processes": [{"name": "backend", "instances": 2}]}, pm2_list=h.listed([h.entry()]), pm2_log=h.log("", 1.0))
    (found,) = check_processes.judge(asked)
    texts = faults_catalogue.render({**found.as_dict(), "host": "x"})["en"]
    assert found.remedies == ()
    assert "pm2 scale backend 2" in texts["next"]
    assert "It was deleted" not in texts["cause"]


def test_the_wrong_mode_alone_has_texts_of_its_own():
    (found,) = compare([h.entry()], [saved()], processes=[{"name": "backend", "exec_mode": "cluster"}])
    texts = faults_catalogue.render({**found.as_dict(), "host": "x"})["en"]
    assert texts["title"] == "backend runs in fork mode, cluster is wanted"
    assert "does not fit" not in texts["cause"]
    assert "what runs now is right" not in texts["next"]


def test_names_and_folders_are_quoted_in_commands():
    value = h.listed([h.entry("a b; rm", status="stopped", started=1000.0)])
    asked = h.asked(parameters={"processes": ["a b; rm"], "pm2_home": "/srv/my tank/.pm2"}, pm2_list=value, pm2_log=h.log("", 1.0))
    (found,) = check_processes.judge(asked)
    texts = faults_catalogue.render({**found.as_dict(), "host": "x"})["en"]
    assert texts["next"] == "sudo -u tank env -C / PM2_HOME='/srv/my tank/.pm2' pm2 restart 'a b; rm'"


@pytest.mark.parametrize("wrong", [{"restarts": 0}, {"window": 0}, {"quiet": -1}, {"look_back": 0}, {"processes": []}])
def test_numbers_that_cannot_be_meant_are_refused(wrong):
    asked = h.asked(parameters=wrong, pm2_list=h.listed([h.entry()]), pm2_log=h.log("", 1.0))
    with pytest.raises(WrongQuestion, match=next(iter(wrong))):
        check_processes.judge(asked)
