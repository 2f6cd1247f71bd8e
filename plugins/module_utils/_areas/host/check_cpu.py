# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FIXME: say what this file holds."""

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
from .read_cpu import CPU, earlier_points, who

OLDEST_REFERENCE = 2 * DAY  # seconds: an earlier run that is older says nothing about now


THROTTLED = 0.5  # part of a cgroup's periods in which its quota ran out, from which it is saturated


IO_PRESSURE = 20.0  # % of the time that tasks wait for disks, from which the load is no matter of the CPU


PARAMETERS: dict[str, dict[str, Any]] = {
    **CGROUP,
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


def judge(asked: Asked) -> list[Finding]:
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
    points = earlier_points(former, now)
    return next((point for point in reversed(points) if now["window"] <= now["at"] - point["at"] <= OLDEST_REFERENCE), None)


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
        earlier = ticks.get(who(process))
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


CHECK = Check("host.cpu", "Is the CPU busy or saturated for long, and by whom?", judge, (CPU,), PARAMETERS)
