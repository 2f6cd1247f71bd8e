# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is concluded about a machine, from made-up values of its sources."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.host import read_cpu, read_disks, read_memory
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import CannotRead, WrongQuestion
from ansible_collections.ops.remediation.plugins.module_utils._shared import series

from . import helpers as h

DAY = 86400.0
GB = 1 << 30


def codes(findings):
    return [finding.code for finding in findings]


# --- cpu


def kept_cpu(ago, used, **more):
    """What a run kept so many seconds ago, in which so many CPU seconds had been used."""
    return read_cpu.remember_cpu(h.cpu(at=h.NOW - ago, used=used, **more), None)


def test_an_idle_cpu_is_well():
    (found,) = h.ask("host.cpu", host_cpu=h.cpu(used=1100), kept=kept_cpu(3600, 1000))
    assert (found.status, found.value) == ("ok", 0.7)


def test_use_since_the_last_run_is_a_finding_and_names_who():
    before = kept_cpu(3600, 1000, processes=[h.process(cpu=500), h.process("python3 (x.py)", 8, 10)])
    now = h.cpu(used=1000 + 0.85 * 4 * 3600, processes=[h.process(cpu=500 + 3 * 3600), h.process("python3 (x.py)", 8, 10)])
    (found,) = h.ask("host.cpu", host_cpu=now, kept=before)
    assert (found.code, found.severity, found.value) == ("host.cpu_80", "P2", 85.0)
    assert found.evidence["processes"] == [{"name": "node (worker.js)", "pid": 7, "percent": 300}]
    assert found.evidence["minutes"] == 60


def test_a_spike_is_no_finding():
    spike = h.cpu(used=1000 + 4 * 30, load=[8.0, 1.2, 0.3], pressure={"some": {"10": 99.0, "60": 50.0, "300": 9.0}, "full": {}})
    assert codes(h.ask("host.cpu", host_cpu=spike, kept=kept_cpu(3600, 1000))) == [""]
    assert codes(h.ask("host.cpu", host_cpu=spike)) == [""]


def test_a_run_a_minute_ago_is_too_near_to_compare_with():
    near = kept_cpu(60, 1000)
    (found,) = h.ask("host.cpu", host_cpu=h.cpu(used=1000 + 4 * 60), kept=near)
    assert found.code == ""
    assert found.evidence["not_asked"]


def test_frequent_runs_keep_a_point_that_is_old_enough():
    kept = None
    for minute in range(60, -1, -1):
        now = h.cpu(at=h.NOW - minute * 60, used=1000 + (60 - minute) * 60 * 3.6)
        if not minute:
            (found,) = h.ask("host.cpu", host_cpu=now, kept=kept)
        kept = read_cpu.remember_cpu(now, kept)
    assert found.code == "host.cpu_80"
    assert found.value == 90.0
    assert 5 <= found.evidence["minutes"] <= 10
    assert len(kept["points"]) <= read_cpu.SPARE_POINTS


@pytest.mark.parametrize("former", [None, 7, [], {}, {"points": 3}, {"since": [h.BOOT, "machine"], "points": [{"at": "x"}, None, {}]}])
def test_a_damaged_memory_is_none(former):
    assert codes(h.ask("host.cpu", host_cpu=h.cpu(), kept=former)) == [""]
    assert read_cpu.remember_cpu(h.cpu(), former)["points"]


def test_a_reboot_makes_counters_begin_anew():
    before = kept_cpu(3600, 100000)
    (found,) = h.ask("host.cpu", host_cpu=h.cpu(used=10, boot=h.BOOT + 5), kept=before)
    assert "use" not in found.evidence


def test_saturation_needs_waiting_and_load():
    busy = h.cpu(load=[9.0, 9.0, 9.0], pressure=h.pressure(80))
    (found,) = h.ask("host.cpu", host_cpu=busy)
    assert (found.code, found.severity, found.value, found.evidence["how"]) == ("host.cpu_saturated", "P1", 80.0, "pressure")
    many_cores = h.cpu(load=[9.0, 9.0, 9.0], cores=64, pressure=h.pressure(80))
    assert codes(h.ask("host.cpu", host_cpu=many_cores)) == [""]


