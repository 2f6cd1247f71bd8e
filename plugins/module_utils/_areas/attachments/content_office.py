# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge spreadsheets: XLSX is a zip archive with a directory at its end, XLS an OLE compound file with a table of sectors."""

from __future__ import annotations

import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Sequence

from .content_parts import (
    DAMAGED,
    DEEP_MOST,
    FINE,
    OLE_MAGIC,
    WRONG_TYPE,
    Parts,
    Verdict,
    other_type,
)

_DIFAT_MARK = 0xFFFFFFFC  # sector numbers from here on are marks: free, end of chain, table
_END_OF_CHAIN = 0xFFFFFFFE
_MOST_DIRECTORY = 64  # sectors of a directory that are followed
_ZIP_END, _ZIP_ENTRY, _ZIP_LOCAL = b"PK\x05\x06", b"PK\x01\x02", b"PK\x03\x04"
_ZIP64 = 0xFFFFFFFF
# RuntimeError covers NotImplementedError (a compression that Excel does not use), ValueError covers UnicodeError.
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


def judge_xlsx(parts: Parts) -> Verdict:
    """Return the verdict about an XLSX: its end and its directory, with ``deep`` the checksums too."""
    if parts.head.startswith(OLE_MAGIC):
        # An XLSX with a password is an archive in an OLE container.
        return _ole(parts, (("EncryptedPackage",),))
    if not parts.head.startswith(_ZIP_LOCAL):
        return other_type(parts)
    place = parts.tail.rfind(_ZIP_END)
    if place < 0 or len(parts.tail) - place < 22:
        return Verdict(DAMAGED, "no_end")
    entries, size, offset, comment = struct.unpack_from("<HIIH", parts.tail, place + 10)
    if _ZIP64 in (size, offset) or entries == 0xFFFF:
        return _unpacked(parts) if parts.deep else FINE
    ends = parts.size - len(parts.tail) + place
    if offset + size > ends or place + 22 + comment > len(parts.tail):
        return Verdict(DAMAGED, "no_directory")
    # Data in front of the archive shifts all offsets by its length.
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
    """Return the names in a zip directory, None for a damaged one; every entry must begin before the directory."""
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
    """Unpack everything and compare the checksums, up to DEEP_MOST bytes."""
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


def judge_xls(parts: Parts) -> Verdict:
    """Return the verdict about an XLS: its header, its table of sectors, and whether it holds a workbook."""
    if parts.head.startswith(OLE_MAGIC):
        return _ole(parts, (("Workbook",), ("Book",)))
    if parts.head[:2] in _BIFF_BEGINS and parts.size >= 8 and struct.unpack_from("<H", parts.head, 2)[0] in (4, 6, 8, 16):
        return FINE  # Excel 2 to 4 wrote no container
    return other_type(parts)


def _ole(parts: Parts, streams: Sequence[Sequence[str]]) -> Verdict:
    """Judge a compound file: its header, that every sector in its table lies in the file, and that it has one of the streams."""
    if parts.size < 1024 or len(parts.head) < 512:
        return Verdict(DAMAGED, "no_table")
    order, shift = struct.unpack_from("<HH", parts.head, 28)
    tables, directory = struct.unpack_from("<II", parts.head, 44)
    if order != 0xFFFE or shift not in (9, 12) or not tables:
        return Verdict(DAMAGED, "header")
    sector = 1 << shift
    # The header has a sector of its own, and some programs cut the last sector short.
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
    """Whether a piece of the sector table only names sectors that exist; ``first`` is the sector of its first entry."""
    used = -(-len(table.rstrip(b"\xff")) // 4)  # all entries behind it are free
    entries = set(struct.unpack_from(f"<{min(used, len(table) // 4)}I", table))
    return first + used <= count and all(entry < count or entry >= _DIFAT_MARK for entry in entries)


def _streams(parts: Parts, directory: int, sector: int, listed: Sequence[int], wanted: Sequence[Sequence[str]]) -> Verdict:
    """Judge the part of the directory that was read; it names the streams."""
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
    """Return the sectors of a directory as far as they were read, and whether these are all."""
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
