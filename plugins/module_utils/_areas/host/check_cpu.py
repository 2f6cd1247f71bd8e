# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""host.cpu: is the CPU busy or saturated for long, and by which processes? Sources: M1-9, M2-9 (over 80 % for long)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._core.check import Check
from ..._core.finding import Finding, ok
from ..._core.source import Asked
from ..._shared import series
from ..._shared.units import DAY
from .faults import fault
from .parameters import CGROUP
from .read_cpu import CPU, CpuFacts, earlier_points, who

OLDEST_REFERENCE = 2 * DAY  # seconds: the present is not compared with an older run
THROTTLED = 0.5  # a cgroup is saturated when its quota runs out in this part of the periods
IO_PRESSURE = 20.0  # % of the time: when tasks wait this much for disks, the load average does not show the CPU
PARAMETERS: dict[str, dict[str, Any]] = {
    **CGROUP,
    "cpu_percent": {
        "type": "float",
        "default": 80,
        "variable": "stack_host_cpu_percent",
        "description": "Use of the CPU in percent that is a fault when it lasts.",
    },
    "cpu_window": {
        "type": "int",
        "default": 300,
        "choices": [10, 60, 300],
        "variable": "stack_host_cpu_window",
        "description": "Seconds that it must last: the window of the pressure information, and the least time since the earlier run.",
    },
    "cpu_pressure": {
        "type": "float",
        "default": 60,
        "description": "Percent of the window in which tasks wait for a CPU. From this and cpu_load on, the CPU is saturated.",
    },
    "cpu_load": {
        "type": "float",
        "default": 1.5,
        "description": "Load average per core. From this and cpu_pressure on, the CPU is saturated.",
    },
}


def judge(asked: Asked) -> list[Finding]:
    """Report whether the CPU is busy or saturated for long; a spike is neither."""
    check = "host.cpu"
    now: CpuFacts = asked.read("host.cpu")
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


def _cpu_reference(former: Any, now: CpuFacts) -> Mapping[str, Any] | None:
    """Return the newest point of an earlier run that is at least the window old."""
    points = earlier_points(former, now)
    return next((point for point in reversed(points) if now["window"] <= now["at"] - point["at"] <= OLDEST_REFERENCE), None)


def _cpu_use(now: CpuFacts, before: Mapping[str, Any] | None) -> float | None:
    """Return the use in percent since an earlier run, None when that is not known."""
    used = now["used"]
    if before is None or used is None:
        return None
    able = now["able"] - before["able"] if now["able"] is not None else (now["at"] - before["at"]) * now["cores"]
    return max(0.0, min(100.0, 100 * (used - before["used"]) / able)) if able > 0 else None


def _throttled(now: CpuFacts, before: Mapping[str, Any] | None) -> float | None:
    if before is None or now["periods"] <= before["periods"]:
        return None
    return (now["throttled"] - before["throttled"]) / (now["periods"] - before["periods"])


def _cpu_evidence(now: CpuFacts, before: Mapping[str, Any] | None, use: float | None) -> dict[str, Any]:
    """Return the measurements; ``not_asked`` names those that were not possible."""
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


def _busiest(now: CpuFacts, before: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Return the three processes that used most CPU, in percent of one core: since the earlier run, otherwise since their start."""
    ticks = series.mapping(before.get("ticks")) if before else {}
    least = min((value for value in ticks.values() if series.is_number(value)), default=0.0) if len(ticks) >= 100 else 0.0
    span = now["at"] - before["at"] if before else 0.0
    found: list[dict[str, Any]] = []
    for process in now["processes"]:
        earlier = ticks.get(who(process))
        age = now["at"] - now["boot"] - process["start"]
        used = process["cpu"]
        if before is not None:
            used -= float(earlier) if series.is_number(earlier) and earlier is not None else least if age > span else 0.0
        percent = 100 * used / (min(span, age) if before and age > 0 else age) if min(span or age, age) > 0 else 0.0
        if percent >= 5:
            found.append({"name": process["name"], "pid": process["pid"], "percent": round(percent)})
    return sorted(found, key=lambda one: -one["percent"])[:3]


def _load_per_core(now: CpuFacts) -> float | None:
    """Return the load average of the window per core; for the longest window, the smaller one of 5 and 15 minutes."""
    if not now["load"]:
        return None
    load = min(now["load"][1:]) if now["window"] == 300 else now["load"][0]
    return load / now["cores"]


def _saturated(
    now: CpuFacts,
    parameters: Mapping[str, Any],
    pressure: float | None,
    load: float | None,
    use: float | None,
    throttled: float | None,
) -> str:
    """Return the measure by which the CPU is saturated, "" when it is not."""
    if now["scope"] == "cgroup":
        if throttled is not None and throttled >= THROTTLED and (use or 0.0) >= parameters["cpu_percent"]:
            return "throttled"
        lasting = pressure is not None and pressure >= parameters["cpu_pressure"] and (use or 0.0) >= parameters["cpu_percent"]
        return "pressure" if lasting else ""
    if load is None or _waits_for_disks(now):
        return ""
    if pressure is None:
        return "load" if load >= 2 * parameters["cpu_load"] else ""
    return "pressure" if pressure >= parameters["cpu_pressure"] and load >= parameters["cpu_load"] else ""


def _waits_for_disks(now: CpuFacts) -> bool:
    """Whether the load average counts tasks that wait for disks rather than for the CPU."""
    if now["io_pressure"] is not None:
        return now["io_pressure"]["some"].get(str(now["window"]), 0.0) >= IO_PRESSURE
    return now["load"] is not None and now["blocked"] >= now["load"][0] / 2 > 0


def _busy_by_load(now: CpuFacts, load: float | None) -> float | None:
    """Return the use in percent that the load average suggests, for a first run."""
    return None if load is None or _waits_for_disks(now) else min(100.0, 100 * load)


def _percent(part: float | None) -> float | None:
    return None if part is None else round(100 * part, 1)


CHECK = Check("host.cpu", "Is the CPU busy or saturated for long, and by whom?", judge, (CPU,), PARAMETERS)
