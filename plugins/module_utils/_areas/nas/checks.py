# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked about a NAS: pure functions of one reading of mounts and folders.

Rules: manual 1, section 6 (does the path exist, may it be read; remount); manual 2, section 7 (the NAS path was changed, the
permission was taken away, the drive was disconnected; over 80 % storing may fail). Product facts: mounted read-only.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from ..._core.errors import Busy
from ..._core.finding import Finding, ok, unknown
from ..._core.source import Asked
from ..._shared import series
from ..._shared.dated_paths import day_of, roots_of
from ..._shared.series import trend_of
from ..._shared.units import DAY, size_text
from .faults import fault

WITHOUT_ANSWER = "without answer"  # the key, besides those of file systems, of what was silent
STATES = {"stale": "nas.stale", "silent": "nas.hung", "denied": "nas.no_permission", "missing": "nas.path_missing"}
PARAMETERS: dict[str, dict[str, Any]] = {
    "mounts": {
        "type": "list",
        "elements": "raw",
        "default": [],
        "description": (
            "Mount points that must be mounted, as paths or as {path, source, type}; source as in /proc/self/mountinfo, such as"
            " nas-01:/mti/report or //nas-01/mti/report."
        ),
    },
    "paths": {
        "type": "list",
        "elements": "str",
        "default": [],
        "description": "Folders that the worker reads. A date in the path, as in /batch/report/AC/statement/%Y%m%d, is filled in.",
    },
    "as_user": {
        "type": "str",
        "description": "The user that the worker runs as; folders are looked into as this one. Needs root, or that user.",
    },
    "date": {"type": "str", "default": "today", "description": "The day of dated folders: today, tomorrow, yesterday or YYYY-MM-DD."},
    "timezone": {"type": "str", "default": "Asia/Seoul", "description": "Zone in which that day begins."},
    "probe_within": {
        "type": "float",
        "default": 3.0,
        "description": "Seconds that a mount may take to answer before it counts as hung; less than the deadline of the check.",
    },
}
PATH_PARAMETERS: dict[str, dict[str, Any]] = {
    **PARAMETERS,
    "read_only": {"type": "bool", "default": True, "description": "Whether the worker must be unable to write there."},
}
DISK_PARAMETERS: dict[str, dict[str, Any]] = {
    **PARAMETERS,
    "disk_warning": {"type": "float", "default": 80, "description": "Percent in use, as df shows it, that is a warning."},
    "disk_critical": {"type": "float", "default": 90, "description": "Percent in use, as df shows it, that is critical."},
    "forecast_points": {"type": "int", "default": 4, "description": "Least number of runs that a forecast is made from."},
    "forecast_hours": {"type": "float", "default": 6, "description": "Least number of hours between the first and the last of these runs."},
}


# --- a reader that an earlier run left behind


def _still_waiting(check: str, asked: Asked, error: Busy) -> list[Finding]:
    """Say that a mount is hung where the reader of an earlier run still waits in it, killed long ago and stuck in the kernel.

    One reading asks all mounts and folders. What did not answer it was kept; where nothing was, all of them may be meant.
    """
    given = asked.parameters
    mounts = [os.path.normpath(entry if isinstance(entry, str) else str(entry.get("path"))) for entry in given.get("mounts") or []]
    day = day_of(given.get("date") or "today", given.get("timezone") or "Asia/Seoul", asked.now)
    folders = [root.base for root in roots_of(given.get("paths") or [], day) if not root.is_s3]
    if check == "nas.path" and mounts and folders:
        return [unknown(check, error.message, blocked_by="nas.hung", subject=folder) for folder in folders]
    silent = series.mapping(asked.remembered("nas.state")).get(WITHOUT_ANSWER) or []
    mounts, folders = ([one for one in places if one in silent] or places for places in (mounts, folders))
    outside = [folder for folder in folders if not any(is_below(folder, mounted) for mounted in mounts)]
    # What lies in a mount is told with it.
    outside = [folder for folder in outside if folder in silent or not silent]
    places = folders if check == "nas.path" else [*mounts, *outside] if mounts else []
    if not places:
        return [ok(check, evidence={"not_asked": [f"{'folders' if check == 'nas.path' else 'mounts'}: none is named"]})]
    holder = dict(zip(("process", "since"), error.details.get("holder", "").split()[1::2]))
    evidence = {**holder, "mount" if check == "nas.mount" else "path": places[0], **({"places": places} if len(places) > 1 else {})}
    return [fault("nas.hung", check, ", ".join(places), evidence={**evidence, "waiting": True})]


# --- nas.mount


def mount(asked: Asked) -> list[Finding]:
    """Say for each mount whether it is there, is the right one, and answers."""
    check = "nas.mount"
    try:
        found = asked.read("nas.state")
    except Busy as error:
        return _still_waiting(check, asked, error)
    if not found["mounts"]:
        return [
            ok(check, evidence={"not_asked": ["mounts: none is named (mounts), so an unmounted NAS cannot be told from a local folder"]})
        ]
    return [_one_mount(check, entry, found) for entry in found["mounts"]]


