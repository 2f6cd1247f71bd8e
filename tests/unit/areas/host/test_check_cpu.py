# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""host.cpu: use since an earlier run, pressure, load, quotas."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.host import read_cpu

from . import helpers as h
from .helpers import codes


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
