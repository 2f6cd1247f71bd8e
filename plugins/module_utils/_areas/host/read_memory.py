# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the memory of the machine or of one cgroup, its largest processes, and what the kernel killed for lack of memory.

What the kernel does not offer is None. Times are epoch seconds, sizes are bytes.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from typing import Any, TypedDict

from ..._core.errors import CannotRead
from ..._core.source import Source
from ..._shared import series
from ..._shared.kernel_log import Kill, kills_of
from ..._shared.proc import PROC, label
from ..._shared.text_files import text_of, whole
from .cgroups import checked_group, group_file, group_processes
from .counters import Pressure, parse_counters, parse_pressure, parse_stat, pressure
from .processes import read_processes

LARGEST = 5  # processes that are returned
POINT_EVERY = 1800.0  # seconds between the points that are kept
MOST_POINTS = 120


class MemoryProcess(TypedDict):
    """A process with the size of its memory."""

    pid: int
    name: str
    size: int


class MemoryFacts(TypedDict):
    """The memory of the machine, or of a cgroup."""

    at: float
    boot: int
    scope: str  # machine, or cgroup: one was named, or this is a container with a limit
    group: str  # the cgroup that was named
    total: int
    available: int
    swap_total: int
    swap_free: int
    paged: int  # pages from and to swap since boot
    pressure: Pressure | None
    kills: int | None  # since boot or since the cgroup was made; None where the kernel does not count
    killed: list[Kill] | None  # None where no kernel log may be read
    killed_in: str  # that log
    processes: list[MemoryProcess]  # the largest


class _Group(TypedDict):
    limit: int | None
    used: int  # without what the kernel can drop at once
    kills: int | None
    pressure: Pressure | None


def parse_sizes(text: str | None) -> dict[str, int]:
    """Return the ``Name:  123 kB`` lines of /proc/meminfo in bytes."""
    return {name: int(number) * 1024 for name, number in re.findall(r"^(\w+): +(\d{1,15}) kB$", text or "", re.M)}


def _memory_group(group: str) -> _Group:
    limit = text_of(group_file("memory", group, "memory.max")) or text_of(group_file("memory", group, "memory.limit_in_bytes"))
    usage = text_of(group_file("memory", group, "memory.current")) or text_of(group_file("memory", group, "memory.usage_in_bytes"))
    counters = parse_counters(text_of(group_file("memory", group, "memory.stat")))
    events = text_of(group_file("memory", group, "memory.events")) or text_of(group_file("memory", group, "memory.oom_control"))
    droppable = counters.get("total_inactive_file", counters.get("inactive_file", 0))
    return {
        "limit": whole(limit, 0) or None,
        "used": max(0, whole(usage) - droppable),
        "kills": parse_counters(events).get("oom_kill"),
        "pressure": parse_pressure(text_of(group_file("memory", group, "memory.pressure"))),
    }


def read_memory(cgroup: str | None = None) -> MemoryFacts:
    """Return how much memory there is, which processes have most of it, and what the kernel killed for lack of it.

    Raises WrongQuestion for a cgroup that does not exist, CannotRead without /proc/meminfo.
    """
    group = checked_group(cgroup, "memory")
    sizes = parse_sizes(text_of(os.path.join(PROC, "meminfo")))
    if not sizes.get("MemTotal"):
        raise CannotRead("/proc/meminfo cannot be read, so nothing is known about the memory")
    counters = parse_counters(text_of(os.path.join(PROC, "vmstat")))
    limits = _memory_group(group)
    limit = limits["limit"] if limits["limit"] is not None and limits["limit"] < sizes["MemTotal"] else None
    scope = "cgroup" if group or limit is not None else "machine"
    total = sizes["MemTotal"] if limit is None else limit
    free = max(0, total - limits["used"]) if scope == "cgroup" else _available(sizes)
    killed, killed_in = kills_of(time.time(), group)
    page = os.sysconf("SC_PAGE_SIZE")
    stat = parse_stat(text_of(os.path.join(PROC, "stat"), 4 << 20))
    everyone = sorted(read_processes(group_processes("memory", group) if group else None), key=lambda one: one["pages"], reverse=True)
    return {
        "at": time.time(),
        "boot": stat["boot"] if stat else 0,
        "scope": scope,
        "group": group,
        "total": total,
        "available": free,
        "swap_total": 0 if scope == "cgroup" else sizes.get("SwapTotal", 0),
        "swap_free": 0 if scope == "cgroup" else sizes.get("SwapFree", 0),
        "paged": counters.get("pswpin", 0) + counters.get("pswpout", 0),
        "pressure": limits["pressure"] if scope == "cgroup" else pressure("memory"),
        "kills": limits["kills"] if scope == "cgroup" else counters.get("oom_kill"),
        "killed": killed,
        "killed_in": killed_in,
        "processes": [
            {"pid": one["pid"], "name": label(one["pid"], one["name"]), "size": one["pages"] * page} for one in everyone[:LARGEST]
        ],
    }


def _available(sizes: Mapping[str, int]) -> int:
    """Return MemAvailable, or an estimate for a kernel before 3.14."""
    return sizes.get("MemAvailable", sizes.get("MemFree", 0) + sizes.get("Cached", 0) + sizes.get("Buffers", 0))


def earlier_points(former: Any, now: MemoryFacts) -> list[list[float]]:
    """Return ``[at, kills, paged]`` of earlier runs since the counters began: with the boot, or with the cgroup."""
    kept = series.mapping(former)
    if kept.get("since") != [now["boot"], now["scope"]]:
        return []
    points = [point for point in series.usable(kept.get("points"), now["at"]) if point[0] < now["at"]]
    return points if not points or points[-1][1] <= (now["kills"] or 0) else []


def remember_memory(now: MemoryFacts, former: Any) -> dict[str, Any]:
    """Return the counters of this run with those of earlier ones: a point every half hour, and one for each kill."""
    points = earlier_points(former, now)
    kills = now["kills"] or 0
    if not points or now["at"] - points[-1][0] >= POINT_EVERY or kills != points[-1][1]:
        points.append([now["at"], kills, now["paged"]])
    return {"since": [now["boot"], now["scope"]], "points": points[-MOST_POINTS:]}


MEMORY = Source("host.memory", read_memory, ("cgroup",), remember=remember_memory)
