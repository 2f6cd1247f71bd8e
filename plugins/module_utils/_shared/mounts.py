# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mounts: read /proc/self/mountinfo, tell remote file systems from local ones, and measure how full a file system is."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import TypedDict

from .._core.children import call as bounded

MOUNTS = "/proc/self/mountinfo"
MAX_MOUNTS_TEXT = 4 * 1024 * 1024  # bytes
REMOTE_WITHIN = 2.0  # seconds for one remote file system that the parameters name
_REMOTE = frozenset(
    [
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "9p",
        "afs",
        "ceph",
        "glusterfs",
        "lustre",
        "beegfs",
        "gpfs",
        "ocfs2",
        "gfs2",
        "virtiofs",
        "vboxsf",
        "davfs",
    ]
)
# File systems on storage that can fill up; tmpfs and overlays are read only where they are named, or hold the root.
_REAL = frozenset(
    [
        "ext2",
        "ext3",
        "ext4",
        "xfs",
        "btrfs",
        "zfs",
        "jfs",
        "reiserfs",
        "f2fs",
        "bcachefs",
        "nilfs2",
        "vfat",
        "exfat",
        "msdos",
        "ntfs",
        "ntfs3",
        "fuseblk",
        "ufs",
        "hfsplus",
        "simfs",
    ]
)
_MEMORY = frozenset(("tmpfs", "ramfs", "overlay", "aufs"))


class MountEntry(TypedDict):
    """One line of mountinfo. root: the part of the device that is mounted; number: major:minor of the device."""

    mount: str
    device: str
    root: str
    type: str
    number: str
    read_only: bool


class Usage(TypedDict, total=False):
    """How full a file system is, in bytes and inodes; only ``error`` where it cannot be measured. free: for users other than root."""

    size: int
    used: int
    free: int
    files: int
    files_used: int
    files_free: int
    error: str


def parse_mounts(text: str) -> list[MountEntry]:
    """Return the mounts of a mountinfo; of several on the same mount point, only the last one is visible."""
    found: dict[str, MountEntry] = {}
    for line in text.split("\n"):
        fields = line.split(" ")
        if len(fields) < 10 or "-" not in fields[6:]:
            continue
        dash = fields.index("-", 6)
        if len(fields) < dash + 4:
            continue
        mount = _unescaped(fields[4])
        options = fields[5].split(",") + fields[dash + 3].split(",")
        found.pop(mount, None)  # a later mount hides an earlier one
        found[mount] = {
            "mount": mount,
            "device": _unescaped(fields[dash + 2]),
            "root": _unescaped(fields[3]),
            "type": fields[dash + 1],
            "number": fields[2],
            "read_only": "ro" in options,
        }
    return list(found.values())


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-3][0-7]{2})", lambda found: chr(int(found.group(1), 8)), text)


def is_remote(kind: str) -> bool:
    """Whether a file system of this type can hang with its network; the area nas checks those."""
    return kind in _REMOTE or (kind.startswith("fuse") and kind != "fuseblk")


def choose_mounts(mounts: Sequence[MountEntry], only: Sequence[str], paths: Sequence[str]) -> tuple[list[MountEntry], list[str]]:
    """Return the mounts to measure, each device once, and the mount points of ``only`` that are not mounted.

    Without ``only``, the mounts are the local ones that can fill up; ``paths`` adds the file system of each path.
    """
    by_mount = {entry["mount"]: entry for entry in mounts}
    missing = [wanted for wanted in only if normal_path(wanted) not in by_mount]
    if only:
        chosen = [by_mount[normal_path(wanted)] for wanted in only if normal_path(wanted) in by_mount]
    else:
        chosen = [entry for entry in mounts if entry["type"] in _REAL and not entry["read_only"]]
        chosen += [entry for entry in mounts if entry["mount"] == "/" and entry["type"] in _MEMORY]
    chosen += [entry for entry in (holder_of(by_mount, path) for path in paths) if entry]
    once: dict[str, MountEntry] = {}
    for entry in sorted(chosen, key=lambda one: len(one["mount"])):
        once.setdefault(_identity(entry), entry)
    return list(once.values()), missing


def normal_path(path: str) -> str:
    """Return a path without redundant separators and dots."""
    return os.path.normpath(path)


def _identity(entry: MountEntry) -> str:
    """Return a text that is equal for mounts of the same storage: btrfs gives each subvolume a number of its own."""
    return entry["device"] if entry["type"] == "btrfs" else entry["number"]


def holder_of(by_mount: Mapping[str, MountEntry], path: str) -> MountEntry | None:
    """Return the mount that a path lies in, derived from the names alone: no file system is touched."""
    path = normal_path(path)
    while path not in by_mount:
        above = os.path.dirname(path)
        if above == path:
            return by_mount.get("/")
        path = above
    return by_mount[path]


def usage_in_time(entry: MountEntry) -> Usage:
    """Return how full a file system is; a remote one is given REMOTE_WITHIN, ``error`` says what went wrong."""
    if not is_remote(entry["type"]):
        return usage_of(entry["mount"])
    outcome = bounded(lambda: usage_of(entry["mount"]), REMOTE_WITHIN)
    return outcome.value if outcome.error is None else {"error": outcome.error.message}


def usage_of(mount: str) -> Usage:
    """Return how full the file system is that holds a path."""
    try:
        found = os.statvfs(mount)
    except (OSError, ValueError) as error:
        return {"error": getattr(error, "strerror", None) or str(error)}
    return {
        "size": found.f_blocks * found.f_frsize,
        "used": (found.f_blocks - found.f_bfree) * found.f_frsize,
        "free": found.f_bavail * found.f_frsize,
        "files": found.f_files,
        "files_used": found.f_files - found.f_ffree,
        "files_free": found.f_favail,
        "error": "",
    }


def seen_source(device: str, root: str) -> str:
    """Return the source of a mount: its device, and for a bind mount of a folder the part of the device as well."""
    plain = device.rstrip("/")
    if root in ("/", "") or (plain.startswith("//") and plain.endswith(root)):
        return device  # when a folder of a share is mounted, both fields contain that folder
    return f"{plain}{root}"


def is_below(path: str, above: str) -> bool:
    """Whether a path equals another one or lies below it."""
    return path == above or path.startswith(above.rstrip("/") + "/") or os.path.normpath(above) == "/"
