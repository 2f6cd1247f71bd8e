# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The source nas.state: the state of the mounts and of the folders in them, read as the user of the worker.

An unmounted NAS looks like an empty local folder, and root can read folders that are closed to the worker. So the reader takes the
kernel's list of mounts first, then reads the folders as that user. Threads touch the mounts; a thread that hangs is left behind with
the child. Manual 1, section 6; manual 2, section 7. Times are seconds, sizes are bytes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ..._core.children import user_id, user_name
from ..._core.errors import WrongQuestion
from ..._core.source import Source
from ..._shared import series
from ..._shared.dated_paths import Root, day_of, roots_of
from ..._shared.mounts import MAX_MOUNTS_TEXT, MOUNTS, MountEntry, Usage, holder_of, is_remote, parse_mounts, usage_of
from ..._shared.nas_states import error_name, state_of
from ..._shared.text_files import text_of
from ..._shared.threads import Crew
from .facts import DiskFacts, ExpectedMount, Holder, Mounted, MountFacts, NasState, PathAnswer, PathFacts, Probe

FSTAB = "/etc/fstab"
AT_ONCE = 16  # threads, at least
WITHOUT_ANSWER = "without answer"  # the key of what did not answer, beside the keys of file systems
_REMEDY = "give the mount point, or {path: ..., source: nas-01:/mti/report, type: nfs}"
_SILENT: Probe = {"state": "silent", "error": "", "empty": None, "usage": None}
_SILENT_PATH: PathAnswer = {"state": "silent", "error": "", "component": "", "need": "", "owner": "", "mode": "", "writable": False}


def owner(as_user: str | None = None, **_others: Any) -> int | None:
    """Return the id of the user that the worker runs as, None to stay the present user."""
    return user_id("as_user", as_user) if as_user else None


def mounts_of(given: Sequence[Any] | None) -> list[ExpectedMount]:
    """Return the expected mounts; raises WrongQuestion for an entry that is none."""
    found: list[ExpectedMount] = []
    for number, entry in enumerate(given or []):
        known = {"path": entry} if isinstance(entry, str) else dict(entry) if isinstance(entry, Mapping) else {}
        if set(known) - {"path", "source", "type"} or not str(known.get("path") or "").startswith("/"):
            raise WrongQuestion(f"mounts[{number}]", entry, "is no mount", _REMEDY)
        path = os.path.normpath("/" + str(known["path"]).lstrip("/"))
        found.append({"path": path, "source": str(known.get("source") or ""), "type": str(known.get("type") or "")})
    return found


def read(
    mounts: Sequence[Any] | None = None,
    paths: Sequence[str] | None = None,
    date: str | None = None,
    timezone: str | None = None,
    probe_within: float | None = None,
    **_others: Any,
) -> NasState:
    """Return the state of mounts, folders and their file systems after ``probe_within`` seconds at the latest.

    disks: every file system that a mount or a folder lies in, once. Raises WrongQuestion for parameters that cannot be used.
    """
    within = 3.0 if probe_within is None else probe_within
    if not 0 < within < 1e6:
        raise WrongQuestion("probe_within", probe_within, "is no time to wait", "give more than 0 seconds, less than the deadline")
    expected = mounts_of(mounts)
    folders = [root for root in roots_of(paths or [], day_of(date or "today", timezone or "Asia/Seoul", time.time())) if not root.is_s3]
    until = time.monotonic() + within
    before = _by_mount()
    mounted = {entry["path"] for entry in expected}
    holders = sorted({entry["mount"] for entry in (holder_of(before, root.base) for root in folders) if entry} - mounted)
    tasks: list[tuple[str, Any]] = [("mount", entry["path"]) for entry in expected]
    tasks += [("path", root) for root in folders]
    tasks += [("disk", mount) for mount in holders]
    crew = Crew(lambda task: ((task, _read_one(*task)), ()), most=max(AT_ONCE, len(tasks)), until=until)
    answers: dict[tuple[str, Any], Any] = dict(crew.run(tasks))
    known = _by_mount()  # again: reading may have mounted what is mounted on demand
    probes: dict[str, Probe] = {entry["path"]: answers.get(("mount", entry["path"]), _SILENT) for entry in expected}
    return {
        "at": time.time(),
        "user": user_name(os.geteuid()),
        "within": within,
        "mounts": [_mount_facts(entry, probes[entry["path"]], known) for entry in expected],
        "paths": [_path_facts(root, answers.get(("path", root), _SILENT_PATH), known) for root in folders],
        "disks": _disks(expected, probes, known, {mount: answers.get(("disk", mount)) for mount in holders}),
    }


def _by_mount() -> dict[str, MountEntry]:
    return {entry["mount"]: entry for entry in parse_mounts(text_of(MOUNTS, MAX_MOUNTS_TEXT) or "")}


def _read_one(kind: str, what: Any) -> Probe | PathAnswer | Usage:
    if kind == "path":
        return _read_path(what)
    return _probe(what) if kind == "mount" else usage_of(what)


# --- mounts


def _mount_facts(expected: ExpectedMount, probe: Probe, known: Mapping[str, MountEntry]) -> MountFacts:
    """Return an expected mount with what is mounted there, what holds it otherwise, and whether it is in fstab."""
    path = expected["path"]
    found = known.get(path)
    if found is not None and found["type"] == "autofs":
        found = None  # an automount point on which nothing is mounted yet
    mounted: Mounted | None = None
    if found is not None:
        mounted = {"device": found["device"], "root": found["root"], "type": found["type"], "read_only": found["read_only"]}
    above = holder_of(known, os.path.dirname(path)) if found is None else None
    holder: Holder | None = {"mount": above["mount"], "device": above["device"], "type": above["type"]} if above else None
    in_fstab = path in fstab_mounts(text_of(FSTAB) or "")
    return {
        "path": path,
        "source": expected["source"],
        "type": expected["type"],
        "mounted": mounted,
        "holder": holder,
        "in_fstab": in_fstab,
        **probe,
    }


