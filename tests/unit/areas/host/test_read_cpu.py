# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the CPU of cgroups, version 1 and 2."""

from __future__ import annotations

import os

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.host import (
    read_cpu,
    read_memory,
)
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import WrongQuestion


@pytest.mark.parametrize("group", ["../..", "no/such/group", "a\0b"])
def test_a_cgroup_that_is_none(group):
    with pytest.raises(WrongQuestion):
        read_cpu.read_cpu(group)


def test_cgroups_of_version_2(groups):
    groups(cgroup_of_controllers="cpu memory\n", tank__cpu_of_max="50000 100000\n", tank__cgroup_of_procs=f"{os.getpid()}\n")
    groups(tank__cpu_of_stat="usage_usec 2500000\nnr_periods 10\nnr_throttled 4\n", tank__memory_of_max="1048576\n")
    groups(tank__memory_of_current="524288\n", tank__memory_of_stat="inactive_file 4096\n", tank__memory_of_events="oom 1\noom_kill 2\n")
    cpu, memory = read_cpu.read_cpu("/tank"), read_memory.read_memory("tank/")
    assert (cpu["scope"], cpu["cores"], cpu["used"], cpu["throttled"]) == ("cgroup", 0.5, 2.5, 4)
    assert [process["pid"] for process in cpu["processes"]] == [os.getpid()]
    assert (memory["total"], memory["available"], memory["kills"]) == (1048576, 1048576 - 524288 + 4096, 2)


def test_the_quota_of_a_container_of_version_1(groups):
    groups(cpu__cpu_of_cfs_quota_us="150000\n", cpu__cpu_of_cfs_period_us="100000\n", cpuacct__cpuacct_of_usage="7000000000\n")
    cpu = read_cpu.read_cpu()
    assert (cpu["scope"], cpu["cores"], cpu["used"]) == ("cgroup", 1.5, 7.0)


def test_no_quota_is_the_machine(groups):
    groups(cpu__cpu_of_cfs_quota_us="-1\n", cpu__cpu_of_cfs_period_us="100000\n", cpuacct__cpuacct_of_usage="7000000000\n")
    groups(memory__memory_of_limit_in_bytes="9223372036854771712\n")
    assert (read_cpu.read_cpu()["scope"], read_memory.read_memory()["scope"]) == ("machine", "machine")
