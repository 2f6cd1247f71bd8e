# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""host.memory: is there enough memory, and did the kernel kill a process for lack of it? Sources: M1-9, M2-9."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..._core.check import Check
from ..._core.finding import Finding, ok
from ..._core.source import Asked
from ..._shared.kernel_log import Kill
from ..._shared.units import size_text, stamp
from .faults import fault
from .parameters import CGROUP
from .read_memory import MEMORY, MemoryFacts, earlier_points

SWAP_USED = 0.8  # part of the swap
SWAPPING = 100.0  # pages a second from and to swap
PARAMETERS: dict[str, dict[str, Any]] = {
    **CGROUP,
    "memory_free": {"type": "float", "default": 10, "description": "Percent of the memory that must be available."},
    "memory_pressure": {
        "type": "float",
        "default": 10,
        "description": "Percent of the last five minutes in which all tasks waited for memory, from which memory is too small.",
    },
    "memory_look_back": {
        "type": "int",
        "default": 86400,
        "description": "Seconds for which a process killed for lack of memory is reported.",
    },
}


def judge(asked: Asked) -> list[Finding]:
    """Report whether memory runs out, and what the kernel killed for lack of memory."""
    check = "host.memory"
    now: MemoryFacts = asked.read("host.memory")
    evidence: dict[str, Any] = {
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


def _swap_text(now: MemoryFacts) -> str:
    return f"{size_text(now['swap_total'] - now['swap_free'])} of {size_text(now['swap_total'])}" if now["swap_total"] else ""


def _too_little(asked: Asked, now: MemoryFacts, free: float) -> str:
    """Return the measure by which memory is too small: available, waiting or swapping; "" when it is enough."""
    if free < asked.parameters["memory_free"]:
        return "available"
    stalled = now["pressure"]["full"].get("300", 0.0) if now["pressure"] and "full" in now["pressure"] else None
    if stalled is not None and stalled >= asked.parameters["memory_pressure"]:
        return "waiting"
    swap_full = now["swap_total"] > 0 and now["swap_total"] - now["swap_free"] >= SWAP_USED * now["swap_total"]
    return "swapping" if swap_full and _pages_a_second(asked, now) >= SWAPPING else ""


def _pages_a_second(asked: Asked, now: MemoryFacts) -> float:
    last = next(reversed(earlier_points(asked.remembered("host.memory"), now)), None)
    return max(0.0, (now["paged"] - last[2]) / (now["at"] - last[0])) if last and now["at"] > last[0] else 0.0


def _kills(asked: Asked, now: MemoryFacts) -> tuple[dict[str, Any], list[str]]:
    """Return number and log entries (``count killed``) of the recent kills, and what could not be read, with the reason."""
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


def _logged_kills(now: MemoryFacts, logged: Sequence[Kill]) -> int:
    """Return how many of the counted kills the log dates: the counter of the first run already included those that it reported.

    A container's own limit has the log of the whole machine, which proves nothing about the container.
    """
    if now["scope"] != "machine" and not now["group"]:
        return 0
    return min(now["kills"] or 0, sum(1 for kill in logged if kill["at"] is not None))


def _counted_kills(asked: Asked, now: MemoryFacts, oldest: float) -> int | None:
    """Return how many kills the kernel counted since a time, or since the earliest run after it; None when that is not known."""
    if now["kills"] is None:
        return None
    points = earlier_points(asked.remembered("host.memory"), now)
    before = [point for point in points if point[0] <= oldest]
    if before or points:
        return int(now["kills"] - (before[-1] if before else points[0])[1])
    if now["scope"] == "machine" and now["boot"] >= oldest:
        return now["kills"]
    return None if now["kills"] else 0


def _about_kills(kills: Mapping[str, Any], evidence: Mapping[str, Any]) -> dict[str, Any]:
    """Return evidence and measure of the finding."""
    named = [{"name": kill["name"], "pid": kill["pid"], "at": stamp(kill["at"]) or ""} for kill in kills["killed"][-3:]]
    return {"evidence": {**evidence, "killed": named}, "value": kills["count"], "threshold": 1, "unit": "processes"}


CHECK = Check("host.memory", "Is there memory left, and was anything killed for lack of it?", judge, (MEMORY,), PARAMETERS)