def _one_mount(check: str, entry: Mapping[str, Any], found: Mapping[str, Any]) -> Finding:
    path, mounted = entry["path"], entry["mounted"]
    evidence = known({"mount": path, "expected": entry["source"], "expected_type": entry["type"], "user": found["user"]})
    if mounted is None:
        told = {"empty": entry["empty"], "in_fstab": entry["in_fstab"], "state": entry["state"]}
        return fault("nas.not_mounted", check, path, evidence={**evidence, **told, **_instead(entry)})
    evidence.update(device=seen_source(mounted), type=mounted["type"], read_only=mounted["read_only"])
    if not is_expected(entry, mounted):
        return fault("nas.wrong_source", check, path, evidence={**evidence, "in_fstab": entry["in_fstab"]})
    if entry["state"] in ("stale", "silent"):
        measure = {"value": found["within"], "unit": "s"} if entry["state"] == "silent" else {}
        return fault(STATES[entry["state"]], check, path, evidence={**evidence, **known({"error": entry["error"]})}, **measure)
    if entry["state"] == "denied":
        return fault("nas.no_permission", check, path, evidence={**evidence, "component": path, "need": "rx", "error": entry["error"]})
    if entry["state"] != "ok":
        return unknown(check, f"{path} cannot be asked: {entry['error']}", subject=path)
    return ok(check, path, evidence={**evidence, "empty": entry["empty"]})


