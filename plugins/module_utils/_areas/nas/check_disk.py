# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nas.disk: how full each NAS is, and when it will be full.

Rule: manual 2, section 7 (above 80 %, storing files may fail).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._core.check import Check
from ..._core.errors import Busy
from ..._core.finding import Finding, ok, unknown
from ..._core.source import Asked
from ..._shared import series
from ..._shared.mounts import is_below
from ..._shared.nas_states import STATES
from ..._shared.units import DAY, size_text
from .facts import DiskFacts, NasState
from .faults import fault
from .parameters import PARAMETERS as SHARED
from .read_state import STATE, disk_key

PARAMETERS: dict[str, dict[str, Any]] = {
    **SHARED,
    "disk_warning": {"type": "float", "default": 80, "description": "Percent in use, as df shows it, that is a warning."},
    "disk_critical": {"type": "float", "default": 90, "description": "Percent in use, as df shows it, that is critical."},
    "forecast_points": {"type": "int", "default": 4, "description": "Least number of runs that a forecast is made from."},
    "forecast_hours": {"type": "float", "default": 6, "description": "Least number of hours between the first and the last of these runs."},
}


def judge(asked: Asked) -> list[Finding]:
    """Return a finding for each file system: how full it is, and from earlier runs when it will be full."""
    check = "nas.disk"
    try:
        found: NasState = asked.read("nas.state")
    except Busy as error:
        return [unknown(check, f"its usage cannot be read: {error.message}", blocked_by="nas.hung")]
    unmounted = [entry for entry in found["mounts"] if entry["mounted"] is None]
    findings = [unknown(check, "it is not mounted", blocked_by="nas.not_mounted", subject=entry["path"]) for entry in unmounted]
    # A folder in an unmounted mount point lies on the local disk, which is not the NAS.
    local = {entry["mount"] for entry in found["paths"] if any(is_below(entry["path"], one["path"]) for one in unmounted)}
    kept = series.mapping(asked.remembered("nas.state"))
    findings += [_judge_disk(asked, entry, kept, found) for entry in found["disks"] if entry["mount"] not in local]
    return findings or [ok(check, evidence={"not_asked": ["file systems: neither mounts nor paths are named"]})]


def _judge_disk(asked: Asked, entry: DiskFacts, kept: Mapping[str, Any], found: NasState) -> Finding:
    check, subject, parameters = "nas.disk", entry["mount"], asked.parameters
    if entry["error"]:
        return _unreadable(check, entry, found)
    room = entry["used"] + entry["free"]
    if not room:
        return ok(check, subject, evidence={"mount": subject, "not_asked": ["its usage: this file system has no size"]})
    used = round(100 * entry["used"] / room, 1)
    now = found["at"]
    points = [*series.usable(kept.get(disk_key(entry)), now), [now, entry["used"], entry["size"]]]
    least_points, least_seconds = parameters["forecast_points"], parameters["forecast_hours"] * 3600
    trend = series.forecast(points, now, entry["free"], least_points=least_points, least_seconds=least_seconds)
    evidence: dict[str, Any] = {"mount": subject, "device": entry["device"], "type": entry["type"], "size": size_text(entry["size"])}
    evidence.update(free=size_text(entry["free"]), used=used, **series.trend_of(trend, now))
    if trend is not None:
        evidence["days"] = round((trend.full_at - now) / DAY, 1)
    for code, limit in (("nas.disk_90", parameters["disk_critical"]), ("nas.disk_80", parameters["disk_warning"])):
        if used >= limit:
            return fault(code, check, subject, evidence=evidence, value=used, threshold=limit, unit="%")
    return ok(check, subject, evidence=evidence, value=used, threshold=parameters["disk_warning"], unit="%")


def _unreadable(check: str, entry: DiskFacts, found: NasState) -> Finding:
    """Return unknown for a file system whose usage cannot be read, with the fault of its mount as the cause."""
    mount = next((one for one in found["mounts"] if one["path"] == entry["mount"]), None)
    state = (mount["state"] if mount else "") or ("silent" if entry["error"] == "silent" else "")
    blocked_by = STATES.get(state, "") if state in ("stale", "silent", "denied") else ""
    why = (mount["error"] if mount else "") or entry["error"]
    return unknown(check, f"the usage of {entry['mount']} cannot be read ({why})", blocked_by=blocked_by, subject=entry["mount"])


CHECK = Check("nas.disk", "How full is each NAS, and when will it be full?", judge, (STATE,), PARAMETERS, run_as="app")
