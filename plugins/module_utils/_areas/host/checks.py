# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked about a machine: pure functions of its counters, mounts, logs, clock and sockets.

Rules: manual 1 (troubleshooting), section 9: CPU, memory, disk; manual 2 (monitoring), section 9: CPU over 80 % for long,
disks over 80 %; section 7: disks that batches write to. Product facts: logs have mode 600, are kept 30 days and rotated;
443, 587 and 1521 are reachable; open ports are looked at every month.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..._core.errors import RemediationError, WrongQuestion
from ..._core.finding import Finding, ok, unknown
from ..._core.source import Asked
from ..._shared import series
from ..._shared.series import trend_of
from ..._shared.units import DAY, size_text, stamp
from .faults import fault
from .read_network import parse_ports, within

MEGABYTE = 1024 * 1024
OLDEST_REFERENCE = 2 * DAY  # seconds: an earlier run that is older says nothing about now
THROTTLED = 0.5  # part of a cgroup's periods in which its quota ran out, from which it is saturated
IO_PRESSURE = 20.0  # % of the time that tasks wait for disks, from which the load is no matter of the CPU
SWAP_USED = 0.8
SWAPPING = 100.0  # pages a second from and to swap
SPARE_POINTS = 4
MEMORY_POINT_EVERY = 1800.0
MEMORY_POINTS = 120

_CGROUP: dict[str, dict[str, Any]] = {
    "cgroup": {
        "type": "str",
        "description": (
            "A cgroup below /sys/fs/cgroup that is asked instead of the whole machine, such as system.slice/pm2-tankmail.service."
            " In a container, its own limits count without this."
        ),
    },
}
_LOG_FOLDERS: dict[str, dict[str, Any]] = {
    "log_folders": {"type": "list", "elements": "path", "default": [], "description": "Folders with logs; not those below them."},
}
CPU_PARAMETERS: dict[str, dict[str, Any]] = {
    **_CGROUP,
    "cpu_percent": {"type": "float", "default": 80, "description": "Use of the CPU in percent that is a fault when it lasts."},
    "cpu_window": {
        "type": "int",
        "default": 300,
        "choices": [10, 60, 300],
        "description": "Seconds that it must last: the window of the pressure information, and the least time since the run compared with.",
    },
    "cpu_pressure": {
        "type": "float",
        "default": 60,
        "description": "Percent of the window in which tasks wait for a CPU, from which it is saturated, together with cpu_load.",
    },
    "cpu_load": {
        "type": "float",
        "default": 1.5,
        "description": "Load average per core from which the CPU is saturated, together with cpu_pressure.",
    },
}
MEMORY_PARAMETERS: dict[str, dict[str, Any]] = {
    **_CGROUP,
    "memory_free": {"type": "float", "default": 10, "description": "Percent of the memory that must be available."},
    "memory_pressure": {
        "type": "float",
        "default": 10,
        "description": "Percent of the last five minutes in which everything waited for memory, from which it is too little.",
    },
    "memory_look_back": {
        "type": "int",
        "default": 86400,
        "description": "Seconds for which a process killed for lack of memory is reported.",
    },
}
DISK_PARAMETERS: dict[str, dict[str, Any]] = {
    **_LOG_FOLDERS,
    "only": {
        "type": "list",
        "elements": "path",
        "default": [],
        "description": "Mount points to ask instead of all local file systems; each must be mounted.",
    },
    "paths": {
        "type": "list",
        "elements": "path",
        "default": [],
        "description": "Paths whose file systems are asked as well, whatever their type.",
    },
    "disk_warning": {"type": "float", "default": 80, "description": "Percent in use, as df shows it, that is a warning."},
    "disk_critical": {"type": "float", "default": 90, "description": "Percent in use, as df shows it, that is critical."},
    "inodes_critical": {"type": "float", "default": 90, "description": "Percent of the inodes in use that is critical."},
    "forecast_days": {
        "type": "float",
        "default": 14,
        "description": "Days ahead in which a file system must not become full; 0 for no forecast.",
    },
    "forecast_points": {"type": "int", "default": 4, "description": "Least number of runs that a forecast is made from."},
    "forecast_hours": {"type": "float", "default": 6, "description": "Least number of hours between the first and the last of these runs."},
}
LOGS_PARAMETERS: dict[str, dict[str, Any]] = {
    **_LOG_FOLDERS,
    "pm2_home": {"type": "path", "description": "The PM2_HOME whose processes' log folders are asked as well."},
    "user": {"type": "str", "description": "The user that runs PM2; the owner of the PM2_HOME when not given."},
    "log_days": {"type": "int", "default": 30, "description": "Days that a log may reach back where nothing rotates it."},
    "log_megabytes": {"type": "int", "default": 500, "description": "Size in MB from which a log should have been rotated."},
    "logrotate": {
        "type": "list",
        "elements": "path",
        "default": ["/etc/logrotate.conf", "/etc/logrotate.d"],
        "description": "Files and folders of logrotate's configuration.",
    },
}
CLOCK_PARAMETERS: dict[str, dict[str, Any]] = {
    "ntp_server": {"type": "str", "description": "A time server to compare with, as host or host:port (UDP 123)."},
    "clock_offset": {"type": "float", "default": 1.0, "description": "Seconds that the clock may differ from the time server."},
    "clock_synchronised": {
        "type": "bool",
        "default": True,
        "description": "Whether a time service must keep the clock; false where a hypervisor does and the kernel does not know.",
    },
}
OUTBOUND_PARAMETERS: dict[str, dict[str, Any]] = {
    "targets": {
        "type": "list",
        "elements": "str",
        "default": [],
        "description": "Places that must be reachable by TCP, as host:port, such as email.ap-southeast-1.amazonaws.com:443; at most 24.",
    },
    "connect_within": {"type": "float", "default": 3.0, "description": "Seconds that each connection may take, name included."},
}
PORTS_PARAMETERS: dict[str, dict[str, Any]] = {
    "expected_ports": {
        "type": "list",
        "elements": "str",
        "default": [],
        "description": "TCP ports that may be open to others, as numbers or ranges such as 8000-8010; without any, none is judged.",
    },
    "among_ports": {
        "type": "list",
        "elements": "str",
        "default": [],
        "description": "Ports or ranges that are looked at; all when not given.",
    },
}


