# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the state of mounts and of the folders in them, as the application's user.

An unmounted NAS is an empty local folder that lists fine, and root reads what the worker may not: so the kernel's list of
mounts is asked first, then the folders as that user. What hangs is asked in threads that are left behind with the child.
Manual 1, section 6; manual 2, section 7. Times are seconds, sizes are bytes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ..._core.children import user_id, user_name
from ..._core.errors import WrongQuestion
from ..._shared.dated_paths import Root, day_of, roots_of
from ..._shared.mounts import MAX_MOUNTS_TEXT, MOUNTS, holder_of, is_remote, parse_mounts, usage_of
from ..._shared.text_files import text_of
from ..._shared.threads import Crew
from ..attachments.content import reason_of

FSTAB = "/etc/fstab"
AT_ONCE = 16
# What a client says when its server has forgotten the handle, or has gone.
STALE = frozenset(
    [
        "ESTALE",
        "ENOTCONN",
        "EHOSTDOWN",
        "EHOSTUNREACH",
        "EIO",
        "EREMOTEIO",
        "ENODEV",
        "ENXIO",
        "ESHUTDOWN",
        "ECONNABORTED",
        "ECONNRESET",
        "ECONNREFUSED",
        "EPIPE",
    ]
)
SILENT = frozenset(("ETIMEDOUT", "ETIME", "EAGAIN", "EWOULDBLOCK"))
DENIED = frozenset(("EACCES", "EPERM"))
PARAMETERS = ("mounts", "paths", "as_user", "date", "timezone", "probe_within")
_REMEDY = "give the mount point, or {path: ..., source: nas-01:/mti/report, type: nfs}"


def owner(as_user: str | None = None, **_others: Any) -> int | None:
    """Return the user to become: the one that the worker runs as."""
    return user_id("as_user", as_user) if as_user else None


def mounts_of(given: Sequence[Any] | None) -> list[dict[str, str]]:
    """Return the expected mounts as ``path source type`` ("" for whatever); raises WrongQuestion for what is none."""
    found = []
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
) -> dict[str, Any]:
    """Return what is known of mounts and folders, after ``probe_within`` seconds at the latest.

    ``at user within``; ``mounts``: ``path source type`` (expected) ``mounted`` (None, or ``device root type read_only``) ``holder``
    (what lies there instead: ``mount device type``) ``in_fstab`` ``state error empty usage`` (see :func:`_probe`); ``paths``: see
    :func:`_path`; ``disks``: ``mount device type`` and usage of every file system that one of these lies in.
    """
    within = 3.0 if probe_within is None else probe_within
    if not 0 < within < 1e6:
        raise WrongQuestion("probe_within", probe_within, "is no time to wait", "give more than 0 seconds, less than the deadline")
    expected = mounts_of(mounts)
    folders = [root for root in roots_of(paths or [], day_of(date or "today", timezone or "Asia/Seoul", time.time())) if not root.is_s3]
    until = time.monotonic() + within
    before = _by_mount()
    asked = [*(("mount", entry["path"]) for entry in expected), *(("path", root) for root in folders)]
    holders = {entry["mount"] for entry in (holder_of(before, root.base) for root in folders) if entry} - {
        entry["path"] for entry in expected
    }
    asked += [("disk", mount) for mount in sorted(holders)]
    crew = Crew(lambda item: ((item, _ask(*item)), ()), most=max(AT_ONCE, len(asked)), until=until)
    answers = dict(crew.run(asked))
    # Asking may have mounted what is mounted on demand.
    known = _by_mount()
    silent = {"state": "silent", "error": "", "empty": None, "usage": None}
    looked = {entry["path"]: answers.get(("mount", entry["path"]), silent) for entry in expected}
    return {
        "at": time.time(),
        "user": user_name(os.geteuid()),
        "within": within,
        "mounts": [{**entry, **_mounted(entry, known), **looked[entry["path"]]} for entry in expected],
        "paths": [{**_told(root, known), **answers.get(("path", root), _SILENT_PATH)} for root in folders],
        "disks": _disks(expected, looked, known, {mount: answers.get(("disk", mount)) for mount in sorted(holders)}),
    }


def _by_mount() -> dict[str, dict[str, Any]]:
    return {entry["mount"]: entry for entry in parse_mounts(text_of(MOUNTS, MAX_MOUNTS_TEXT) or "")}


def _ask(kind: str, what: Any) -> dict[str, Any]:
    if kind == "path":
        return _path(what)
    return _probe(what) if kind == "mount" else usage_of(what)