def test_without_pressure_information_the_load_must_do():
    (found,) = h.ask("host.cpu", host_cpu=h.cpu(load=[16.0, 16.0, 16.0], pressure=None, io_pressure=None))
    assert (found.code, found.evidence["how"]) == ("host.cpu_saturated", "load")
    assert any("pressure" in text for text in found.evidence["not_asked"])
    (found,) = h.ask("host.cpu", host_cpu=h.cpu(load=[3.5, 3.5, 3.5], pressure=None, io_pressure=None))
    assert (found.code, found.value) == ("host.cpu_80", 87.5)


def test_waiting_for_disks_is_no_matter_of_the_cpu():
    assert codes(h.ask("host.cpu", host_cpu=h.cpu(load=[20.0] * 3, io_pressure=h.pressure(50)))) == [""]
    assert codes(h.ask("host.cpu", host_cpu=h.cpu(load=[20.0] * 3, pressure=None, io_pressure=None, blocked=19))) == [""]


def group(**more):
    return h.cpu(scope="cgroup", group="tank", cores=0.5, able=None, load=None, pressure=None, **more) | {"able": None}


def test_a_quota_that_runs_out():
    before = read_cpu.remember_cpu(group(at=h.NOW - 600, used=0.0), None)
    (found,) = h.ask("host.cpu", host_cpu=group(used=299.0, periods=6000, throttled=5900), kept=before)
    assert (found.code, found.subject, found.evidence["how"], found.value) == ("host.cpu_saturated", "tank", "throttled", 98.3)
    (found,) = h.ask("host.cpu", host_cpu=group(used=270.0, periods=6000, throttled=100), kept=before)
    assert (found.code, found.value) == ("host.cpu_80", 90.0)


def test_a_cgroup_made_anew_begins_anew():
    before = read_cpu.remember_cpu(group(at=h.NOW - 600, used=500.0), None)
    (found,) = h.ask("host.cpu", host_cpu=group(used=1.0), kept=before)
    assert (found.code, "use" in found.evidence) == ("", False)


# --- memory


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


# --- disks


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


# --- logs


@pytest.mark.parametrize(
    ("file", "folder", "code"),
    [
        ({}, {}, ""),
        ({"exposed": True, "mode": "0644"}, {}, "host.log_readable"),
        ({"size": 600 << 20}, {}, "host.log_not_rotated"),
        ({"size": 600 << 20, "ruled": True}, {}, "host.log_not_rotated"),
        ({"oldest": h.NOW - 40 * DAY}, {}, "host.log_not_rotated"),
        ({"oldest": None, "modified": h.NOW - 40 * DAY}, {}, "host.log_not_rotated"),
        ({"oldest": h.NOW - 40 * DAY, "size": 0}, {}, ""),
        ({"oldest": h.NOW - 40 * DAY, "ruled": True}, {}, ""),
        ({"oldest": h.NOW - 40 * DAY}, {"pm2": True, "pm2_rotates": True}, ""),
        ({"oldest": h.NOW - 40 * DAY}, {"pm2": True}, "host.log_not_rotated"),
    ],
)
def test_a_log(file, folder, code):
    (found,) = h.ask("host.logs", host_log_files=h.log_folders(h.log_file(**file), **folder))
    assert (found.code, found.subject) == (code, "/opt/app/logs")


def test_a_log_with_fresh_rotated_parts_is_rotated_by_something():
    files = (h.log_file(oldest=h.NOW - 40 * DAY), h.log_file("app.log.1", base="app.log", modified=h.NOW - DAY, oldest=None))
    assert codes(h.ask("host.logs", host_log_files=h.log_folders(*files))) == [""]


