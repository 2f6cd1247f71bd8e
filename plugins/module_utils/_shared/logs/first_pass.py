# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first pass over a log: find the lines that contain a literal of a signature, and hand them to the collector.

The host's own grep makes this pass. Without a usable grep, Python makes it, at about 20 MB a second.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from typing import IO, cast

from .limits import MEGABYTE, Limits
from .records import Collector
from .signatures import LITERALS, extended_regex

PIECE = MEGABYTE
GREP_MEMORY = 256 * MEGABYTE
_NEEDLES = tuple(literal.encode() for literal in LITERALS)


def collect(descriptor: int, start: int, end: int, limits: Limits, collector: Collector) -> int:
    """Hand the lines that contain a literal to the collector; returns the offset that was reached."""
    if end <= start or limits.over():
        return start
    if end - start > PIECE:
        reached, done = _grep(descriptor, start, end, limits, collector)
        if done:
            return reached
        start = reached
    return scan(_file_pieces(descriptor, start, end, limits), start, collector, end)


def _grep(descriptor: int, start: int, end: int, limits: Limits, collector: Collector) -> tuple[int, bool]:
    """Make the pass with grep; returns the offset that was reached, and False when Python must continue from there."""
    program = shutil.which("grep")
    if not program:
        return start, False
    try:
        file = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        file = os.dup(descriptor)
    try:
        os.lseek(file, start, os.SEEK_SET)
        process = subprocess.Popen(
            [program, "-a", "-b", "-E", "--line-buffered", "-e", extended_regex()],
            stdin=file,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            cwd="/",
        )
    except OSError:
        os.close(file)
        return start, False
    pipe = cast("IO[bytes]", process.stdout)
    try:
        with contextlib.suppress(OSError, ValueError):
            resource.prlimit(process.pid, resource.RLIMIT_AS, (GREP_MEMORY, GREP_MEMORY))
        reached, whole = _take(process, pipe, start, end, limits, collector)
        passed = os.lseek(file, 0, os.SEEK_CUR)
    except BaseException:
        process.kill()
        raise
    finally:
        pipe.close()
        if process.poll() is None and not _ends_soon(process):
            process.kill()
            process.wait()
        os.close(file)
    if not whole:  # the time is over; the next run reads again what grep had in its own buffer
        return min(end, max(reached, passed - 4 * MEGABYTE)), True
    return (end, True) if process.returncode in (0, 1) else (reached, reached >= end)


def _ends_soon(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(timeout=0.2)
    except subprocess.TimeoutExpired:
        return False
    return True


def _take(
    process: subprocess.Popen[bytes], pipe: IO[bytes], start: int, end: int, limits: Limits, collector: Collector
) -> tuple[int, bool]:
    """Read ``offset:line`` from grep; returns the end of the last line, and False when the time was over before the end.

    When the time is over, grep is killed and the lines that it has already written are read: the file was read on behind them.
    """
    rest, reached, stopped = b"", start, False
    while True:
        if not stopped and not select.select([pipe], [], [], limits.left())[0]:
            process.kill()
            stopped = True
        data = os.read(pipe.fileno(), 65536)
        if not data:
            return reached, not stopped
        lines = (rest + data).split(b"\n")
        rest = lines.pop()
        if len(rest) > 65536:  # one huge line: its beginning is enough
            rest = rest[:65536]
        for line in lines:
            place, colon, text = line.partition(b":")
            if not colon or not place.isdigit():
                return reached, True
            offset = start + int(place)
            if offset >= end:
                process.kill()
                process.wait()
                process.returncode = 0
                return end, True
            collector.feed(offset, text + b"\n")
            reached = offset + len(text) + 1
        if not stopped and limits.over():
            process.kill()
            stopped = True


def _file_pieces(descriptor: int, start: int, end: int, limits: Limits) -> Iterator[bytes]:
    while start < end and not limits.over():
        piece = os.pread(descriptor, min(PIECE, end - start), start)
        if not piece:
            return
        start += len(piece)
        yield piece


def scan(pieces: Iterable[bytes], start: int, collector: Collector, end: int = 0) -> int:
    """Make the pass in Python over pieces of a file that begin at ``start``; returns the offset that was reached.

    When the pieces stop before ``end``, an incomplete last line is left for the next run.
    """
    rest = b""
    for piece in pieces:
        data = rest + piece
        whole = data.rfind(b"\n") + 1
        if not whole and len(data) < PIECE:
            rest = data
            continue
        whole = whole or len(data)
        for begin, line in _lines_with_needles(data, whole):
            collector.feed(start + begin, line)
        start += whole
        rest = data[whole:]
    if start + len(rest) < end:
        return start
    for begin, line in _lines_with_needles(rest, len(rest)):
        collector.feed(start + begin, line)
    return start + len(rest)


def _lines_with_needles(data: bytes, size: int) -> list[tuple[int, bytes]]:
    """Return the lines of a piece that contain a literal, each with its offset in the piece."""
    begins = set()
    for needle in _NEEDLES:
        place = data.find(needle, 0, size)
        while place >= 0:
            begins.add(data.rfind(b"\n", 0, place) + 1)
            line_end = data.find(b"\n", place, size)
            place = data.find(needle, line_end, size) if line_end >= 0 else -1
    found = []
    for begin in sorted(begins):
        line_end = data.find(b"\n", begin, size)
        found.append((begin, data[begin : size if line_end < 0 else line_end + 1]))
    return found
