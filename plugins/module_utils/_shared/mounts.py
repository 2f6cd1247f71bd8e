# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mounts: what /proc/self/mountinfo says, which of them are remote, and how full a file system is."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from .._core.children import call as bounded

MOUNTS = "/proc/self/mountinfo"


MAX_MOUNTS_TEXT = 4 * 1024 * 1024


REMOTE_WITHIN = 2.0  # seconds for one remote file system that was asked for by name


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


# Only what stores files on something that fills up; tmpfs and overlays only where they are named, or are all there is.
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


def parse_mounts(text: str) -> list[dict[str, Any]]:
    """Return the mounts of a mountinfo, hidden ones left out.

    ``mount device root`` (the part of the device that is seen) ``type number`` (major:minor) ``read_only``.
    """
    found: dict[str, dict[str, Any]] = {}
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
    """Whether a type of file system may hang with its network: those belong to the area nas."""
    return kind in _REMOTE or (kind.startswith("fuse") and kind != "fuseblk")


def choose_mounts(mounts: Sequence[Mapping[str, Any]], only: Sequence[str], paths: Sequence[str]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the mounts to ask, each device once, and those of ``only`` that are not mounted.

    Without ``only`` these are the local ones that can fill up; ``paths`` adds the file system of each path.
    """
    by_mount = {entry["mount"]: entry for entry in mounts}
    missing = [wanted for wanted in only if _plain(wanted) not in by_mount]
    if only:
        chosen = [by_mount[_plain(wanted)] for wanted in only if _plain(wanted) in by_mount]
    else:
        chosen = [entry for entry in mounts if entry["type"] in _REAL and not entry["read_only"]]
        chosen += [entry for entry in mounts if entry["mount"] == "/" and entry["type"] in _MEMORY]
    chosen += [entry for entry in (holder_of(by_mount, path) for path in paths) if entry]
    once: dict[str, dict[str, Any]] = {}
    for entry in sorted(chosen, key=lambda one: len(one["mount"])):
        once.setdefault(_identity(entry), dict(entry))
    return list(once.values()), missing


def _plain(path: str) -> str:
    return os.path.normpath(path)


def _identity(entry: Mapping[str, Any]) -> str:
    """Return the same text for the same storage: btrfs gives each subvolume a number of its own."""
    return entry["device"] if entry["type"] == "btrfs" else entry["number"]


def holder_of(by_mount: Mapping[str, Mapping[str, Any]], path: str) -> Mapping[str, Any] | None:
    """Return the mount that a path lies in, by the names alone: no file system is asked."""
    path = _plain(path)
    while path not in by_mount:
        above = os.path.dirname(path)
        if above == path:
            return by_mount.get("/")
        path = above
    return by_mount[path]


def _filled(entry: Mapping[str, Any]) -> dict[str, Any]:
    if not is_remote(entry["type"]):
        return usage_of(entry["mount"])
    outcome = bounded(lambda: usage_of(entry["mount"]), REMOTE_WITHIN)
    return outcome.value if outcome.error is None else {"error": outcome.error.message}


def usage_of(mount: str) -> dict[str, Any]:
    """Return ``size used free files files_used files_free error`` of the file system that holds a path, in bytes and inodes."""
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
