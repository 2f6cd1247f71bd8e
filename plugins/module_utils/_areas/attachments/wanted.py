# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wanted names of a list, or of a file (CSV, JSON lines, or a name a line) such as an export of the target query.

Product facts, attachments: the name is the column ATTACH_FILE_NAME of the target query. Other columns hold personal data
and are not kept. Names from a database (query.py) go through :func:`of_rows` too.
"""

from __future__ import annotations

import csv
import io
import json
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..._core.children import user_name
from ..._core.errors import CannotRead, NeedsUser, WrongQuestion
from .match import Wanted

NAME_COLUMN = "ATTACH_FILE_NAME"
MAX_FILE = 128 * 1024 * 1024  # bytes of a file of wanted names
MOST = 500_000
LONGEST = 1000  # characters of a name that are kept: enough to report that it is too long
_REMEDY = "give names, or dictionaries with name and group"


def of_rows(rows: Iterable[tuple[Any, Any]]) -> list[Wanted]:
    """Return the wanted names of pairs of name and customer group (None for none), each name once.

    Raises WrongQuestion for more than MOST names.
    """
    times: dict[str, int] = {}
    groups: dict[str, str] = {}
    for name, group in rows:
        text = "" if name is None else str(name)[:LONGEST]
        times[text] = times.get(text, 0) + 1
        groups.setdefault(text, "" if group is None else str(group).strip()[:100])
        if len(times) > MOST:
            raise WrongQuestion("wanted", f"more than {MOST} names", "are too many for one scan", "split them by date or by group")
    return [Wanted(name, groups[name], count) for name, count in times.items()]


def of_list(entries: Sequence[Any]) -> list[Wanted]:
    """Return the wanted names of a list of names or of dictionaries with ``name`` and ``group``; raises WrongQuestion."""
    rows = []
    for number, entry in enumerate(entries):
        if isinstance(entry, Mapping) and "name" in entry and not set(entry) - {"name", "group"}:
            rows.append((entry["name"], entry.get("group")))
        elif entry is None or isinstance(entry, (str, int, float)):
            rows.append((entry, None))
        else:
            raise WrongQuestion(f"wanted[{number}]", type(entry).__name__, "is not a wanted name", _REMEDY)
    return of_rows(rows)


def of_file(path: str, name_column: str = NAME_COLUMN, group_column: str = "") -> list[Wanted]:
    """Return the wanted names of a file; ``.csv`` has a line of column names, ``.jsonl`` an object a line, any other a name a line.

    Raises CannotRead for a file that is absent or damaged, WrongQuestion for a column that it does not have, NeedsUser for a file that
    this user may not read.
    """
    text = _text(_content(path), path)
    kind = os.path.splitext(path)[1].lower()
    if kind == ".csv":
        return of_rows(_csv_rows(text, path, name_column, group_column))
    if kind in (".jsonl", ".ndjson", ".json"):
        return of_rows(_json_rows(text, path, name_column, group_column))
    return of_rows((line, None) for line in text.split("\n") if line.strip())


def _content(path: str) -> bytes:
    if not os.path.isabs(path):
        raise WrongQuestion("wanted_file", path, "is not an absolute path", "give the whole path on the host")
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except PermissionError as error:
        me = user_name(os.geteuid())
        raise NeedsUser("root", f"wanted_file: {path} may not be read by {me}") from error
    except (OSError, ValueError) as error:
        raise CannotRead(f"wanted_file: {path} cannot be read ({_reason(error)}); export the wanted names there first") from error
    with open(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_FILE:
            raise CannotRead(f"wanted_file: {path} is no file of at most {MAX_FILE} bytes; give a list of names")
        try:
            return file.read(MAX_FILE + 1)
        except OSError as error:
            raise CannotRead(f"wanted_file: {path} cannot be read ({_reason(error)})") from error


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _text(data: bytes, path: str) -> str:
    """Return the text of UTF-8 with or without a byte order mark, UTF-16 with one, or CP949 as Korean Windows writes it."""
    encodings = ("utf-16",) if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "cp949")
    for encoding in encodings:
        try:
            return data.decode(encoding).replace("\r\n", "\n")
        except UnicodeDecodeError:
            continue
    raise CannotRead(f"wanted_file: {path} is neither UTF-8 nor CP949 text; save it as UTF-8")


def _csv_rows(text: str, path: str, name_column: str, group_column: str) -> Iterable[tuple[Any, Any]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        name, group = _column(header, path, "name_column", name_column), _column(header, path, "group_column", group_column)
        for row in reader:
            if row:
                yield (row[name] if name < len(row) else ""), (row[group] if 0 <= group < len(row) else None)
    except csv.Error as error:
        raise CannotRead(f"wanted_file: {path} line {reader.line_num} is no CSV ({error})") from error


def _column(header: Sequence[str], path: str, option: str, wanted: str) -> int:
    """Return the number of a column, -1 where none is wanted; the only column of a file needs no name."""
    if not wanted:
        return -1
    names = [name.strip().casefold() for name in header]
    if wanted.casefold() in names:
        return names.index(wanted.casefold())
    if option == "name_column" and len(names) == 1:
        return 0
    raise WrongQuestion(option, wanted, f"is no column of {path}", f"it has {', '.join(name.strip() for name in header[:20]) or 'none'}")


def _json_rows(text: str, path: str, name_column: str, group_column: str) -> Iterable[tuple[Any, Any]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise CannotRead(f"wanted_file: {path} line {number} is no JSON; write one object or one name a line") from error
        if isinstance(row, str):
            yield row, None
        elif isinstance(row, dict):
            keys = {key.casefold(): key for key in row}
            if name_column.casefold() not in keys:
                raise WrongQuestion("name_column", name_column, f"is not in line {number} of {path}", f"it has {', '.join(list(row)[:20])}")
            yield row[keys[name_column.casefold()]], row.get(keys.get(group_column.casefold(), ""))
        else:
            raise CannotRead(f"wanted_file: {path} line {number} is neither an object nor a name")
