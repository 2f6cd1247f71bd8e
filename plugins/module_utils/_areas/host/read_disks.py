# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read how full the file systems are, and how large the log folders. Never walks a whole disk.

Times are epoch seconds, sizes are bytes.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable, Sequence
from typing import Any, TypedDict, cast

from ..._core.source import Source
from ..._shared import series
from ..._shared.mounts import MAX_MOUNTS_TEXT, MOUNTS, MountEntry, choose_mounts, parse_mounts, usage_in_time
from ..._shared.text_files import text_of

MAX_ENTRIES = 20000  # files of one log folder that are counted
FOLDERS_WITHIN = 2.0  # seconds for the sizes of all log folders
DEEP = 3  # levels below a log folder that count for its size


class _Usage(TypedDict, total=False):
    size: int
    used: int  # as df shows it: the part that is reserved for root counts neither as used nor as free
    free: int
    files: int  # inodes
    files_used: int
    files_free: int


class DiskFacts(_Usage):
    """A file system; without its usage when there is an error."""

    mount: str
    device: str
    type: str
    error: str


class LargeFile(TypedDict):
    """A file of a log folder; name: relative to the folder."""

    name: str
    size: int


class FolderFacts(TypedDict):
    """A log folder."""

    path: str
    size: int
    whole: bool  # False where a limit of the walk cut it short
    largest: list[LargeFile]


class DisksFacts(TypedDict):
    """The file systems, and the log folders that may fill them."""

    at: float
    disks: list[DiskFacts]
    missing: list[str]  # mount points that were named and are not mounted
    folders: list[FolderFacts]


def read_disks(
    only: Sequence[str] | None = None, paths: Sequence[str] | None = None, log_folders: Sequence[str] | None = None
) -> DisksFacts:
    """Return how full the file systems are, and how large the log folders.

    only: mount points to read instead of all local file systems. paths: paths whose file systems are read as well.
    """
    mounts = parse_mounts(text_of(MOUNTS, MAX_MOUNTS_TEXT) or "")
    chosen, missing = choose_mounts(mounts, only or [], paths or [])
    return {
        "at": time.time(),
        "disks": [_disk(entry) for entry in chosen],
        "missing": missing,
        "folders": folder_sizes(log_folders or []),
    }


def _disk(entry: MountEntry) -> DiskFacts:
    known = {"mount": entry["mount"], "device": entry["device"], "type": entry["type"]}
    return cast(DiskFacts, {**known, **usage_in_time(entry)})


def folder_sizes(folders: Sequence[str]) -> list[FolderFacts]:
    """Return the space that log folders take on the disk, counted for FOLDERS_WITHIN; a folder that is absent is left out."""
    end = time.monotonic() + FOLDERS_WITHIN
    return [entry for entry in (_folder_size(folder, end) for folder in folders) if entry]


def _folder_size(folder: str, end: float) -> FolderFacts | None:
    waiting, size, seen = [(folder, 0)], 0, 0
    largest: list[tuple[int, str]] = []
    if not os.path.isdir(folder):
        return None
    while waiting and seen < MAX_ENTRIES and time.monotonic() < end:
        path, level = waiting.pop()
        for entry, found in _entries(path, MAX_ENTRIES - seen):
            seen += 1
            if stat.S_ISDIR(found.st_mode) and level < DEEP:
                waiting.append((entry, level + 1))
            elif stat.S_ISREG(found.st_mode):
                size += found.st_blocks * 512
                largest = sorted([*largest, (found.st_blocks * 512, entry)], reverse=True)[:3]
    names: list[LargeFile] = [{"name": os.path.relpath(path, folder), "size": held} for held, path in largest]
    return {"path": folder, "size": size, "whole": not waiting and seen < MAX_ENTRIES, "largest": names}


def _entries(folder: str, most: int) -> Iterable[tuple[str, os.stat_result]]:
    try:
        with os.scandir(folder) as listing:
            for number, entry in enumerate(listing):
                if number >= most:
                    return
                try:
                    yield entry.path, entry.stat(follow_symlinks=False)
                except OSError:
                    continue
    except (OSError, ValueError):
        return


def remember_disks(now: DisksFacts, former: Any) -> dict[str, Any]:
    """Return the series of each file system and each log folder, with the point of this run added."""
    kept = series.mapping(former)
    disks, folders = series.mapping(kept.get("disks")), series.mapping(kept.get("folders"))
    return {
        "disks": {
            disk_key(entry): series.add(disks.get(disk_key(entry)), [now["at"], entry["used"], entry["size"]])
            for entry in now["disks"]
            if not entry["error"]
        },
        "folders": {
            entry["path"]: series.add(folders.get(entry["path"]), [now["at"], entry["size"], 0])
            for entry in now["folders"]
            if entry["whole"]
        },
    }


def disk_key(entry: DiskFacts) -> str:
    """Return the name of the series of a file system."""
    return f"{entry['mount']} {entry['device']}"


DISKS = Source("host.disks", read_disks, ("only", "paths", "log_folders"), remember=remember_disks)
