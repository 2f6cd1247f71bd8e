# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge whether a file is what its extension says, from its first and last blocks; with ``deep`` from all of it.

Manual 1, section 6: INVALID is a damaged file. Judged are the header and end of a PDF with the place of its xref table,
the directory of an XLSX (which is a zip archive), the header and sector table of an XLS (an OLE compound file), and
whether a CSV is text with even columns. Damaged files give codes, never exceptions.
"""

from __future__ import annotations

import contextlib
import csv
import io
import lzma
import os
import re
import stat
import struct
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ..._shared.nas_states import error_name

BLOCK = 16 * 1024  # bytes of the first and of the last block
DEEP_MOST = 256 * 1024 * 1024  # bytes of a file, and of what is packed in it, that ``deep`` reads
DAMAGED, WRONG_TYPE, EMPTY, UNREADABLE = (f"attachments.{name}" for name in ("damaged", "wrong_type", "empty", "unreadable"))
_OLE = bytes.fromhex("d0cf11e0a1b11ae1")
_DIFAT_MARK = 0xFFFFFFFC  # from here on numbers of sectors are marks: free, end of chain, table
_END_OF_CHAIN = 0xFFFFFFFE
_MOST_DIRECTORY = 64  # sectors of a directory that are followed
_ZIP_END, _ZIP_ENTRY, _ZIP_LOCAL = b"PK\x05\x06", b"PK\x01\x02", b"PK\x03\x04"
_ZIP64 = 0xFFFFFFFF
_XREF = re.compile(rb"\s*(?:xref\b|\d{1,10}\s+\d{1,5}\s+obj\b)")
_STARTXREF = re.compile(rb"startxref\s{1,10}(\d{1,12})\s")
# NotImplementedError: a way of packing that Excel does not use; it is a RuntimeError, and UnicodeError a ValueError.
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    OverflowError,
    MemoryError,
    LookupError,
    struct.error,
)
_BIFF_BEGINS = (b"\x09\x00", b"\x09\x02", b"\x09\x04", b"\x09\x08")


@dataclass(frozen=True)
class Verdict:
    """What is wrong with a content: a code ("" when nothing is), and a word for it that texts know."""

    code: str = ""
    why: str = ""
    kind: str = ""


FINE = Verdict()


@dataclass(frozen=True)
class Parts:
    """What was read of a file: its size, its first bytes and its last; ``deep``: what is packed in it is judged too."""

    size: int
    head: bytes
    tail: bytes
    deep: bool = False

    @property
    def whole(self) -> bool:
        """Whether the first bytes are all."""
        return len(self.head) >= self.size

    def at(self, offset: int, length: int) -> bytes | None:
        """Return bytes from an offset on, fewer at the end of the file, None where they were not read."""
        length = min(length, self.size - offset)
        if offset < 0 or length <= 0:
            return b""
        if offset + length <= len(self.head):
            return self.head[offset : offset + length]
        start = self.size - len(self.tail)
        return self.tail[offset - start : offset - start + length] if offset >= start else None


def read_parts(read: Callable[[int, int], bytes], size: int, *, deep: bool = False) -> Parts:
    """Read the parts of a file of this size; ``read`` takes an offset and a length. Not more than two blocks unless ``deep``."""
    if is_read_wholly(size, deep=deep):
        head = read(0, size)
        return Parts(len(head), head, head, deep)
    head, tail = read(0, BLOCK), read(size - BLOCK, BLOCK)
    return Parts(size - BLOCK + len(tail), head, tail)  # it may have become shorter meanwhile


def inspect_file(path: bytes | str, extension: str, *, deep: bool = False) -> Verdict:
    """Open a file, read its parts and judge them. A pipe or a device is not read, and nothing waits for a writer."""
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
    """Bytes that all readers together may hold; who wants more waits until others have let go of theirs."""

    def __init__(self, size: int) -> None:
        self.size = self.free = size
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def taken(self, wanted: int) -> Iterator[None]:
        """Hold so many bytes, or all there are."""
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
    """Return room in memory for a file that is read wholly; blocks need none."""
    return _ROOM.taken(size) if is_read_wholly(size, deep=deep) and size > 2 * BLOCK else contextlib.nullcontext()


def is_read_wholly(size: int, *, deep: bool) -> bool:
    """Whether a file of this size is read from its begin to its end."""
    return size <= 2 * BLOCK or (deep and size <= DEEP_MOST)


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
    """Say what is wrong with a content; one with an extension that has no rule is only told from nothing."""
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


def kind_of(head: bytes) -> str:
    """Return what the first bytes are: pdf, zip, ole, html, xml, gzip, image, text or binary."""
    start = head[:1024].lstrip(b"\xef\xbb\xbf \t\r\n")
    for kind, marks in _MAGIC:
        if start.lower().startswith(marks):
            return kind
    if b"%PDF-" in head[:1024]:
        return "pdf"
    return "binary" if b"\0" in head[:4096] and head[:2] not in (b"\xff\xfe", b"\xfe\xff") else "text"


_MAGIC = (
    ("pdf", (b"%pdf-",)),
    ("zip", (b"pk\x03\x04", b"pk\x05\x06")),
    ("ole", (_OLE.lower(),)),
    ("html", (b"<!doctype html", b"<html", b"<table", b"<head", b"<meta")),
    ("xml", (b"<?xml",)),
    ("gzip", (b"\x1f\x8b",)),
    ("image", (b"\x89png", b"gif8", b"\xff\xd8\xff")),
)


def _other(parts: Parts) -> Verdict:
    return Verdict(WRONG_TYPE, "", kind_of(parts.head))


# --- PDF


def _pdf(parts: Parts) -> Verdict:
    begins = parts.head[:1024].find(b"%PDF-")
    if begins < 0:
        return _other(parts)
    tail = parts.tail.rstrip(b"\0\r\n\t ")[-2048:]
    place = tail.rfind(b"%%EOF")
    if place < 0 or len(tail) - place > 1024:
        return Verdict(DAMAGED, "no_end")
    tables = _STARTXREF.findall(tail[:place])
    if not tables:
        return Verdict(DAMAGED, "no_table")
    # Offsets count from the header, which some writers do not put first.
    for offset in (int(tables[-1]), int(tables[-1]) + begins):
        found = parts.at(offset, 40)
        if found is None or (found and _XREF.match(found)):
            return FINE
    return Verdict(DAMAGED, "no_table")


# --- XLSX


def _xlsx(parts: Parts) -> Verdict:
    if parts.head.startswith(_OLE):
        # With a password the archive lies in an OLE container.
        return _ole(parts, (("EncryptedPackage",),))
    if not parts.head.startswith(_ZIP_LOCAL):
        return _other(parts)
    place = parts.tail.rfind(_ZIP_END)
    if place < 0 or len(parts.tail) - place < 22:
        return Verdict(DAMAGED, "no_end")
    entries, size, offset, comment = struct.unpack_from("<HIIH", parts.tail, place + 10)
    if _ZIP64 in (size, offset) or entries == 0xFFFF:
        return _unpacked(parts) if parts.deep else FINE
    ends = parts.size - len(parts.tail) + place
    if offset + size > ends or place + 22 + comment > len(parts.tail):
        return Verdict(DAMAGED, "no_directory")
    # A program that wrote something in front moved everything by as much.
    directory = parts.at(ends - size, size)
    if directory is None:
        return _unpacked(parts) if parts.deep else FINE
    names = _zip_names(directory, entries, ends - size)
    if names is None:
        return Verdict(DAMAGED, "no_directory")
    if not any(name.replace("\\", "/").lower().startswith("xl/workbook.") for name in names):
        return Verdict(WRONG_TYPE, "", "docx" if any(name.startswith("word/") for name in names) else "zip")
    return _unpacked(parts) if parts.deep else FINE


def _zip_names(directory: bytes, entries: int, before: int) -> list[str] | None:
    """Return the names in a zip directory, None where it is damaged: every entry must begin in front of the directory."""
    names, place = [], 0
    for _entry in range(entries):
        if directory[place : place + 4] != _ZIP_ENTRY or len(directory) - place < 46:
            return None
        packed, _unpacked_size, name, extra, comment = struct.unpack_from("<IIHHH", directory, place + 20)
        (offset,) = struct.unpack_from("<I", directory, place + 42)
        if _ZIP64 not in (packed, offset) and offset + packed + 30 > before:
            return None
        names.append(directory[place + 46 : place + 46 + name].decode("utf-8", "replace"))
        place += 46 + name + extra + comment
    return names if place <= len(directory) else None


def _unpacked(parts: Parts) -> Verdict:
    """Unpack everything and compare the checksums; what unpacks to very much is not read to its end."""
    left = DEEP_MOST
    try:
        with zipfile.ZipFile(io.BytesIO(parts.head)) as archive:
            for entry in archive.infolist():
                if entry.flag_bits & 1:
                    continue
                with archive.open(entry) as packed:
                    while left > 0:
                        piece = packed.read(min(1 << 20, left))
                        if not piece:
                            break
                        left -= len(piece)
    except _ZIP_ERRORS:
        return Verdict(DAMAGED, "checksum")
    return FINE


# --- XLS


def _xls(parts: Parts) -> Verdict:
    if parts.head.startswith(_OLE):
        return _ole(parts, (("Workbook",), ("Book",)))
    if parts.head[:2] in _BIFF_BEGINS and parts.size >= 8 and struct.unpack_from("<H", parts.head, 2)[0] in (4, 6, 8, 16):
        return FINE  # Excel 2 to 4 wrote no container
    return _other(parts)


def _ole(parts: Parts, streams: Sequence[Sequence[str]]) -> Verdict:
    """Judge a compound file: its header, that every sector in its table lies in the file, and that a wanted stream is there."""
    if parts.size < 1024 or len(parts.head) < 512:
        return Verdict(DAMAGED, "no_table")
    order, shift = struct.unpack_from("<HH", parts.head, 28)
    tables, directory = struct.unpack_from("<II", parts.head, 44)
    if order != 0xFFFE or shift not in (9, 12) or not tables:
        return Verdict(DAMAGED, "header")
    sector = 1 << shift
    # The header has a sector of its own, and the last one may be cut short by some writers.
    count = -(-(parts.size - sector) // sector)
    listed = [number for number in struct.unpack_from(f"<{min(tables, 109)}I", parts.head, 76) if number < _DIFAT_MARK]
    if not listed or directory >= count or any(number >= count for number in listed):
        return Verdict(DAMAGED, "cut_off")
    for place, number in enumerate(listed):
        table = parts.at((number + 1) * sector, sector)
        if table is not None and not _is_table(table, place * (sector // 4), count):
            return Verdict(DAMAGED, "cut_off")
    return _streams(parts, directory, sector, listed, streams)


def _is_table(table: bytes, first: int, count: int) -> bool:
    """Whether a piece of the sector table speaks of sectors that exist only; ``first`` is the sector of its first entry."""
    used = -(-len(table.rstrip(b"\xff")) // 4)  # behind it, all are free
    entries = set(struct.unpack_from(f"<{min(used, len(table) // 4)}I", table))
    return first + used <= count and all(entry < count or entry >= _DIFAT_MARK for entry in entries)


def _streams(parts: Parts, directory: int, sector: int, listed: Sequence[int], wanted: Sequence[Sequence[str]]) -> Verdict:
    """Judge the directory, as much of it as was read: it names the streams."""
    begin = parts.at((directory + 1) * sector, sector)
    if begin is None:
        return FINE
    if "Root Entry".encode("utf-16-le") not in begin[:64] and "R".encode("utf-16-le") != begin[:2]:
        return Verdict(DAMAGED, "no_directory")
    names, whole = _directory(parts, directory, sector, listed)
    names, whole = (parts.head, True) if parts.whole else (names, whole)
    if any(all(name.encode("utf-16-le") in names for name in those) for those in wanted):
        return FINE
    if "WordDocument".encode("utf-16-le") in names:
        return Verdict(WRONG_TYPE, "", "doc")
    return Verdict(WRONG_TYPE, "", "ole") if whole else FINE


def _directory(parts: Parts, first: int, sector: int, listed: Sequence[int]) -> tuple[bytes, bool]:
    """Follow the sectors of a directory as far as they were read; returns these, and whether they are all."""
    found, number, each = [], first, sector // 4
    for _sector in range(_MOST_DIRECTORY):
        data = parts.at((number + 1) * sector, sector)
        table = parts.at((listed[number // each] + 1) * sector, sector) if number // each < len(listed) else None
        if data is None:
            break
        found.append(data)
        if table is None or len(table) < sector:
            break
        (number,) = struct.unpack_from("<I", table, number % each * 4)
        if number >= _DIFAT_MARK:
            return b"".join(found), number == _END_OF_CHAIN
    return b"".join(found), False


# --- CSV


def _csv(parts: Parts) -> Verdict:
    kind = kind_of(parts.head)
    if kind != "text":
        return Verdict(DAMAGED, "binary") if kind == "binary" else Verdict(WRONG_TYPE, "", kind)
    if parts.whole and parts.size > 2 * BLOCK:
        return _csv_by_lines(parts.head)
    encoding = _encoding(parts)
    if not encoding:
        return Verdict(DAMAGED, "encoding")
    head = parts.head.decode(encoding, "ignore" if not parts.whole else "strict")
    if "\0" in head:
        return Verdict(DAMAGED, "binary")
    rows = _rows(head, cut=not parts.whole)
    if rows is None:
        return Verdict(DAMAGED, "quotes")
    if parts.whole or encoding.startswith("utf-16"):
        return _even(rows)
    tail = _whole_lines(parts.tail).decode(encoding, "ignore")
    if '"' in head or '"' in tail:
        return _even(rows)  # a quoted field may hold line ends, so a line in the middle may be none
    # Where not even the first line ends in the first block, its sign between columns is still known.
    more = _rows(tail, cut=False, delimiter=_delimiter(head))
    return _even([*rows, *(more or [])])


def _csv_by_lines(data: bytes) -> Verdict:
    """Judge a large file line by line: as one text, it would be several times as large in memory."""
    wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    if not wide and b"\0" in data:
        return Verdict(DAMAGED, "binary")
    for encoding in ("utf-16",) if wide else ("utf-8-sig", "cp949"):
        text = io.TextIOWrapper(io.BytesIO(data), encoding)
        columns: set[int] = set()
        quotes = False
        try:
            first = data[:BLOCK].decode(encoding, "ignore")
            try:
                columns.update(len(row) for row in csv.reader(text, delimiter=_delimiter(first), strict=True) if row)
            except csv.Error:
                quotes = True
                while text.read(1 << 20):
                    pass  # in another encoding, a quote may be half of a sign
        except UnicodeError:
            continue
        return Verdict(DAMAGED, "quotes") if quotes else _even(sorted(columns))
    return Verdict(DAMAGED, "encoding")


def _whole_lines(tail: bytes) -> bytes:
    """Return what of the last block is seen whole: what stands in front of its first line's end belongs to a longer line."""
    place = tail.find(b"\n")
    return tail[place + 1 :] if place >= 0 else b""