def test_folders_that_cannot_be_looked_into():
    (denied,) = h.ask("host.logs", host_log_files=h.log_folders(problem="denied"))
    assert (denied.status, len(denied.evidence["not_asked"])) == ("ok", 1)
    assert h.ask("host.logs", host_log_files=h.log_folders(problem="No such file or directory"))[0].status == "unknown"
    (none,) = h.ask("host.logs", host_log_files={"at": h.NOW, "folders": [], "pm2_rotates": False, "not_asked": []})
    assert (none.status, len(none.evidence["not_asked"])) == ("ok", 1)


# --- clock


SERVER = {"server": "ntp.example.com", "offset": 0.01, "delay": 0.002, "stratum": 2}
SILENT = CannotRead("no answer")


def kernel(synchronised):
    return {"synchronised": synchronised, "max_error_ms": 10.0, "service": ""}


@pytest.mark.parametrize(
    ("synchronised", "server", "wanted", "status", "how"),
    [
        (True, None, True, "ok", ""),
        (True, SERVER, True, "ok", ""),
        (True, SILENT, True, "ok", ""),
        (False, None, True, "warning", "unsynchronised"),
        (False, SERVER, True, "warning", "unsynchronised"),
        (False, SERVER, False, "ok", ""),
        (False, {**SERVER, "offset": 3.0}, False, "warning", "offset"),
        (True, {**SERVER, "offset": -3.0}, True, "warning", "offset"),
        (False, None, False, "unknown", ""),
        (None, SILENT, True, "unknown", ""),
    ],
)
def test_the_clock(synchronised, server, wanted, status, how):
    (found,) = h.ask("host.clock", host_clock=kernel(synchronised), host_time_server=server, clock_synchronised=wanted)
    assert (found.status, found.evidence.get("how", "")) == (status, how)


def test_a_wrong_time_server_is_a_wrong_question():
    with pytest.raises(WrongQuestion):
        h.ask("host.clock", host_clock=kernel(True), host_time_server=WrongQuestion("ntp_server", "x:y", "is none", "give one"))


# --- outbound, ports


@pytest.mark.parametrize("state", ["open", "refused", "timeout", "name", "name_timeout", "unreachable", "denied"])
def test_a_target(state):
    answer = {"host": "db.example.com", "port": 1521, "state": state, "detail": "", "address": "", "duration_ms": 7}
    (found,) = h.ask("host.outbound", host_connections=[answer])
    assert (found.code, found.subject) == ("" if state == "open" else "host.outbound_blocked", "db.example.com:1521")


def test_no_target_is_said():
    (found,) = h.ask("host.outbound", host_connections=[])
    assert (found.status, len(found.evidence["not_asked"])) == ("ok", 1)


def listening(*ports):
    entries = [{"port": port, "addresses": ["192.0.2.1"], "user": "root", "process": "sshd", "pid": 9} for port in ports]
    return {"open": entries, "loopback": 3}


@pytest.mark.parametrize(
    ("ports", "expected", "among", "subjects"),
    [
        ([22, 80], ["22", "80-90"], [], [""]),
        ([22, 6379], ["22"], [], ["6379/tcp"]),
        ([22, 6379, 9229], ["22"], [], ["6379/tcp", "9229/tcp"]),
        ([22, 6379, 9229], ["22"], ["6000-7000"], ["6379/tcp"]),
        ([22], [], [], [""]),
    ],
)
def test_open_ports(ports, expected, among, subjects):
    findings = h.ask("host.ports", host_listeners=listening(*ports), expected_ports=expected, among_ports=among)
    assert [found.subject for found in findings] == subjects


@pytest.mark.parametrize("entry", ["", "0", "65536", "80-70", "http", "-1", "1-2-3"])
def test_a_port_that_is_none(entry):
    with pytest.raises(WrongQuestion, match=r"expected_ports\[0\]"):
        h.ask("host.ports", host_listeners=listening(), expected_ports=[entry])


def test_parameters_of_the_module_do_not_differ_between_checks():
    known = {}
    for check in h.CHECKS.values():
        for name, spec in check.argument_spec.items():
            assert known.setdefault(name, spec) == spec
