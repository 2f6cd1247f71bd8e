# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kills by SIGKILL: whether the kernel did it for lack of memory."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.pm2 import area as _pm2_area
from ansible_collections.ops.remediation.plugins.module_utils._areas.pm2 import (
    check_processes,
)
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import CannotRead
from ansible_collections.ops.remediation.plugins.plugin_utils.texts import catalogue as faults_catalogue

from . import helpers as h
from .helpers import dated


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
