# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FIXME: say what this file holds."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..._core.source import Source
from ..._shared import series
from ..._shared.mounts import MAX_MOUNTS_TEXT, MOUNTS, _filled, choose_mounts, parse_mounts
from ..._shared.text_files import text_of

MAX_ENTRIES = 20000  # files looked at in one log folder


FOLDERS_WITHIN = 2.0  # seconds for the sizes of all log folders


DEEP = 3  # levels below a log folder that count for its size


def read_disks(only: Sequence[str] | None = None, paths: Sequence[str] | None = None, log_folders: Sequence[str] | None = None) -> Any:
    """Return how full the file systems are, and how large the log folders.

    ``at``; ``disks``: ``mount device type size used free files files_used files_free error``, used and free as df shows
    them (what is kept for root counts as neither); ``missing``: mounts of ``only`` that are not mounted; ``folders``:
    ``path size whole largest`` (``name size``), whole is False where the limits of the walk cut it short.
    """
    mounts = parse_mounts(text_of(MOUNTS, MAX_MOUNTS_TEXT) or "")
    chosen, missing = choose_mounts(mounts, only or [], paths or [])
    return {
        "at": time.time(),
        "disks": [{**_without_number(entry), **_filled(entry)} for entry in chosen],
        "missing": missing,
        "folders": folder_sizes(log_folders or []),
    }


def _without_number(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: entry[key] for key in ("mount", "device", "type")}


def folder_sizes(folders: Sequence[str]) -> list[dict[str, Any]]:
    """Return what log folders hold on the disk, as far as two seconds reach; a folder that is absent is left out."""
    end = time.monotonic() + FOLDERS_WITHIN
    return [entry for entry in (_folder_size(folder, end) for folder in folders) if entry]


def _folder_size(folder: str, end: float) -> dict[str, Any] | None:
    waiting, size, seen, largest = [(folder, 0)], 0, 0, []
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
    names = [{"name": os.path.relpath(path, folder), "size": held} for held, path in largest]
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


def remember_disks(now: Mapping[str, Any], former: Any) -> dict[str, Any]:
    """Return the series of each file system and each log folder with the point of this run."""
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


def disk_key(entry: Mapping[str, Any]) -> str:
    return f"{entry['mount']} {entry['device']}"


DISKS = Source("host.disks", read_disks, ("only", "paths", "log_folders"), remember=remember_disks)
