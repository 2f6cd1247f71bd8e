# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a file that are read, the verdict about them, and the kinds that the first bytes show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

BLOCK = 16 * 1024  # bytes of the first and of the last block
DEEP_MOST = 256 * 1024 * 1024  # bytes of a file, and of what is packed in it, that ``deep`` reads
DAMAGED, WRONG_TYPE, EMPTY, UNREADABLE = (f"attachments.{name}" for name in ("damaged", "wrong_type", "empty", "unreadable"))
OLE_MAGIC = bytes.fromhex("d0cf11e0a1b11ae1")


@dataclass(frozen=True)
class Verdict:
    """What is wrong with the contents of a file: a code ("" for nothing), a reason that the texts know, and the kind that it is instead."""

    code: str = ""
    why: str = ""
    kind: str = ""


FINE = Verdict()


@dataclass(frozen=True)
class Parts:
    """What was read of a file: its size, its first and its last bytes; ``deep``: packed contents are judged too."""

    size: int
    head: bytes
    tail: bytes
    deep: bool = False

    @property
    def whole(self) -> bool:
        """Whether the first bytes are the whole file."""
        return len(self.head) >= self.size

    def at(self, offset: int, length: int) -> bytes | None:
        """Return bytes from an offset on, fewer at the end of the file, None for a part that was not read."""
        length = min(length, self.size - offset)
        if offset < 0 or length <= 0:
            return b""
        if offset + length <= len(self.head):
            return self.head[offset : offset + length]
        start = self.size - len(self.tail)
        return self.tail[offset - start : offset - start + length] if offset >= start else None


def read_parts(read: Callable[[int, int], bytes], size: int, *, deep: bool = False) -> Parts:
    """Return the parts of a file of this size, at most two blocks unless ``deep``; ``read`` takes an offset and a length."""
    if is_read_wholly(size, deep=deep):
        head = read(0, size)
        return Parts(len(head), head, head, deep)
    head, tail = read(0, BLOCK), read(size - BLOCK, BLOCK)
    return Parts(size - BLOCK + len(tail), head, tail)  # it may have become shorter since


def is_read_wholly(size: int, *, deep: bool) -> bool:
    """Whether a file of this size is read from beginning to end."""
    return size <= 2 * BLOCK or (deep and size <= DEEP_MOST)


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
    ("ole", (OLE_MAGIC.lower(),)),
    ("html", (b"<!doctype html", b"<html", b"<table", b"<head", b"<meta")),
    ("xml", (b"<?xml",)),
    ("gzip", (b"\x1f\x8b",)),
    ("image", (b"\x89png", b"gif8", b"\xff\xd8\xff")),
)


def other_type(parts: Parts) -> Verdict:
    """Return the verdict for contents of another kind than the extension promises."""
    return Verdict(WRONG_TYPE, "", kind_of(parts.head))
