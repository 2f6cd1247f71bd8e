# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read how much CPU was used since boot, and by whom: of the machine, or of one cgroup.

Counters are returned as they are, without waiting for a second reading; the check compares them with those that an earlier run kept. What
the kernel does not offer is None. Times are epoch seconds, CPU time is seconds.
"""

from __future__ import annotations

import os
import re
import time
from typing import Any, TypedDict

from ..._core.errors import CannotRead
from ..._core.source import Source
from ..._shared import series
from ..._shared.proc import PROC, label
from ..._shared.text_files import text_of, whole
from .cgroups import checked_group, group_file, group_processes
from .counters import Pressure, parse_counters, parse_pressure, parse_stat, pressure
from .processes import ProcessStat, read_processes

KEPT = 150  # processes whose CPU time is returned
SPARE_POINTS = 4  # points of earlier runs that are kept


class CpuProcess(TypedDict):
    """A process with its CPU time (seconds); start: seconds since boot."""

    pid: int
    start: float
    name: str
    cpu: float
    state: str


class CpuFacts(TypedDict):
    """The CPU of the machine, or of a cgroup."""

    at: float
    boot: int
    scope: str  # machine, or cgroup: one was named, or this is a container with a quota
    group: str  # the cgroup that was named
    cores: float  # that may be used: a quota counts
    used: float | None  # CPU seconds since boot, or since the cgroup was made
    able: float | None  # CPU seconds that were available; None for a cgroup, whose capacity is time times cores
    stolen: float  # CPU seconds that a hypervisor gave to other machines
    periods: int  # of the quota
    throttled: int  # periods in which the quota ran out
    load: list[float] | None  # averages of 1, 5 and 15 minutes
    pressure: Pressure | None
    io_pressure: Pressure | None
    blocked: int  # processes that wait for a disk
    window: int  # seconds
    processes: list[CpuProcess]  # those with most CPU time


class _Group(TypedDict):
    quota: float | None  # cores, None for no limit
    used: float | None  # CPU seconds
    periods: int
    throttled: int
    pressure: Pressure | None


def parse_load(text: str | None) -> list[float] | None:
    """Return the load averages of 1, 5 and 15 minutes."""
    found = re.match(r"(\d{1,9}\.\d{1,9}) (\d{1,9}\.\d{1,9}) (\d{1,9}\.\d{1,9})(?: |$)", text or "")
    return [float(number) for number in found.groups()] if found else None


def _cpu_group(group: str) -> _Group:
    counters = parse_counters(text_of(group_file("cpu", group, "cpu.stat")))
    words = (text_of(group_file("cpu", group, "cpu.max")) or "").split()
    if len(words) != 2:
        words = [text_of(group_file("cpu", group, f"cpu.cfs_{name}_us")) or "" for name in ("quota", "period")]
    quota, period = whole(words[0], -1), whole(words[1], 0)
    used = text_of(group_file("cpuacct", group, "cpuacct.usage"))
    seconds = whole(used) / 1e9 if used is not None else counters["usage_usec"] / 1e6 if "usage_usec" in counters else None
    return {
        "quota": quota / period if quota > 0 and period > 0 else None,
        "used": seconds,
        "periods": counters.get("nr_periods", 0),
        "throttled": counters.get("nr_throttled", 0),
        "pressure": parse_pressure(text_of(group_file("cpu", group, "cpu.pressure"))),
    }


def read_cpu(cgroup: str | None = None, cpu_window: int | None = None) -> CpuFacts:
    """Return how much CPU was used, by whom, and the pressure and load of now.

    Raises WrongQuestion for a cgroup that does not exist, CannotRead without /proc/stat.
    """
    group = checked_group(cgroup, "cpu")
    stat = parse_stat(text_of(os.path.join(PROC, "stat"), 4 << 20))
    if stat is None:
        raise CannotRead("/proc/stat cannot be read, so nothing is known about the CPU")
    limits = _cpu_group(group)
    scope = "cgroup" if group or (limits["quota"] is not None and limits["used"] is not None) else "machine"
    tick = os.sysconf("SC_CLK_TCK")
    everyone = read_processes(group_processes("cpu", group) if group else None)
    answer: CpuFacts = {
        "at": time.time(),
        "boot": stat["boot"],
        "scope": scope,
        "group": group,
        "cores": limits["quota"] if scope == "cgroup" and limits["quota"] else stat["cores"],
        "used": limits["used"] if scope == "cgroup" else stat["busy"] / tick,
        "able": None if scope == "cgroup" else stat["total"] / tick,
        "stolen": stat["stolen"] / tick,
        "periods": limits["periods"] if scope == "cgroup" else 0,
        "throttled": limits["throttled"] if scope == "cgroup" else 0,
        "load": None if scope == "cgroup" else parse_load(text_of(os.path.join(PROC, "loadavg"))),
        "pressure": limits["pressure"] if scope == "cgroup" else pressure("cpu"),
        "io_pressure": pressure("io"),
        "blocked": sum(process["state"] == "D" for process in everyone),
        "window": cpu_window or 300,
        "processes": [_cpu_of(process, tick) for process in sorted(everyone, key=lambda one: one["ticks"], reverse=True)[:KEPT]],
    }
    for process in answer["processes"][:40]:
        process["name"] = label(process["pid"], process["name"])
    return answer


def _cpu_of(process: ProcessStat, tick: int) -> CpuProcess:
    return {
        "pid": process["pid"],
        "start": process["start"] / tick,
        "name": process["name"],
        "cpu": process["ticks"] / tick,
        "state": process["state"],
    }


def earlier_points(former: Any, now: CpuFacts) -> list[dict[str, Any]]:
    """Return the points of earlier runs that are usable: whole, of this boot and scope, and not of the future."""
    kept = series.mapping(former).get("points")
    if series.mapping(former).get("since") != _identity(now) or not isinstance(kept, list) or now["used"] is None:
        return []
    numbers = ("at", "used", "able", "periods", "throttled")
    points = [point for point in kept if isinstance(point, dict) and all(series.is_number(point.get(name)) for name in numbers)]
    # Counters that are lower now belong to a cgroup that was made again.
    return [point for point in points if point["at"] < now["at"] and point["used"] <= now["used"] and point["periods"] <= now["periods"]]


def _identity(now: CpuFacts) -> list[Any]:
    return [now["boot"], now["scope"]]


def remember_cpu(now: CpuFacts, former: Any) -> dict[str, Any]:
    """Return the points that the next run compares with, at least half a window apart; the present one is the last.

    A point: ``at used periods throttled able ticks`` (CPU time by process).
    """
    points = earlier_points(former, now)
    if now["used"] is not None and (not points or now["at"] - points[-1]["at"] >= now["window"] / 2):
        ticks = {who(process): process["cpu"] for process in now["processes"]}
        able = now["able"] if now["able"] is not None else now["at"] * now["cores"]
        point = {"at": now["at"], "used": now["used"], "periods": now["periods"], "throttled": now["throttled"]}
        points.append({**point, "able": able, "ticks": ticks})
    return {"since": _identity(now), "points": points[-SPARE_POINTS:]}


def who(process: CpuProcess) -> str:
    """Return the key of a process, which a reused process id does not share."""
    return f"{process['pid']}:{process['start']}"


CPU = Source("host.cpu", read_cpu, ("cgroup", "cpu_window"), remember=remember_cpu)
