# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the ends of text files and small files of the kernel; check whether other users can reach a file."""

from __future__ import annotations

import os
import re
import stat
from typing import Any

SMALL = 64 * 1024  # bytes: larger than the files of /proc that are read here, except /proc/stat of a very large machine


def tail(path: str, size: int) -> tuple[str, float]:
    """Return the end of a regular file as text, and its modification time; ("", 0.0) when it cannot be read."""
    if not path or path == os.devnull:
        return "", 0.0
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return "", 0.0
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            return "", 0.0
        data = os.pread(descriptor, size, max(0, found.st_size - size))
    except OSError:
        return "", 0.0
    finally:
        os.close(descriptor)
    if found.st_size > size:
        data = data.partition(b"\n")[2]
    return data.decode("utf-8", "replace"), found.st_mtime


def reachable_by_others(path: str) -> bool:
    """Whether other users may enter every folder above a file; they cannot reach a 0644 file in a 0700 home."""
    folder = os.path.dirname(os.path.realpath(path))
    while True:
        try:
            if not os.stat(folder).st_mode & stat.S_IXOTH:
                return False
        except OSError:
            return False
        if folder == "/":
            return True
        folder = os.path.dirname(folder)


def text_of(path: str, size: int = SMALL) -> str | None:
    """Return the beginning of a file as text, None when it cannot be read (or this kernel does not have it)."""
    try:
        with open(path, "rb") as file:
            return file.read(size).decode("utf-8", "replace")
    except (OSError, ValueError):
        return None


def whole(text: Any, default: int = 0) -> int:
    """Return the whole number that a text holds, the default for any other text; at most 20 digits."""
    found = re.fullmatch(r"\s*(-?\d{1,20})\s*", str(text))
    return int(found.group(1)) if found else default