def fstab_mounts(text: str) -> list[str]:
    """Return the mount points in an fstab."""
    lines = (line.split() for line in text.split("\n") if not line.lstrip().startswith("#"))
    return [os.path.normpath(words[1].replace("\\040", " ")) for words in lines if len(words) >= 2 and words[1].startswith("/")]


def _probe(path: str) -> Probe:
    """Return the answer of a mount point.

    The client may answer a request for attributes from its cache; only the server knows the usage and the contents.
    """
    try:
        os.stat(path)
        usage = usage_of(path)
        with os.scandir(path) as entries:
            empty = next(iter(entries), None) is None
    except (OSError, ValueError) as error:
        why = error_name(error)
        return {"state": state_of(why), "error": why, "empty": None, "usage": None}
    return {"state": "ok", "error": "", "empty": empty, "usage": usage}


# --- folders


def _path_facts(root: Root, answer: PathAnswer, known: Mapping[str, MountEntry]) -> PathFacts:
    holder = holder_of(known, root.base)
    mount, kind = (holder["mount"], holder["type"]) if holder else ("", "")
    return {"path": root.base, "given": root.given, "mount": mount, "type": kind, "remote": is_remote(kind), **answer}


def _read_path(root: Root) -> PathAnswer:
    """Return the answer of a folder.

    The folder of a day may be missing, since the batch makes it; where it exists, it must be open as well.
    """
    answer = _walk_to(root.base)
    if answer["state"] == "ok" and root.is_dated:
        below = _walk_to(root.path)
        if below["state"] not in ("ok", "missing"):
            return below
        answer["writable"] = answer["writable"] or below["writable"]
    return answer


def _walk_to(path: str) -> PathAnswer:
    """Test each part of a path, then list the folder; the first part that fails is the answer."""
    for component in _components(path):
        last = component == path
        try:
            os.stat(component)
        except (OSError, ValueError) as error:
            return _failed(component, error_name(error))
        if not os.access(component, os.R_OK | os.X_OK if last else os.X_OK):
            why = "EACCES" if os.path.isdir(component) else "ENOTDIR"
            return _failed(component, why, "rx" if last else "x")
    try:
        with os.scandir(path) as entries:
            next(iter(entries), None)
    except (OSError, ValueError) as error:
        return _failed(path, error_name(error), "rx")
    return {**_SILENT_PATH, "state": "ok", "writable": os.access(path, os.W_OK)}


def _failed(component: str, why: str, need: str = "") -> PathAnswer:
    """Return the answer for the part of a path that fails; with the permission that it needs, also its owner and mode."""
    answer: PathAnswer = {**_SILENT_PATH, "state": state_of(why), "error": why, "component": component}
    if need:
        answer["owner"], answer["mode"] = _owner_of(component)
        answer["need"] = need
    return answer


def _components(path: str) -> list[str]:
    parts = path.strip("/").split("/") if path != "/" else []
    return ["/", *("/" + "/".join(parts[: number + 1]) for number in range(len(parts)))]


def _owner_of(path: str) -> tuple[str, str]:
    """Return the owner and the mode of a path, "" where they cannot be read."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return "", ""
    return user_name(found.st_uid), f"{found.st_mode & 0o7777:04o}"


# --- file systems


def _disks(
    expected: Sequence[ExpectedMount],
    probes: Mapping[str, Probe],
    known: Mapping[str, MountEntry],
    others: Mapping[str, Usage | None],
) -> list[DiskFacts]:
    """Return each file system once, with ``error`` where it cannot be measured; expected mounts that are not mounted are left out."""
    usages: dict[str, Usage | None] = dict(others)
    usages.update({entry["path"]: probes[entry["path"]]["usage"] for entry in expected if entry["path"] in known})
    found: dict[str, DiskFacts] = {}
    for mount, usage in usages.items():
        entry = known.get(mount)
        if entry is None or entry["type"] == "autofs":
            continue
        measured: Usage = usage or {"error": "silent"}
        found.setdefault(entry["number"], {"mount": entry["mount"], "device": entry["device"], "type": entry["type"], **measured})
    return list(found.values())


# --- what the next run gets


def remember(now: NasState, former: Any) -> dict[str, Any]:
    """Return the series of each file system with the point of this run, and the paths that did not answer."""
    kept = {name: value for name, value in series.mapping(former).items() if name != WITHOUT_ANSWER}
    grown = {
        disk_key(entry): series.add(kept.get(disk_key(entry)), [now["at"], entry["used"], entry["size"]])
        for entry in now["disks"]
        if not entry["error"] and entry["size"]
    }
    silent = [entry["path"] for entry in now["mounts"] if entry["state"] == "silent"]
    silent += [entry["path"] for entry in now["paths"] if entry["state"] == "silent"]
    # kept: the series of a mount that is absent today stays, for the day when it is back.
    return {**kept, **grown, **({WITHOUT_ANSWER: silent} if silent else {})}


def disk_key(entry: DiskFacts) -> str:
    """Return the key under which the series of a file system is kept."""
    return f"{entry['mount']} {entry['device']}"


STATE = Source(
    "nas.state",
    read,
    ("mounts", "paths", "as_user", "date", "timezone", "probe_within"),
    limits=("probe_within",),
    owner=owner,
    remember=remember,
    exclusive=("mounts", "paths"),
)