def _encoding(parts: Parts) -> str:
    candidates = ("utf-16",) if parts.head[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "cp949")
    for encoding in candidates:
        if _decodes(parts.head, encoding, parts.whole) and (
            parts.whole or encoding == "utf-16" or _decodes(_whole_lines(parts.tail), encoding, True)
        ):
            return encoding
    return ""


def _decodes(data: bytes, encoding: str, whole: bool) -> bool:
    """Whether bytes are text; where they are the beginning of more, the last sign may be cut."""
    for cut in range(1 if whole else 4):
        try:
            data[: len(data) - cut].decode(encoding)
        except UnicodeError:
            continue
        return True
    return False


def _rows(text: str, *, cut: bool, delimiter: str = "") -> list[int] | None:
    """Return the number of columns of each line that is not blank, None where quotes are wrong; ``cut``: the last line may go on."""
    lines = io.StringIO(text.replace("\r\n", "\n").replace("\r", "\n"))
    rows: list[int] = []
    try:
        for row in csv.reader(lines, delimiter=delimiter or _delimiter(text), strict=True):
            rows += [len(row)] if row else []
    except csv.Error:
        # A quote that is open at the end of the first block is closed behind it; the line that it stands in is not among these.
        return rows if cut and not lines.read(1) else None
    return rows[:-1] if cut else rows


def _delimiter(text: str) -> str:
    first = text.split("\n", 1)[0]
    return max(",;\t|", key=lambda sign: (first.count(sign), -",;\t|".index(sign)))


def _even(rows: Sequence[int]) -> Verdict:
    return FINE if len(set(rows)) <= 1 else Verdict(DAMAGED, "columns")


_RULES: dict[str, Callable[[Parts], Verdict]] = {".pdf": _pdf, ".xlsx": _xlsx, ".xls": _xls, ".csv": _csv}
