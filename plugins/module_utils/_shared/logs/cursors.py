# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cursors: how far a log was read, and where the next run continues.

A cursor is the inode, the offset and a fingerprint of the beginning of a file. Sizes are bytes.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import stat
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import IO, Any, cast

from .facts import Cursor, FileFacts
from .first_pass import PIECE
from .limits import Limits
from .paths import PACKED

HEAD = 1024  # bytes of the beginning of a file that go into its fingerprint
IDLE_AFTER = 8 * 86400  # seconds without a write after which a first run does not read a file
STILL_WRITING = 5.0  # seconds without a write after which a last line without an end counts as complete


@dataclass
class Progress:
    """How far one file was read, and what was left out."""

    path: str
    process: str = ""
    size: int = 0
    read: int = 0
    skipped: int = 0  # bytes beyond the limit
    truncated: bool = False  # it shrank or was replaced since the last run
    rotated: list[str] = field(default_factory=list)
    behind: bool = False  # the time was over before its end was reached
    lost: bool = False  # the rest of its former content no longer exists
    problem: str = ""
    records: int = 0

    def as_facts(self) -> FileFacts:
        """Return the fields as a dictionary for JSON."""
        return cast(FileFacts, asdict(self))


def cursor_of(path: str, cursors: Mapping[str, Any]) -> Cursor | None:
    """Return the cursor of a file, under its former path when it was renamed; None when there is none or it is damaged."""
    cursor = cursors.get(path)
    if cursor is None:
        with contextlib.suppress(OSError, ValueError):
            inode = os.stat(path).st_ino
            cursor = next((other for other in cursors.values() if isinstance(other, dict) and other.get("inode") == inode), None)
            if cursor is not None and _fingerprint_of(path, cursor) != cursor.get("head"):
                cursor = None
    right = isinstance(cursor, dict) and all(isinstance(cursor.get(key), int) for key in ("inode", "offset", "head_size"))
    return cast(Cursor, cursor) if right else None


def cursor_at(descriptor: int, about: os.stat_result, offset: int) -> Cursor:
    """Return the cursor of an open file at an offset."""
    size = min(HEAD, offset)
    head = hashlib.sha256(os.pread(descriptor, size, 0)).hexdigest()[:16]
    return {"inode": about.st_ino, "offset": offset, "head": head, "head_size": size, "at": about.st_mtime}


def where_to_begin(
    descriptor: int, about: os.stat_result, before: Cursor | None, limits: Limits, now: float, progress: Progress
) -> tuple[int, float | None]:
    """Return the offset to begin at, and the time of the former run (None for a first read of this content)."""
    if before is None:
        if now - about.st_mtime > IDLE_AFTER:
            return about.st_size, None
        return skip(descriptor, 0, about.st_size, limits.first, progress), None
    head = hashlib.sha256(os.pread(descriptor, before["head_size"], 0)).hexdigest()[:16]
    if about.st_ino == before["inode"] and about.st_size >= before["offset"] and head == before.get("head"):
        at = before.get("at")
        since = float(at) if isinstance(at, (int, float)) else None
        return skip(descriptor, before["offset"], about.st_size, limits.more, progress), since
    progress.truncated = True
    return skip(descriptor, 0, about.st_size, limits.more, progress), None


def skip(descriptor: int, start: int, size: int, most: int, progress: Progress) -> int:
    """Return the start of the line from which at most ``most`` bytes are left; adds what is left out to the progress."""
    if size - start <= most:
        return start
    begin = size - most
    piece = os.pread(descriptor, 65536, begin)
    begin += piece.find(b"\n") + 1
    progress.skipped += begin - start
    return begin


def end_of_lines(descriptor: int, start: int, about: os.stat_result, now: float) -> int:
    """Return the end of the last complete line; a line without an end counts once nothing was written for STILL_WRITING."""
    end = about.st_size
    if end <= start or now - about.st_mtime > STILL_WRITING:
        return max(start, end)
    begin = max(start, end - PIECE)
    last = os.pread(descriptor, end - begin, begin).rfind(b"\n")
    return begin + last + 1 if last >= 0 else (start if begin == start else end)


def is_former(name: str, before: Cursor) -> bool:
    """Return whether a file has the content that a log had when its cursor was set."""
    try:
        if name.endswith(PACKED):
            return _fingerprint_of(name, before) == before.get("head")
        about = os.stat(name)
        return about.st_size >= before["offset"] and _fingerprint_of(name, before) == before.get("head")
    except (OSError, EOFError, zlib.error):
        return False


def _fingerprint_of(name: str, before: Mapping[str, Any]) -> str:
    with opened(name) as file:
        return hashlib.sha256(file.read(before["head_size"])).hexdigest()[:16]


def opened(name: str) -> IO[bytes]:
    """Return a log or a gzip file of it, opened for reading; raises OSError when it is not a regular file."""
    if not stat.S_ISREG(os.stat(name).st_mode):
        raise OSError(22, "is not a file")
    return cast(IO[bytes], gzip.open(name, "rb")) if name.endswith(PACKED) else open(name, "rb")
