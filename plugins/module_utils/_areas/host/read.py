# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read CPU and memory of a machine or of one cgroup from /proc and /sys/fs/cgroup, never by waiting for a second look.

Counters are returned as they stand; what they did since an earlier run is worked out by the checks, from what that
run kept. What the kernel does not offer (pressure information, a log that may not be read) is None.
Times are epoch seconds, sizes are bytes, CPU time is seconds.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from typing import Any

from ..._core.errors import CannotRead, WrongQuestion
from ..._shared.kernel_log import _killed
from ..._shared.proc import PROC, label
from ..._shared.text_files import text_of, whole

CGROUPS = "/sys/fs/cgroup"
MAX_PROCESSES = 20000
SCAN_WITHIN = 1.0  # seconds for looking at all processes
MAX_GROUPS = 500
KEPT = 150  # processes whose CPU time is returned
LARGEST = 5


# --- texts of the kernel: pure functions that take anything


def parse_pressure(text: str | None) -> dict[str, dict[str, float]] | None:
    """Return ``{some|full: {"10": %, "60": %, "300": %}}`` of a file of pressure information, None when it is none."""
    found: dict[str, dict[str, float]] = {}
    for line in (text or "").split("\n"):
        averages = dict(re.findall(r"\bavg(10|60|300)=(\d{1,3}(?:\.\d{1,6})?)", line))
        kind = line.split(" ", 1)[0]
        if kind in ("some", "full") and len(averages) == 3:
            found[kind] = {window: float(value) for window, value in averages.items()}
    return found if "some" in found else None


def parse_load(text: str | None) -> list[float] | None:
    """Return the load averages of 1, 5 and 15 minutes."""
    found = re.match(r"(\d{1,9}\.\d{1,9}) (\d{1,9}\.\d{1,9}) (\d{1,9}\.\d{1,9})(?: |$)", text or "")
    return [float(number) for number in found.groups()] if found else None


def parse_stat(text: str | None) -> dict[str, Any] | None:
    """Return ``busy total stolen`` (ticks since boot, of all cores) ``cores boot`` (epoch seconds) of /proc/stat.

    What a hypervisor gave to others (steal) counts as busy: it cannot be used.
    """
    found = re.search(r"^cpu +((?:\d{1,20} ?){4,10})$", text or "", re.M)
    if not found:
        return None
    ticks = [int(number) for number in found.group(1).split()][:8]
    idle = ticks[3] + (ticks[4] if len(ticks) > 4 else 0)
    boot = re.search(r"^btime (\d{1,12})$", text or "", re.M)
    return {
        "busy": sum(ticks) - idle,
        "total": sum(ticks),
        "stolen": ticks[7] if len(ticks) > 7 else 0,
        "cores": len(re.findall(r"^cpu\d+ ", text or "", re.M)) or 1,
        "boot": int(boot.group(1)) if boot else 0,
    }


def parse_process(text: str | None) -> dict[str, Any] | None:
    """Return ``pid name state ticks start pages`` of a /proc/<pid>/stat; a name may hold spaces and brackets."""
    head, _bracket, rest = (text or "").rpartition(")")
    pid, _bracket, name = head.partition("(")
    fields = rest.split()
    if len(fields) < 22 or not whole(pid):
        return None
    return {
        "pid": whole(pid),
        "name": name[:64],
        "state": fields[0][:1],
        "ticks": max(0, whole(fields[11])) + max(0, whole(fields[12])),
        "start": whole(fields[19]),
        "pages": max(0, whole(fields[21])),
    }


def parse_sizes(text: str | None) -> dict[str, int]:
    """Return the ``Name:  123 kB`` lines of /proc/meminfo in bytes."""
    return {name: int(number) * 1024 for name, number in re.findall(r"^(\w+): +(\d{1,15}) kB$", text or "", re.M)}


def parse_counters(text: str | None) -> dict[str, int]:
    """Return the ``name 123`` lines of a file such as /proc/vmstat or cpu.stat."""
    return {name: int(number) for name, number in re.findall(r"^(\w+) (\d{1,20})$", text or "", re.M)}


# --- cgroups


def group_file(controller: str, group: str, name: str) -> str:
    """Return the path of a file of a cgroup, version 1 or 2; ``group`` is "" for the root that is mounted here."""
    base = CGROUPS if os.path.exists(os.path.join(CGROUPS, "cgroup.controllers")) else os.path.join(CGROUPS, controller)
    return os.path.join(base, group, name) if group else os.path.join(base, name)


def _checked_group(group: str | None, controller: str) -> str:
    """Return a cgroup's name without slashes around it; raises WrongQuestion where there is none of that name."""
    name = (group or "").strip("/")
    if not name:
        return ""
    remedy = "give a path below /sys/fs/cgroup that exists on this host, such as system.slice/pm2-tankmail.service"
    if ".." in name.split("/") or "\0" in name or not os.path.isdir(group_file(controller, name, "")):
        raise WrongQuestion("cgroup", group, "is not a cgroup of this host", remedy)
    return name


