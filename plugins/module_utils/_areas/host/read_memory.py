# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FIXME: say what this file holds."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from typing import Any

from ..._core.errors import CannotRead
from ..._core.source import Source
from ..._shared import series
from ..._shared.kernel_log import _killed
from ..._shared.proc import PROC, label
from ..._shared.text_files import text_of, whole
from .cgroups import checked_group, group_file, group_processes
from .counters import parse_counters, parse_pressure, parse_stat, pressure
from .processes import read_processes

LARGEST = 5


def parse_sizes(text: str | None) -> dict[str, int]:
    """Return the ``Name:  123 kB`` lines of /proc/meminfo in bytes."""
    return {name: int(number) * 1024 for name, number in re.findall(r"^(\w+): +(\d{1,15}) kB$", text or "", re.M)}


def _memory_group(group: str) -> dict[str, Any]:
    """Return ``limit`` (bytes, None for none) ``used`` (without what can be dropped at once) ``kills pressure``."""
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


def read_memory(cgroup: str | None = None) -> dict[str, Any]:
    """Return what memory there is, who has most of it, and what the kernel killed for lack of it.

    ``at boot scope group total available swap_total swap_free pressure`` (as in :func:`read_cpu`) ``paged`` (pages from
    and to swap since boot) ``kills`` (number since boot or since the cgroup was made, None where the kernel does not
    count) ``killed`` (see :func:`parse_kills`, None where no kernel log may be read) ``killed_in`` (that log)
    ``processes`` (``pid name size``, the largest).
    Raises WrongQuestion for a cgroup that does not exist, CannotRead without /proc/meminfo.
    """
    group = checked_group(cgroup, "memory")
    sizes = parse_sizes(text_of(os.path.join(PROC, "meminfo")))
    if not sizes.get("MemTotal"):
        raise CannotRead("/proc/meminfo cannot be read, so nothing is known about the memory")
    counters = parse_counters(text_of(os.path.join(PROC, "vmstat")))
    limits = _memory_group(group)
    limited = limits["limit"] is not None and limits["limit"] < sizes["MemTotal"]
    scope = "cgroup" if group or limited else "machine"
    total = limits["limit"] if scope == "cgroup" and limited else sizes["MemTotal"]
    free = max(0, total - limits["used"]) if scope == "cgroup" else _available(sizes)
    killed, killed_in = _killed(time.time(), group)
    page = os.sysconf("SC_PAGE_SIZE")
    everyone = sorted(read_processes(group_processes("memory", group) if group else None), key=lambda one: one["pages"], reverse=True)
    return {
        "at": time.time(),
        "boot": (parse_stat(text_of(os.path.join(PROC, "stat"), 4 << 20)) or {"boot": 0})["boot"],
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
    """Return MemAvailable, or for a kernel before 3.14 what comes near it."""
    return sizes.get("MemAvailable", sizes.get("MemFree", 0) + sizes.get("Cached", 0) + sizes.get("Buffers", 0))


MEMORY_POINT_EVERY = 1800.0


MEMORY_POINTS = 120


def earlier_points(former: Any, now: Mapping[str, Any]) -> list[list[float]]:
    """Return ``[at, kills, paged]`` of earlier runs since the counters began; a cgroup that is made anew begins anew."""
    kept = series.mapping(former)
    if kept.get("since") != [now["boot"], now["scope"]]:
        return []
    points = [point for point in series.usable(kept.get("points"), now["at"]) if point[0] < now["at"]]
    return points if not points or points[-1][1] <= (now["kills"] or 0) else []


def remember_memory(now: Mapping[str, Any], former: Any) -> dict[str, Any]:
    """Return the counters of this run with those of earlier ones: a point each half hour, and where something was killed."""
    points = earlier_points(former, now)
    kills = now["kills"] or 0
    if not points or now["at"] - points[-1][0] >= MEMORY_POINT_EVERY or kills != points[-1][1]:
        points.append([now["at"], kills, now["paged"]])
    return {"since": [now["boot"], now["scope"]], "points": points[-MEMORY_POINTS:]}


MEMORY = Source("host.memory", read_memory, ("cgroup",), remember=remember_memory)
