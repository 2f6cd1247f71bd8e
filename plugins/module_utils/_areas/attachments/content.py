# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge whether a file is what its extension says, from its first and last blocks; with ``deep`` from all of it.

Manual 1, section 6: a damaged file is INVALID. A PDF is judged by its header, its end and its xref table; see content_office.py for
XLSX and XLS, content_csv.py for CSV. A damaged file gives a code, never an exception.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import struct
import threading
from collections.abc import Callable, Iterator

from ..._shared.nas_states import error_name
from .content_csv import judge_csv
from .content_office import judge_xls, judge_xlsx
from .content_parts import (
    BLOCK,
    DAMAGED,
    DEEP_MOST,
    EMPTY,
    FINE,
    UNREADABLE,
    Parts,
    Verdict,
    is_read_wholly,
    other_type,
    read_parts,
)

_XREF = re.compile(rb"\s*(?:xref\b|\d{1,10}\s+\d{1,5}\s+obj\b)")
_STARTXREF = re.compile(rb"startxref\s{1,10}(\d{1,12})\s")


def inspect_file(path: bytes | str, extension: str, *, deep: bool = False) -> Verdict:
    """Return the verdict about a file; a pipe or a device is not read, and opening never waits for a writer."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except (OSError, ValueError) as error:
        return Verdict(UNREADABLE, error_name(error))
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            return Verdict(UNREADABLE, "not_a_file")
        if not found.st_size:
            return Verdict(EMPTY)
        with room_for(found.st_size, deep=deep):
            parts = read_parts(lambda offset, length: _exactly(descriptor, offset, length), found.st_size, deep=deep)
            return judge(extension, parts)
    except OSError as error:
        return Verdict(UNREADABLE, error_name(error))
    finally:
        os.close(descriptor)


class _Room:
    """The memory that all readers share; a reader that needs more than is free waits for the others."""

    def __init__(self, size: int) -> None:
        self.size = self.free = size
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def taken(self, wanted: int) -> Iterator[None]:
        """Reserve so many bytes, at most the whole memory."""
        wanted = min(wanted, self.size)
        with self._changed:
            self._changed.wait_for(lambda: self.free >= wanted)
            self.free -= wanted
        try:
            yield
        finally:
            with self._changed:
                self.free += wanted
                self._changed.notify_all()


_ROOM = _Room(DEEP_MOST)


def room_for(size: int, *, deep: bool) -> contextlib.AbstractContextManager[None]:
    """Return a reservation of memory for a file that is read wholly; blocks need none."""
    return _ROOM.taken(size) if is_read_wholly(size, deep=deep) and size > 2 * BLOCK else contextlib.nullcontext()


def _exactly(descriptor: int, offset: int, length: int) -> bytes:
    pieces = []
    while length > 0:
        piece = os.pread(descriptor, length, offset)
        if not piece:
            break
        pieces.append(piece)
        offset, length = offset + len(piece), length - len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def judge(extension: str, parts: Parts) -> Verdict:
    """Return what is wrong with the contents; for an extension without a rule, only whether the file is empty."""
    if not parts.size:
        return Verdict(EMPTY)
    rule = _RULES.get(extension)
    if rule is None:
        return FINE
    if not parts.head[0] and not parts.head.strip(b"\0"):
        return Verdict(DAMAGED, "zeros")
    try:
        return rule(parts)
    except (ValueError, IndexError, OverflowError, struct.error):
        return Verdict(DAMAGED, "structure")


# --- PDF


def _pdf(parts: Parts) -> Verdict:
    begins = parts.head[:1024].find(b"%PDF-")
    if begins < 0:
        return other_type(parts)
    tail = parts.tail.rstrip(b"\0\r\n\t ")[-2048:]
    place = tail.rfind(b"%%EOF")
    if place < 0 or len(tail) - place > 1024:
        return Verdict(DAMAGED, "no_end")
    tables = _STARTXREF.findall(tail[:place])
    if not tables:
        return Verdict(DAMAGED, "no_table")
    # Offsets count from the header, which some programs do not put first.
    for offset in (int(tables[-1]), int(tables[-1]) + begins):
        found = parts.at(offset, 40)
        if found is None or (found and _XREF.match(found)):
            return FINE
    return Verdict(DAMAGED, "no_table")


# --- XLSX


# --- XLS


# --- CSV


_RULES: dict[str, Callable[[Parts], Verdict]] = {".pdf": _pdf, ".xlsx": judge_xlsx, ".xls": judge_xls, ".csv": judge_csv}