# --- host.cpu


def cpu(asked: Asked) -> list[Finding]:
    """Say whether the CPU is busy or saturated for long; one spike is neither (M1-9, M2-9)."""
    check = "host.cpu"
    now = asked.read("host.cpu")
    parameters = asked.parameters
    before = _cpu_reference(asked.remembered("host.cpu"), now)
    use = _cpu_use(now, before)
    evidence = _cpu_evidence(now, before, use)
    pressure, load = evidence.get("pressure"), _load_per_core(now)
    how = _saturated(now, parameters, pressure, load, use, _throttled(now, before))
    if how:
        reached = {"pressure": (pressure, parameters["cpu_pressure"]), "throttled": (evidence.get("throttled"), THROTTLED * 100)}
        value, threshold = reached.get(how, (_percent(load), _percent(2 * parameters["cpu_load"])))
        measure = {"value": value, "threshold": threshold, "unit": "%"}
        return [fault("host.cpu_saturated", check, now["group"], evidence={**evidence, "how": how}, **measure)]
    busy, how = (use, "use") if use is not None else (_busy_by_load(now, load), "load")
    if busy is not None and busy >= parameters["cpu_percent"]:
        measure = {"value": round(busy, 1), "threshold": parameters["cpu_percent"], "unit": "%"}
        return [fault("host.cpu_80", check, now["group"], evidence={**evidence, "how": how}, **measure)]
    return [
        ok(
            check,
            now["group"],
            evidence=evidence,
            value=None if use is None else round(use, 1),
            threshold=parameters["cpu_percent"],
            unit="%",
        )
    ]