def _mounted(entry: Mapping[str, str], known: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return what is mounted on a mount point, what holds it otherwise, and whether it would be mounted at boot."""
    found = known.get(entry["path"])
    # An automount point on which nothing is mounted yet is no mount.
    found = None if found is not None and found["type"] == "autofs" else found
    holder = holder_of(known, os.path.dirname(entry["path"])) if found is None else None
    return {
        "mounted": {name: found[name] for name in ("device", "root", "type", "read_only")} if found else None,
        "holder": {name: holder[name] for name in ("mount", "device", "type")} if holder else None,
        "in_fstab": entry["path"] in fstab_mounts(text_of(FSTAB) or ""),
    }


def fstab_mounts(text: str) -> list[str]:
    """Return the mount points in an fstab."""
    lines = (line.split() for line in text.split("\n") if not line.lstrip().startswith("#"))
    return [os.path.normpath(words[1].replace("\\040", " ")) for words in lines if len(words) >= 2 and words[1].startswith("/")]


def _probe(path: str) -> dict[str, Any]:
    """Return ``state`` (ok, stale, silent, denied, missing, error) ``error`` (the kernel's name) ``empty usage`` of a mount point.

    Its attributes may come from a cache; how full it is, and what it holds, the server must say.
    """
    answer: dict[str, Any] = {"state": "ok", "error": "", "empty": None, "usage": None}
    try:
        os.stat(path)
        usage = usage_of(path)
        with os.scandir(path) as entries:
            answer["empty"] = next(iter(entries), None) is None
        return {**answer, "usage": usage}
    except (OSError, ValueError) as error:
        why = reason_of(error)
        return {**answer, "state": state_of(why), "error": why}


def state_of(error: str) -> str:
    """Return what an error of a mount (the kernel's name) says of it."""
    if error in STALE:
        return "stale"
    if error in SILENT:
        return "silent"
    if error in DENIED:
        return "denied"
    return "missing" if error in ("ENOENT", "ENOTDIR") else "error"


# --- folders

_SILENT_PATH: dict[str, Any] = {"state": "silent", "error": "", "component": "", "need": "", "owner": "", "mode": "", "writable": False}


def _told(root: Root, known: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    holder = holder_of(known, root.base) or {}
    told = {"mount": holder.get("mount", ""), "type": holder.get("type", ""), "remote": is_remote(holder.get("type", ""))}
    return {"path": root.base, "given": root.given, **told}


def _path(root: Root) -> dict[str, Any]:
    """Return ``state`` (ok, missing, denied, stale, silent, error) ``error component need owner mode writable`` of a folder.

    component: the part of the path that stands in the way, and whose it is; need: what the user lacks there (x or rx).
    The folder of a day may be missing, that is a matter of the batch; where it is there, it must be open too.
    """
    answer = _walk_to(root.base)
    if answer["state"] == "ok" and root.is_dated:
        below = _walk_to(root.path)
        if below["state"] not in ("ok", "missing"):
            return below
        answer["writable"] = answer["writable"] or below["writable"]
    return answer


def _walk_to(path: str) -> dict[str, Any]:
    answer = {**_SILENT_PATH, "state": "ok"}
    for component in _components(path):
        last = component == path
        try:
            os.stat(component)
        except (OSError, ValueError) as error:
            why = reason_of(error)
            return {**answer, "state": state_of(why), "error": why, "component": component}
        if not os.access(component, os.R_OK | os.X_OK if last else os.X_OK):
            kind = "denied" if os.path.isdir(component) else "missing"
            told = {"state": kind, "error": "EACCES" if kind == "denied" else "ENOTDIR", "component": component}
            return {**answer, **told, **_owner_of(component), "need": "rx" if last else "x"}
    try:
        with os.scandir(path) as entries:
            next(iter(entries), None)
    except (OSError, ValueError) as error:
        why = reason_of(error)
        return {**answer, "state": state_of(why), "error": why, "component": path, **_owner_of(path), "need": "rx"}
    return {**answer, "writable": os.access(path, os.W_OK)}


def _components(path: str) -> list[str]:
    parts = path.strip("/").split("/") if path != "/" else []
    return ["/", *("/" + "/".join(parts[: number + 1]) for number in range(len(parts)))]


def _owner_of(path: str) -> dict[str, str]:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return {"owner": "", "mode": ""}
    return {"owner": user_name(found.st_uid), "mode": f"{found.st_mode & 0o7777:04o}"}


def _disks(
    expected: Sequence[Mapping[str, str]],
    looked: Mapping[str, Mapping[str, Any]],
    known: Mapping[str, Mapping[str, Any]],
    others: Mapping[str, Mapping[str, Any] | None],
) -> list[dict[str, Any]]:
    """Return each file system once, with ``error`` where it could not be asked; expected ones that are not mounted are left out."""
    usages: dict[str, Mapping[str, Any] | None] = dict(others)
    usages.update({entry["path"]: looked[entry["path"]]["usage"] for entry in expected if entry["path"] in known})
    found: dict[str, dict[str, Any]] = {}
    for mount, usage in usages.items():
        entry = known.get(mount)
        if entry is None or entry["type"] == "autofs":
            continue
        told = {name: entry[name] for name in ("mount", "device", "type")}
        found.setdefault(entry["number"], {**told, **(usage or {"error": "silent"})})
    return list(found.values())
