# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge a CSV: text in UTF-8, UTF-16 or CP949, closed quotes, and the same number of columns in every line."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from .content_parts import (
    BLOCK,
    DAMAGED,
    FINE,
    WRONG_TYPE,
    Parts,
    Verdict,
    kind_of,
)


def judge_csv(parts: Parts) -> Verdict:
    """Return the verdict about a CSV: encoding, quotes and columns."""
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
        return _even(rows)  # a quoted field may contain line ends, so the last block may begin within a line
    # The first block shows the delimiter even where it does not contain the end of the first line.
    more = _rows(tail, cut=False, delimiter=_delimiter(head))
    return _even([*rows, *(more or [])])


def _csv_by_lines(data: bytes) -> Verdict:
    """Judge a large file line by line; as one text it would need several times the memory."""
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
                    pass  # in another encoding, a quote may be half of a character
        except UnicodeError:
            continue
        return Verdict(DAMAGED, "quotes") if quotes else _even(sorted(columns))
    return Verdict(DAMAGED, "encoding")


def _whole_lines(tail: bytes) -> bytes:
    """Return the complete lines of the last block; the text before its first line end belongs to a longer line."""
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
    """Whether bytes are text in an encoding; of the beginning of a file, the last character may be cut off."""
    for cut in range(1 if whole else 4):
        try:
            data[: len(data) - cut].decode(encoding)
        except UnicodeError:
            continue
        return True
    return False


def _rows(text: str, *, cut: bool, delimiter: str = "") -> list[int] | None:
    """Return the number of columns of each line that is not blank, None for unclosed quotes; ``cut``: the last line may continue."""
    lines = io.StringIO(text.replace("\r\n", "\n").replace("\r", "\n"))
    rows: list[int] = []
    try:
        for row in csv.reader(lines, delimiter=delimiter or _delimiter(text), strict=True):
            rows += [len(row)] if row else []
    except csv.Error:
        # A quote that is open at the end of the first block is closed after it; the line with it is left out.
        return rows if cut and not lines.read(1) else None
    return rows[:-1] if cut else rows


def _delimiter(text: str) -> str:
    first = text.split("\n", 1)[0]
    return max(",;\t|", key=lambda sign: (first.count(sign), -",;\t|".index(sign)))


def _even(rows: Sequence[int]) -> Verdict:
    return FINE if len(set(rows)) <= 1 else Verdict(DAMAGED, "columns")
