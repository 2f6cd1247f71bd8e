# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what is new in one log, over every kind of rotation, fast and in bounded memory.

Times are epoch seconds, sizes are bytes.
"""

from __future__ import annotations

import os
import stat
import zlib
from collections.abc import Iterator, Mapping
from typing import IO, Any

from .cursors import Progress, cursor_at, cursor_of, end_of_lines, is_former, opened, skip, where_to_begin
from .dates import Clock
from .facts import Cursor
from .first_pass import PIECE, collect, scan
from .limits import Limits
from .paths import PACKED, rotated_names
from .records import RECORD_SPAN, Collector, Group

MAX_ROTATED = 4


def read_file(
    path: str, cursors: Mapping[str, Any], clock: Clock, limits: Limits, now: float
) -> tuple[Progress, Cursor | None, list[tuple[str, Group]]]:
    """Read what is new in a log since its cursor, beginning with the files that it was rotated to.

    Returns the progress, the new cursor (the old one when the file cannot be read), and the groups by key.
    """
    progress = Progress(path)
    before = cursor_of(path, cursors)
    found: list[tuple[str, Group]] = []
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        progress.problem = getattr(error, "strerror", None) or str(error)
        if before is not None and isinstance(error, FileNotFoundError):
            found += _rest(path, before, clock, limits, progress)
            return progress, None, found
        return progress, before, found
    try:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            progress.problem = "is not a file"
            return progress, before, found
        progress.size = about.st_size
        start, since = where_to_begin(descriptor, about, before, limits, now, progress)
        if progress.truncated and before is not None:
            found += _rest(path, before, clock, limits, progress)
            since = None
        end = end_of_lines(descriptor, start, about, now)
        collector = Collector(path, clock, about.st_mtime, since, lambda offset: _read_on(descriptor, offset))
        reached = collect(descriptor, start, end, limits, collector)
        progress.read += reached - start
        progress.behind = reached < end
        found += list(collector.finish((lambda offset: _to_end(descriptor, offset, end)) if reached >= end else None).items())
        progress.records += collector.records
        return progress, cursor_at(descriptor, about, reached), found
    except OSError as error:
        progress.problem = error.strerror or str(error)
        return progress, before, found
    finally:
        os.close(descriptor)


def _read_on(descriptor: int, offset: int) -> str:
    """Return the further lines of the message at an offset, up to a stack frame or the next error."""
    lines = os.pread(descriptor, 4096, offset).decode("utf-8", "replace").split("\n")[1:20]
    message = []
    for line in lines:
        if not line.strip() or line.lstrip("\x1b[0123456789;m").startswith(("    at ", "[Nest]", "Error", "Node.js")):
            break
        message.append(line)
    return "\n".join(message)


def _to_end(descriptor: int, offset: int, end: int) -> str:
    """Return the text between two offsets, at most RECORD_SPAN bytes; a line of dots stands for the rest."""
    text = os.pread(descriptor, min(end - offset, RECORD_SPAN), offset).decode("utf-8", "replace")
    return text if end - offset <= RECORD_SPAN else f"{text}\n..."


def _rest(path: str, before: Cursor, clock: Clock, limits: Limits, progress: Progress) -> list[tuple[str, Group]]:
    """Read the rest of a log's former content in the file that it was rotated to, and the newer rotated files."""
    if before["offset"] == 0 and before["head_size"] == 0:
        return []
    names = rotated_names(path)
    source = next((name for name in names if is_former(name, before)), None)
    if source is None:
        progress.lost = True
        return []
    found = _read_rotated(source, before["offset"], clock, limits, progress)
    modified = os.stat(source).st_mtime
    family = [name for name in names if name.startswith(path) and name != source and os.stat(name).st_mtime > modified]
    for name in sorted(family, key=lambda one: os.stat(one).st_mtime)[:MAX_ROTATED]:
        found += _read_rotated(name, 0, clock, limits, progress)
    return found


def _read_rotated(name: str, start: int, clock: Clock, limits: Limits, progress: Progress) -> list[tuple[str, Group]]:
    collector = Collector(name, clock, os.stat(name).st_mtime)
    try:
        with opened(name) as file:
            if name.endswith(PACKED):
                reached = scan(_pieces(file, start, limits), start, collector)
            else:
                end = os.fstat(file.fileno()).st_size
                begin = skip(file.fileno(), start, end, limits.more, progress)
                reached = collect(file.fileno(), begin, end, limits, collector)
                progress.behind = progress.behind or reached < end
    except (OSError, EOFError, zlib.error) as error:
        progress.problem = f"{name}: {getattr(error, 'strerror', None) or error}"
        return []
    progress.rotated.append(name)
    progress.read += max(0, reached - start)
    found = list(collector.finish().items())
    progress.records += collector.records
    return found


def _pieces(file: IO[bytes], start: int, limits: Limits) -> Iterator[bytes]:
    """Yield the pieces of a packed file from an offset on, at most ``limits.more`` bytes."""
    passed = 0
    while passed < start + limits.more and not limits.over():
        piece = file.read(PIECE)
        if not piece:
            return
        passed += len(piece)
        if passed > start:
            yield piece[max(0, len(piece) - (passed - start)) :]