def _instead(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return what lies where the NAS should be."""
    holder = entry["holder"]
    return {"holder": holder["mount"], "holder_type": holder["type"], "holder_device": holder["device"]} if holder else {}


def seen_source(mounted: Mapping[str, Any]) -> str:
    """Return what is mounted: the device, and the part of it for a bind of a folder."""
    device, root = mounted["device"].rstrip("/"), mounted["root"]
    if root in ("/", "") or (device.startswith("//") and device.endswith(root)):
        return mounted["device"]  # a share that is mounted from a folder on names that folder twice
    return f"{device}{root}"


def is_expected(entry: Mapping[str, Any], mounted: Mapping[str, Any]) -> bool:
    """Whether a mount has the wanted source and type; nfs stands for nfs4 too, cifs for smb3.

    A bind of a folder is not the whole of its device. Only of btrfs, whose subvolumes look like one, the device alone may be meant.
    """
    kinds = {"nfs": ("nfs", "nfs4"), "cifs": ("cifs", "smb3"), "smb": ("cifs", "smb3")}
    if entry["type"] and mounted["type"] not in kinds.get(entry["type"], (entry["type"],)):
        return False
    if not entry["source"]:
        return True
    meant = {plain_source(seen_source(mounted)), *([plain_source(mounted["device"])] if mounted["type"] == "btrfs" else [])}
    return plain_source(entry["source"]) in meant


def plain_source(source: str) -> str:
    """Return a source as it is compared: shares of Windows have no case and either slash, names of hosts have no case."""
    source = source.replace("\\", "/").rstrip("/")
    if source.startswith("//"):
        return source.casefold()
    host, colon, path = source.partition(":")
    return f"{host.casefold()}:{path}" if colon and not source.startswith("/") else source


# --- nas.path


def path(asked: Asked) -> list[Finding]:
    """Say for each folder whether it is there, and whether the worker can read it, and nothing more."""
    check = "nas.path"
    try:
        found = asked.read("nas.state")
    except Busy as error:
        return _still_waiting(check, asked, error)
    if not found["paths"]:
        return [ok(check, evidence={"not_asked": ["folders: none is named (paths)"]})]
    return [_one_path(asked, entry, found) for entry in found["paths"]]


def _one_path(asked: Asked, entry: Mapping[str, Any], found: Mapping[str, Any]) -> Finding:
    check, subject, state = "nas.path", entry["path"], entry["state"]
    evidence = known({"path": subject, "user": found["user"], "mount": entry["mount"], "type": entry["type"]})
    blocking = _sick_mount(entry, found["mounts"])
    if state == "silent" and blocking:
        return unknown(check, f"{subject} does not answer", blocked_by=blocking, subject=subject)
    if state in STATES:
        evidence.update(known({name: entry[name] for name in ("component", "need", "owner", "mode", "error")}))
        measure = {"value": found["within"], "unit": "s"} if state == "silent" else {}
        return fault(STATES[state], check, subject, evidence=evidence, **measure)
    if state != "ok":
        return unknown(check, f"{subject} cannot be asked: {entry['error']}", subject=subject)
    if entry["writable"] and asked.parameters["read_only"]:
        return fault("nas.writable", check, subject, evidence=evidence)
    evidence["writable"] = entry["writable"]
    if found["user"] == "root" and not asked.parameters.get("as_user"):
        evidence["not_asked"] = [
            "whether the user of the worker can read it: root asked, for whom no folder is closed; name that user (as_user)"
        ]
    return ok(check, subject, evidence=evidence)


def _sick_mount(entry: Mapping[str, Any], mounts: Sequence[Mapping[str, Any]]) -> str:
    """Return the fault of the mount that a folder lies in, where that one does not answer."""
    for one in mounts:
        if is_below(entry["path"], one["path"]) and one["state"] in ("stale", "silent"):
            return STATES[one["state"]]
    return ""


def is_below(path: str, above: str) -> bool:
    """Whether a path is another one or lies in it."""
    return path == above or path.startswith(above.rstrip("/") + "/") or os.path.normpath(above) == "/"


# --- nas.disk


def disk(asked: Asked) -> list[Finding]:
    """Say for each file system how full it is, and from earlier runs when it will be full."""
    check = "nas.disk"
    try:
        found = asked.read("nas.state")
    except Busy as error:
        return [unknown(check, f"how full it is cannot be asked: {error.message}", blocked_by="nas.hung")]
    blocked = [entry for entry in found["mounts"] if entry["mounted"] is None]
    findings = [unknown(check, "it is not mounted", blocked_by="nas.not_mounted", subject=entry["path"]) for entry in blocked]
    # What lies in an unmounted mount point lies on the disk below, which is not the NAS.
    hidden = {entry["mount"] for entry in found["paths"] if any(is_below(entry["path"], one["path"]) for one in blocked)}
    disks = [entry for entry in found["disks"] if entry["mount"] not in hidden]
    kept = series.mapping(asked.remembered("nas.state"))
    findings += [_one_disk(asked, entry, kept, found) for entry in disks]
    return findings or [ok(check, evidence={"not_asked": ["file systems: neither mounts nor paths are named"]})]


def remember(now: Mapping[str, Any], former: Any) -> dict[str, Any]:
    """Return the series of each file system with the point of this run, and what did not answer it."""
    kept = {name: value for name, value in series.mapping(former).items() if name != WITHOUT_ANSWER}
    told = {
        _key(entry): series.add(kept.get(_key(entry)), [now["at"], entry["used"], entry["size"]])
        for entry in now["disks"]
        if not entry["error"] and entry["size"]
    }
    # A mount that is away today comes back with its past.
    silent = [entry["path"] for entry in (*now["mounts"], *now["paths"]) if entry["state"] == "silent"]
    return {**kept, **told, **({WITHOUT_ANSWER: silent} if silent else {})}


def _key(entry: Mapping[str, Any]) -> str:
    return f"{entry['mount']} {entry['device']}"


def _one_disk(asked: Asked, entry: Mapping[str, Any], kept: Mapping[str, Any], found: Mapping[str, Any]) -> Finding:
    check, subject, parameters = "nas.disk", entry["mount"], asked.parameters
    if entry["error"]:
        mount = next((one for one in found["mounts"] if one["path"] == subject), {"state": "", "error": ""})
        state = mount["state"] or ("silent" if entry["error"] == "silent" else "")
        blocked = STATES.get(state, "") if state in ("stale", "silent", "denied") else ""
        reason = f"{subject} does not say how full it is ({mount['error'] or entry['error']})"
        return unknown(check, reason, blocked_by=blocked, subject=subject)
    room = entry["used"] + entry["free"]
    if not room:
        return ok(check, subject, evidence={"mount": subject, "not_asked": ["how full it is: this file system has no size"]})
    used = round(100 * entry["used"] / room, 1)
    now = found["at"]
    points = [*series.usable(kept.get(_key(entry)), now), [now, entry["used"], entry["size"]]]
    least = {"least_points": parameters["forecast_points"], "least_seconds": parameters["forecast_hours"] * 3600}
    trend = series.forecast(points, now, entry["free"], **least)
    evidence = {"mount": subject, "device": entry["device"], "type": entry["type"], "size": size_text(entry["size"])}
    evidence.update(free=size_text(entry["free"]), used=used, **trend_of(trend, now))
    if trend is not None:
        evidence["days"] = round((trend.full_at - now) / DAY, 1)
    for code, limit in (("nas.disk_90", parameters["disk_critical"]), ("nas.disk_80", parameters["disk_warning"])):
        if used >= limit:
            return fault(code, check, subject, evidence=evidence, value=used, threshold=limit, unit="%")
    return ok(check, subject, evidence=evidence, value=used, threshold=parameters["disk_warning"], unit="%")


def known(evidence: Mapping[str, Any]) -> dict[str, Any]:
    """Return evidence without what is empty."""
    return {name: value for name, value in evidence.items() if value not in (None, "", [])}
