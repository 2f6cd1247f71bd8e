# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""host.disk: whether a file system is full or will be full soon, and which log folders grew.

Sources: M1-9, M2-9 (over 80 %), M2-7 (the disks that batches write to).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..._core.check import Check
from ..._core.finding import Finding, ok, unknown
from ..._core.source import Asked
from ..._shared import series
from ..._shared.series import trend_of
from ..._shared.units import DAY, size_text
from .faults import fault
from .parameters import LOG_FOLDERS
from .read_disks import DISKS, DiskFacts, DisksFacts, disk_key

MEGABYTE = 1024 * 1024
PARAMETERS: dict[str, dict[str, Any]] = {
    **LOG_FOLDERS,
    "only": {
        "type": "list",
        "elements": "path",
        "default": [],
        "variable": "stack_host_mounts",
        "description": "Mount points to check instead of all local file systems; each must be mounted.",
    },
    "paths": {
        "type": "list",
        "elements": "path",
        "default": [],
        "variable": "stack_host_paths",
        "description": "Paths whose file systems are checked as well, of any type.",
    },
    "disk_warning": {"type": "float", "default": 80, "description": "Percent in use, as df shows it, that is a warning."},
    "disk_critical": {"type": "float", "default": 90, "description": "Percent in use, as df shows it, that is critical."},
    "inodes_critical": {"type": "float", "default": 90, "description": "Percent of the inodes in use that is critical."},
    "forecast_days": {
        "type": "float",
        "default": 14,
        "description": "Days ahead in which a file system must not become full; 0 for no forecast.",
    },
    "forecast_points": {"type": "int", "default": 4, "description": "Least number of runs for a forecast."},
    "forecast_hours": {"type": "float", "default": 6, "description": "Least number of hours between the first and the last of these runs."},
}


def judge(asked: Asked) -> list[Finding]:
    """Report for each file system whether it is full, will be full soon, or has no inodes left."""
    check = "host.disk"
    now: DisksFacts = asked.read("host.disks")
    kept = series.mapping(asked.remembered("host.disks"))
    grew = _what_grew(now, kept)
    findings = [_one_disk(asked, entry, kept, grew) for entry in now["disks"]]
    findings += [unknown(check, f"nothing is mounted on {mount}", subject=mount) for mount in now["missing"]]
    return findings or [unknown(check, "no local file system was found; name mount points with only")]


def _what_grew(now: DisksFacts, kept: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the three log folders that grew most; where their growth is not known, the largest ones."""
    folders = series.mapping(kept.get("folders"))
    found: list[dict[str, Any]] = []
    for entry in now["folders"]:
        known = series.growth(folders.get(entry["path"]), now["at"], entry["size"])
        largest = entry["largest"][0] if entry["largest"] else None
        about: dict[str, Any] = {"path": entry["path"], "size": size_text(entry["size"]), "bytes": entry["size"]}
        about["largest"] = f"{largest['name']} ({size_text(largest['size'])})" if largest else ""
        if known and known[0] >= MEGABYTE:
            about.update(grown=size_text(known[0]), hours=round(known[1] / 3600, 1), bytes=known[0] * 1e6)
        found.append(about)
    found.sort(key=lambda one: -one["bytes"])
    return [{key: value for key, value in one.items() if key != "bytes"} for one in found[:3] if one["bytes"] > 0]


def _one_disk(asked: Asked, entry: DiskFacts, kept: Mapping[str, Any], grew: Sequence[Mapping[str, Any]]) -> Finding:
    check, mount, parameters = "host.disk", entry["mount"], asked.parameters
    if entry["error"]:
        return unknown(check, f"{mount} cannot be read: {entry['error']}", subject=mount)
    now = asked.read("host.disks")["at"]
    room = entry["used"] + entry["free"]
    used = round(100 * entry["used"] / room, 1) if room else 0.0
    nodes = _inodes(entry)
    points = [*series.usable(series.mapping(kept.get("disks")).get(disk_key(entry)), now), [now, entry["used"], entry["size"]]]
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
    """Return the worst fault of one file system: code ("" for none), value and threshold."""
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


def _inodes(entry: DiskFacts) -> float | None:
    """Return the percentage of inodes in use, None for a file system that creates them on demand."""
    room = entry["files_used"] + entry["files_free"]
    return round(100 * entry["files_used"] / room, 1) if entry["files"] > 0 and room > 0 else None


CHECK = Check("host.disk", "Is any file system full, or will it be soon, and what grew?", judge, (DISKS,), PARAMETERS)