def _group_processes(controller: str, group: str) -> set[int]:
    """Return the processes of a cgroup and of those below it."""
    found: set[int] = set()
    top = group_file(controller, group, "")
    for number, (folder, _folders, _files) in enumerate(os.walk(top)):
        if number >= MAX_GROUPS:
            break
        found.update(whole(line) for line in (text_of(os.path.join(folder, "cgroup.procs"), 1 << 20) or "").split())
    return found


def _cpu_group(group: str) -> dict[str, Any]:
    """Return ``quota`` (cores, None for no limit) ``used`` (CPU seconds) ``periods throttled pressure`` of a cgroup."""
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


# --- processes


def _processes(only: set[int] | None) -> list[dict[str, Any]]:
    """Return the processes (of a set of pids), see :func:`parse_process`; stops after a second on a very busy machine."""
    end = time.monotonic() + SCAN_WITHIN
    found = []
    for name in _pids() if only is None else map(str, sorted(only)):
        process = parse_process(text_of(os.path.join(PROC, name, "stat"), 4096))
        if process is not None:
            found.append(process)
        if len(found) >= MAX_PROCESSES or time.monotonic() >= end:
            break
    return found


def _pids() -> list[str]:
    try:
        return [name for name in os.listdir(PROC) if name.isdigit()]
    except OSError:
        return []


# --- source host.cpu


def read_cpu(cgroup: str | None = None, cpu_window: int | None = None) -> dict[str, Any]:
    """Return how much CPU was used since boot, by whom, and the pressure and load of now.

    ``at boot cores`` (those that may be used: a quota counts) ``scope`` (machine, or cgroup: one was named, or this is a
    container with a quota) ``group used able`` (CPU seconds used, and available; able is None for a cgroup, whose
    capacity is time times cores) ``stolen periods throttled load pressure io_pressure`` (% by window, or None) ``blocked``
    (processes that wait for a disk) ``processes`` (``pid start name cpu state``, those with most CPU time) ``window``.
    Raises WrongQuestion for a cgroup that does not exist, CannotRead without /proc/stat.
    """
    group = _checked_group(cgroup, "cpu")
    stat = parse_stat(text_of(os.path.join(PROC, "stat"), 4 << 20))
    if stat is None:
        raise CannotRead("/proc/stat cannot be read, so nothing is known about the CPU")
    limits = _cpu_group(group)
    scope = "cgroup" if group or (limits["quota"] is not None and limits["used"] is not None) else "machine"
    tick = os.sysconf("SC_CLK_TCK")
    everyone = _processes(_group_processes("cpu", group) if group else None)
    answer = {
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
        "pressure": limits["pressure"] if scope == "cgroup" else _pressure("cpu"),
        "io_pressure": _pressure("io"),
        "blocked": sum(process["state"] == "D" for process in everyone),
        "window": cpu_window or 300,
        "processes": [_cpu_of(process, tick) for process in sorted(everyone, key=lambda one: one["ticks"], reverse=True)[:KEPT]],
    }
    for process in answer["processes"][:40]:
        process["name"] = label(process["pid"], process["name"])
    return answer


def _pressure(kind: str) -> dict[str, dict[str, float]] | None:
    return parse_pressure(text_of(os.path.join(PROC, "pressure", kind)))


def _cpu_of(process: Mapping[str, Any], tick: int) -> dict[str, Any]:
    return {
        "pid": process["pid"],
        "start": process["start"] / tick,
        "name": process["name"],
        "cpu": process["ticks"] / tick,
        "state": process["state"],
    }


# --- source host.memory


def read_memory(cgroup: str | None = None) -> dict[str, Any]:
    """Return what memory there is, who has most of it, and what the kernel killed for lack of it.

    ``at boot scope group total available swap_total swap_free pressure`` (as in :func:`read_cpu`) ``paged`` (pages from
    and to swap since boot) ``kills`` (number since boot or since the cgroup was made, None where the kernel does not
    count) ``killed`` (see :func:`parse_kills`, None where no kernel log may be read) ``killed_in`` (that log)
    ``processes`` (``pid name size``, the largest).
    Raises WrongQuestion for a cgroup that does not exist, CannotRead without /proc/meminfo.
    """
    group = _checked_group(cgroup, "memory")
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
    everyone = sorted(_processes(_group_processes("memory", group) if group else None), key=lambda one: one["pages"], reverse=True)
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
        "pressure": limits["pressure"] if scope == "cgroup" else _pressure("memory"),
        "kills": limits["kills"] if scope == "cgroup" else counters.get("oom_kill"),
        "killed": killed,
        "killed_in": killed_in,
        "processes": [
            {"pid": one["pid"], "name": label(one["pid"], one["name"]), "size": one["pages"] * page} for one in everyone[:LARGEST]
        ],
    }


# --- source host.kills


def _available(sizes: Mapping[str, int]) -> int:
    """Return MemAvailable, or for a kernel before 3.14 what comes near it."""
    return sizes.get("MemAvailable", sizes.get("MemFree", 0) + sizes.get("Cached", 0) + sizes.get("Buffers", 0))