def _cpu_reference(former: Any, now: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the newest point of earlier runs that is at least the window old, and not of another boot or cgroup."""
    points = _cpu_points(former, now)
    return next((point for point in reversed(points) if now["window"] <= now["at"] - point["at"] <= OLDEST_REFERENCE), None)


def _cpu_points(former: Any, now: Mapping[str, Any]) -> list[dict[str, Any]]:
    kept = series.mapping(former).get("points")
    if series.mapping(former).get("since") != _cpu_identity(now) or not isinstance(kept, list) or now["used"] is None:
        return []
    numbers = ("at", "used", "able", "periods", "throttled")
    points = [point for point in kept if isinstance(point, dict) and all(series.is_number(point.get(name)) for name in numbers)]
    # Counters that are lower now are those of a cgroup that was made anew.
    return [point for point in points if point["at"] < now["at"] and point["used"] <= now["used"] and point["periods"] <= now["periods"]]


def _cpu_identity(now: Mapping[str, Any]) -> list[Any]:
    return [now["boot"], now["scope"]]


def remember_cpu(now: Mapping[str, Any], former: Any) -> dict[str, Any]:
    """Return the few points that a next run compares with, at least half a window apart; what the source itself returned is one."""
    points = _cpu_points(former, now)
    if now["used"] is not None and (not points or now["at"] - points[-1]["at"] >= now["window"] / 2):
        ticks = {_who(process): process["cpu"] for process in now["processes"]}
        able = now["able"] if now["able"] is not None else now["at"] * now["cores"]
        points.append({**{name: now[name] for name in ("at", "used", "periods", "throttled")}, "able": able, "ticks": ticks})
    return {"since": _cpu_identity(now), "points": points[-SPARE_POINTS:]}


def _who(process: Mapping[str, Any]) -> str:
    return f"{process['pid']}:{process['start']}"


def _cpu_use(now: Mapping[str, Any], before: Mapping[str, Any] | None) -> float | None:
    """Return the percentage in use since an earlier run."""
    if before is None or now["used"] is None:
        return None
    able = now["able"] - before["able"] if now["able"] is not None else (now["at"] - before["at"]) * now["cores"]
    return max(0.0, min(100.0, 100 * (now["used"] - before["used"]) / able)) if able > 0 else None


def _throttled(now: Mapping[str, Any], before: Mapping[str, Any] | None) -> float | None:
    if before is None or now["periods"] <= before["periods"]:
        return None
    return (now["throttled"] - before["throttled"]) / (now["periods"] - before["periods"])


def _cpu_evidence(now: Mapping[str, Any], before: Mapping[str, Any] | None, use: float | None) -> dict[str, Any]:
    """Return what was measured; what could not be is named in ``not_asked``."""
    window = str(now["window"])
    throttled = _throttled(now, before)
    pressure = now["pressure"]["some"].get(window) if now["pressure"] else None
    known = {
        "cores": round(now["cores"], 2),
        "load": now["load"],
        "pressure": pressure,
        "window": now["window"],
        "use": None if use is None else round(use, 1),
        "minutes": None if before is None else max(1, round((now["at"] - before["at"]) / 60)),
        "throttled": None if throttled is None else _percent(throttled),
        "cgroup": now["group"] or ("of this container" if now["scope"] == "cgroup" else None),
        "processes": _busiest(now, before),
        "not_asked": [
            *(["pressure information: the kernel offers none"] if pressure is None else []),
            *([f"use since an earlier run: none is kept that is {now['window']} s old"] if use is None else []),
        ],
    }
    return {name: value for name, value in known.items() if value not in (None, [])}


def _busiest(now: Mapping[str, Any], before: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Return the three processes that used most, in percent of one core: since the earlier run, or else since their start."""
    ticks = series.mapping(before.get("ticks")) if before else {}
    least = min((value for value in ticks.values() if series.is_number(value)), default=0.0) if len(ticks) >= 100 else 0.0
    span = now["at"] - before["at"] if before else 0.0
    found = []
    for process in now["processes"]:
        earlier = ticks.get(_who(process))
        age = now["at"] - now["boot"] - process["start"]
        used = process["cpu"] - (earlier if series.is_number(earlier) else least if age > span else 0.0) if before else process["cpu"]
        percent = 100 * used / (min(span, age) if before and age > 0 else age) if min(span or age, age) > 0 else 0.0
        if percent >= 5:
            found.append({"name": process["name"], "pid": process["pid"], "percent": round(percent)})
    return sorted(found, key=lambda one: -one["percent"])[:3]


def _load_per_core(now: Mapping[str, Any]) -> float | None:
    """Return the load average of the window per core, the lesser of it and of that of 15 minutes for the longest window."""
    if not now["load"]:
        return None
    load = min(now["load"][1:]) if now["window"] == 300 else now["load"][0]
    return load / now["cores"]


def _saturated(
    now: Mapping[str, Any],
    parameters: Mapping[str, Any],
    pressure: float | None,
    load: float | None,
    use: float | None,
    throttled: float | None,
) -> str:
    """Return by which measure the CPU is saturated, "" when it is not."""
    if now["scope"] == "cgroup":
        if throttled is not None and throttled >= THROTTLED and (use or 0.0) >= parameters["cpu_percent"]:
            return "throttled"
        return (
            "pressure"
            if pressure is not None and pressure >= parameters["cpu_pressure"] and (use or 0.0) >= parameters["cpu_percent"]
            else ""
        )
    if load is None or _waits_for_disks(now):
        return ""
    if pressure is None:
        return "load" if load >= 2 * parameters["cpu_load"] else ""
    return "pressure" if pressure >= parameters["cpu_pressure"] and load >= parameters["cpu_load"] else ""


def _waits_for_disks(now: Mapping[str, Any]) -> bool:
    """Whether the load average counts waiting for disks rather than for the CPU."""
    if now["io_pressure"] is not None:
        return now["io_pressure"]["some"].get(str(now["window"]), 0.0) >= IO_PRESSURE
    return bool(now["load"]) and now["blocked"] >= now["load"][0] / 2 > 0


def _busy_by_load(now: Mapping[str, Any], load: float | None) -> float | None:
    """Return a use in percent as far as the load average tells it, for a first run."""
    return None if load is None or _waits_for_disks(now) else min(100.0, 100 * load)


def _percent(part: float | None) -> float | None:
    return None if part is None else round(100 * part, 1)


# --- host.memory


def memory(asked: Asked) -> list[Finding]:
    """Say whether memory runs out, and whether the kernel killed something for it (M1-9, M2-9)."""
    check = "host.memory"
    now = asked.read("host.memory")
    evidence = {
        "available": size_text(now["available"]),
        "total": size_text(now["total"]),
        "swap": _swap_text(now),
        "pressure": now["pressure"]["full"].get("300") if now["pressure"] and "full" in now["pressure"] else None,
        "cgroup": now["group"] or ("of this container" if now["scope"] == "cgroup" else None),
        "processes": [{"name": one["name"], "pid": one["pid"], "size": size_text(one["size"])} for one in now["processes"][:3]],
    }
    evidence = {name: value for name, value in evidence.items() if value not in (None, "", [])}
    free = round(100 * now["available"] / now["total"], 1) if now["total"] else 0.0
    measure = {"value": free, "threshold": asked.parameters["memory_free"], "unit": "%"}
    kills, not_asked = _kills(asked, now)
    if not_asked:
        evidence["not_asked"] = not_asked
    found = [fault("host.oom_killed", check, now["group"], **_about_kills(kills, evidence))] if kills["count"] else []
    how = _too_little(asked, now, free)
    if how:
        found.append(fault("host.memory_low", check, now["group"], evidence={**evidence, "how": how}, **measure))
    return found or [ok(check, now["group"], evidence=evidence, **measure)]


def _swap_text(now: Mapping[str, Any]) -> str:
    return f"{size_text(now['swap_total'] - now['swap_free'])} of {size_text(now['swap_total'])}" if now["swap_total"] else ""


def _too_little(asked: Asked, now: Mapping[str, Any], free: float) -> str:
    """Return by which measure memory is too little: available, waiting, swapping; "" when it is enough."""
    if free < asked.parameters["memory_free"]:
        return "available"
    stalled = now["pressure"]["full"].get("300", 0.0) if now["pressure"] and "full" in now["pressure"] else None
    if stalled is not None and stalled >= asked.parameters["memory_pressure"]:
        return "waiting"
    swap_full = now["swap_total"] > 0 and now["swap_total"] - now["swap_free"] >= SWAP_USED * now["swap_total"]
    return "swapping" if swap_full and _pages_a_second(asked, now) >= SWAPPING else ""


def _pages_a_second(asked: Asked, now: Mapping[str, Any]) -> float:
    last = next(reversed(_memory_points(asked.remembered("host.memory"), now)), None)
    return max(0.0, (now["paged"] - last[2]) / (now["at"] - last[0])) if last and now["at"] > last[0] else 0.0


def _memory_points(former: Any, now: Mapping[str, Any]) -> list[list[float]]:
    """Return ``[at, kills, paged]`` of earlier runs since the counters began; a cgroup that is made anew begins anew."""
    kept = series.mapping(former)
    if kept.get("since") != [now["boot"], now["scope"]]:
        return []
    points = [point for point in series.usable(kept.get("points"), now["at"]) if point[0] < now["at"]]
    return points if not points or points[-1][1] <= (now["kills"] or 0) else []


def remember_memory(now: Mapping[str, Any], former: Any) -> dict[str, Any]:
    """Return the counters of this run with those of earlier ones: a point each half hour, and where something was killed."""
    points = _memory_points(former, now)
    kills = now["kills"] or 0
    if not points or now["at"] - points[-1][0] >= MEMORY_POINT_EVERY or kills != points[-1][1]:
        points.append([now["at"], kills, now["paged"]])
    return {"since": [now["boot"], now["scope"]], "points": points[-MEMORY_POINTS:]}


def _kills(asked: Asked, now: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return number, log entries and time (``count killed since``) of what was killed lately, and what could not be asked."""
    oldest = now["at"] - asked.parameters["memory_look_back"]
    logged = [kill for kill in now["killed"] or [] if kill["at"] is None or kill["at"] >= oldest]
    count = _counted_kills(asked, now, oldest)
    not_asked = [] if now["killed"] is not None else ["the kernel's log: it is absent or this user may not read it"]
    if count is None:
        if now["killed"] is None:
            not_asked.append("killed processes before this run: no earlier run is kept")
        return {"count": len(logged), "killed": logged}, not_asked
    count = max(count, _logged_kills(now, logged))
    return {"count": count, "killed": logged[-count:] if count else []}, not_asked


def _logged_kills(now: Mapping[str, Any], logged: Sequence[Mapping[str, Any]]) -> int:
    """Return how many of the counted kills the log dates: the counter of the first run already held those that it reported.

    The log of a container's own limit is that of the whole machine, so it proves nothing there.
    """
    if now["scope"] != "machine" and not now["group"]:
        return 0
    return min(now["kills"] or 0, sum(1 for kill in logged if kill["at"] is not None))


def _counted_kills(asked: Asked, now: Mapping[str, Any], oldest: float) -> int | None:
    """Return how many the kernel counted since a time (or since the earliest run thereafter), None when it cannot be told."""
    if now["kills"] is None:
        return None
    points = _memory_points(asked.remembered("host.memory"), now)
    before = [point for point in points if point[0] <= oldest]
    if before or points:
        return int(now["kills"] - (before[-1] if before else points[0])[1])
    if now["scope"] == "machine" and now["boot"] >= oldest:
        return now["kills"]
    return None if now["kills"] else 0


def _about_kills(kills: Mapping[str, Any], evidence: Mapping[str, Any]) -> dict[str, Any]:
    named = [{"name": kill["name"], "pid": kill["pid"], "at": stamp(kill["at"]) or ""} for kill in kills["killed"][-3:]]
    return {"evidence": {**evidence, "killed": named}, "value": kills["count"], "threshold": 1, "unit": "processes"}


# --- host.disk


def disk(asked: Asked) -> list[Finding]:
    """Say for each file system whether it is full, will be, or has no inodes left (M1-9, M2-7, M2-9)."""
    check = "host.disk"
    now = asked.read("host.disks")
    kept = series.mapping(asked.remembered("host.disks"))
    grew = _what_grew(now, kept)
    findings = [_one_disk(asked, entry, kept, grew) for entry in now["disks"]]
    findings += [unknown(check, f"nothing is mounted on {mount}", subject=mount) for mount in now["missing"]]
    return findings or [unknown(check, "no local file system was found; name mount points with only")]


def remember_disks(now: Mapping[str, Any], former: Any) -> dict[str, Any]:
    """Return the series of each file system and each log folder with the point of this run."""
    kept = series.mapping(former)
    disks, folders = series.mapping(kept.get("disks")), series.mapping(kept.get("folders"))
    return {
        "disks": {
            _disk_key(entry): series.add(disks.get(_disk_key(entry)), [now["at"], entry["used"], entry["size"]])
            for entry in now["disks"]
            if not entry["error"]
        },
        "folders": {
            entry["path"]: series.add(folders.get(entry["path"]), [now["at"], entry["size"], 0])
            for entry in now["folders"]
            if entry["whole"]
        },
    }


def _disk_key(entry: Mapping[str, Any]) -> str:
    return f"{entry['mount']} {entry['device']}"


def _what_grew(now: Mapping[str, Any], kept: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the log folders that grew, most first, or where nothing is known of their growth the largest ones."""
    folders = series.mapping(kept.get("folders"))
    found = []
    for entry in now["folders"]:
        known = series.growth(folders.get(entry["path"]), now["at"], entry["size"])
        largest = entry["largest"][0] if entry["largest"] else None
        about = {"path": entry["path"], "size": size_text(entry["size"]), "bytes": entry["size"]}
        about["largest"] = f"{largest['name']} ({size_text(largest['size'])})" if largest else ""
        if known and known[0] >= MEGABYTE:
            about.update(grown=size_text(known[0]), hours=round(known[1] / 3600, 1), bytes=known[0] * 1e6)
        found.append(about)
    found.sort(key=lambda one: -one["bytes"])
    return [{key: value for key, value in one.items() if key != "bytes"} for one in found[:3] if one["bytes"] > 0]


def _one_disk(asked: Asked, entry: Mapping[str, Any], kept: Mapping[str, Any], grew: Sequence[Mapping[str, Any]]) -> Finding:
    check, mount, parameters = "host.disk", entry["mount"], asked.parameters
    if entry["error"]:
        return unknown(check, f"{mount} cannot be asked: {entry['error']}", subject=mount)
    now = asked.read("host.disks")["at"]
    room = entry["used"] + entry["free"]
    used = round(100 * entry["used"] / room, 1) if room else 0.0
    nodes = _inodes(entry)
    points = [*series.usable(series.mapping(kept.get("disks")).get(_disk_key(entry)), now), [now, entry["used"], entry["size"]]]
    least = {"least_points": parameters["forecast_points"], "least_seconds": parameters["forecast_hours"] * 3600}
    trend = series.forecast(points, now, entry["free"], **least)
    evidence = {
        "mount": mount,
        "device": entry["device"],
        "type": entry["type"],
        "size": size_text(entry["size"]),
        "free": size_text(entry["free"]),
        "inodes": nodes,
        **trend_of(trend, now),
    }
    code, value, threshold = _disk_fault(parameters, used, nodes, trend, now)
    evidence = {name: known for name, known in evidence.items() if known is not None}
    if code and grew:
        evidence["grew"] = list(grew)
    measure = {"value": value, "threshold": threshold, "unit": "days" if code == "host.disk_forecast" else "%"}
    return (
        fault(code, check, mount, evidence={**evidence, "used": used}, **measure)
        if code
        else ok(check, mount, evidence=evidence, **measure)
    )


def _disk_fault(
    parameters: Mapping[str, Any], used: float, nodes: float | None, trend: series.Forecast | None, now: float
) -> tuple[str, float, float]:
    """Return the worst of one file system: code ("" when it is well), value and threshold."""
    if used >= parameters["disk_critical"]:
        return "host.disk_90", used, parameters["disk_critical"]
    if nodes is not None and nodes >= parameters["inodes_critical"]:
        return "host.inodes", nodes, parameters["inodes_critical"]
    if used >= parameters["disk_warning"]:
        return "host.disk_80", used, parameters["disk_warning"]
    left = (trend.full_at - now) / DAY if trend else None
    if left is not None and left <= parameters["forecast_days"]:
        return "host.disk_forecast", round(left, 1), parameters["forecast_days"]
    return "", used, parameters["disk_warning"]


def _inodes(entry: Mapping[str, Any]) -> float | None:
    """Return the percentage of inodes in use, None for a file system that makes them as they are needed."""
    room = entry["files_used"] + entry["files_free"]
    return round(100 * entry["files_used"] / room, 1) if entry["files"] > 0 and room > 0 else None


# --- host.logs


def logs(asked: Asked) -> list[Finding]:
    """Say for each log folder whether others can read it, and whether it grows without end (M1-9; product facts)."""
    check = "host.logs"
    read = asked.read("host.log_files")
    if not read["folders"]:
        return [ok(check, evidence={"not_asked": ["log folders: none is named (log_folders, pm2_home)", *read["not_asked"]]})]
    return [finding for folder in read["folders"] for finding in _one_folder(asked, folder, read)]


def _one_folder(asked: Asked, folder: Mapping[str, Any], read: Mapping[str, Any]) -> list[Finding]:
    check, path = "host.logs", folder["path"]
    if folder["problem"] == "denied":
        return [ok(check, path, evidence={"not_asked": [f"{path}: this user may not look into it"]})]
    if folder["problem"]:
        return [unknown(check, f"the log folder {path} cannot be looked into: {folder['problem']}", subject=path)]
    found = []
    exposed = [entry for entry in folder["files"] if entry["exposed"]]
    if exposed:
        files = [{"name": entry["name"], "mode": entry["mode"], "owner": entry["owner"]} for entry in exposed[:5]]
        found.append(fault("host.log_readable", check, path, evidence={"folder": path, "files": files, "count": len(exposed)}))
    grown = [about for about in (_not_rotated(asked, entry, folder, read) for entry in folder["files"]) if about]
    if grown:
        evidence = {"folder": path, "files": grown[:5], "count": len(grown), "pm2": folder["pm2"]}
        found.append(fault("host.log_not_rotated", check, path, evidence=evidence))
    evidence = {"files": len(folder["files"]), "not_asked": read["not_asked"], "more": folder["more"]}
    return found or [ok(check, path, evidence={name: value for name, value in evidence.items() if value or name == "files"})]


def _not_rotated(asked: Asked, entry: Mapping[str, Any], folder: Mapping[str, Any], read: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what is wrong with one file: too large in spite of any rule, or too old without one."""
    limit = asked.parameters["log_days"] * DAY
    age = read["at"] - min(entry["modified"], entry["oldest"] or entry["modified"])
    ruled = entry["ruled"] or (folder["pm2"] and read["pm2_rotates"])
    rotated = any(other["base"] == entry["name"] and read["at"] - other["modified"] < limit for other in folder["files"])
    large = entry["size"] >= asked.parameters["log_megabytes"] * MEGABYTE
    if not large and (not entry["size"] or age < limit or ruled or rotated):
        return None
    days = int(age // DAY)
    return {
        "name": entry["name"],
        "size": size_text(entry["size"]),
        "days": days,
        "why": "large" if large else "old",
        "ruled": ruled or rotated,
    }


# --- host.clock


def clock(asked: Asked) -> list[Finding]:
    """Say whether the clock is right: AWS refuses signatures of a clock that is off, schedules run at the wrong time."""
    check = "host.clock"
    kernel = asked.read("host.clock")
    measured, problem = _time_server(asked)
    not_asked = [f"the time server: {problem}"] if problem else []
    evidence = {"synchronised": kernel["synchronised"], "service": kernel["service"], "not_asked": not_asked}
    limit = asked.parameters["clock_offset"]
    measure: dict[str, Any] = {}
    if measured:
        evidence.update(server=measured["server"], delay_ms=round(measured["delay"] * 1000, 1))
        measure = {"value": round(measured["offset"], 3), "threshold": limit, "unit": "s"}
        if abs(measured["offset"]) > limit:
            direction = "behind" if measured["offset"] > 0 else "ahead"
            return [fault("host.clock", check, evidence=_known({**evidence, "how": "offset", "direction": direction}), **measure)]
    if asked.parameters["clock_synchronised"] and kernel["synchronised"] is False:
        return [fault("host.clock", check, evidence=_known({**evidence, "how": "unsynchronised"}), **measure)]
    if measured or kernel["synchronised"]:
        return [ok(check, evidence=_known(evidence), **measure)]
    reason = problem or "the kernel does not say whether its clock is kept, and no time server is given (ntp_server)"
    return [unknown(check, f"nothing is known about the clock: {reason}")]


def _time_server(asked: Asked) -> tuple[Mapping[str, Any] | None, str]:
    """Return what the time server said, and why it said nothing; ("None", "") where none was given."""
    try:
        return asked.read("host.time_server"), ""
    except WrongQuestion:
        raise
    except RemediationError as error:
        return None, error.message


def _known(evidence: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in evidence.items() if value not in (None, "", [])}


# --- host.outbound


def outbound(asked: Asked) -> list[Finding]:
    """Say for each target whether a TCP connection is possible, and otherwise what stands in the way (product facts)."""
    check = "host.outbound"
    answers = asked.read("host.connections")
    if not answers:
        return [ok(check, evidence={"not_asked": ["outbound connections: no target is named (targets)"]})]
    return [_one_target(asked, answer) for answer in answers]


def _one_target(asked: Asked, answer: Mapping[str, Any]) -> Finding:
    check, subject = "host.outbound", f"{answer['host']}:{answer['port']}"
    if answer["state"] == "unknown":
        return unknown(check, f"{subject} could not be asked: {answer['detail']}", subject=subject)
    evidence = {name: answer[name] for name in ("host", "port", "state", "detail", "address") if answer[name]}
    measure = {"value": answer["duration_ms"], "threshold": round(asked.parameters["connect_within"] * 1000), "unit": "ms"}
    if answer["state"] == "open":
        return ok(check, subject, evidence=evidence, **measure)
    return fault("host.outbound_blocked", check, subject, evidence=evidence, **measure)


# --- host.ports


def ports(asked: Asked) -> list[Finding]:
    """Say for each port that others can reach whether it is expected (product facts: a look at open ports each month)."""
    check = "host.ports"
    expected = parse_ports("expected_ports", asked.parameters["expected_ports"])
    among = parse_ports("among_ports", asked.parameters["among_ports"])
    listeners = asked.read("host.listeners")
    seen = [entry for entry in listeners["open"] if not among or within(entry["port"], among)]
    evidence: dict[str, Any] = {"open": [entry["port"] for entry in seen][:50], "loopback": listeners["loopback"]}
    if not expected:
        return [ok(check, evidence={**evidence, "not_asked": ["open ports: no list of expected ones is given (expected_ports)"]})]
    strange = [entry for entry in seen if not within(entry["port"], expected)]
    return [_open_port(entry) for entry in strange] or [ok(check, evidence=evidence)]


def _open_port(entry: Mapping[str, Any]) -> Finding:
    evidence = {name: entry[name] for name in ("port", "addresses", "user", "process", "pid") if entry[name]}
    if not entry["process"]:
        evidence["not_asked"] = ["its process: only root may see it, or it is in another namespace"]
    return fault("host.port_open", "host.ports", f"{entry['port']}/tcp", evidence=evidence)
