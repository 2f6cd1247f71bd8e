# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read dump.pm2 and its backup, as the owner of the PM2_HOME.

A dump holds the whole environment of every process, so only named fields are taken from it. Works with PM2 5, 6 and 7.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from typing import Any, TypedDict

from ..._core.children import user_name
from ..._core.errors import CannotRead
from ..._core.source import Source
from ..._shared.pm2_list import MAX_PATH, exec_mode_of, reader
from ..._shared.pm2_rpc import plain_text
from ..._shared.text_files import reachable_by_others

MAX_DUMP = 16 * 1024 * 1024  # bytes


class DumpEntry(TypedDict):
    """One saved instance; module: a module of PM2, not an application."""

    name: str
    script: str
    exec_mode: str
    status: str
    module: bool


class DumpFile(TypedDict):
    """One dump.

    problem: why its content is of no use, "" when it is usable. kind: file, link or other. mode: such as "0644", "" unless it is a file.
    exposed: other users can read it, because the folders above let them through. saved_at: epoch seconds.
    """

    path: str
    present: bool
    problem: str
    kind: str
    mode: str
    owner: str
    exposed: bool
    saved_at: float | None
    entries: list[DumpEntry]


class Dumps(TypedDict):
    """dump.pm2 and dump.pm2.bak."""

    dump: DumpFile
    backup: DumpFile


def read_dump(pm2_home: str, **_others: Any) -> Dumps:
    """Return the saved processes that a reboot brings back, and the backup that PM2 keeps of them."""
    path = os.path.join(pm2_home, "dump.pm2")
    return {"dump": _dump(path), "backup": _dump(path + ".bak")}


def _dump(path: str) -> DumpFile:
    known: DumpFile = {
        "path": path,
        "present": False,
        "problem": "",
        "kind": "",
        "mode": "",
        "owner": "",
        "exposed": False,
        "saved_at": None,
        "entries": [],
    }
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return known
    except OSError as error:
        known.update({"present": True, "problem": f"cannot be read ({error.strerror})"})
        return known
    known.update({"present": True, "kind": _kind(found.st_mode), "owner": user_name(found.st_uid), "saved_at": found.st_mtime})
    if known["kind"] != "file":
        # A link may lead to another user's file: do not read through it and do not report its mode.
        known["problem"] = "is a symbolic link" if known["kind"] == "link" else "is not a regular file"
        return known
    known["mode"] = f"{stat.S_IMODE(found.st_mode):04o}"
    known["exposed"] = bool(found.st_mode & stat.S_IROTH) and reachable_by_others(path)
    try:
        known["entries"] = [_dump_entry(entry) for entry in load_dump(path)]
    except CannotRead as error:
        known["problem"] = error.message
    return known


def _kind(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "link"
    return "file" if stat.S_ISREG(mode) else "other"


def load_dump(path: str) -> list[dict[str, Any]]:
    """Return the raw entries of a dump, including its secrets; raises CannotRead.

    Does not follow a link and does not wait for a pipe.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise CannotRead(f"cannot be read ({error.strerror})") from error
    with open(descriptor, encoding="utf-8", errors="replace") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise CannotRead("is not a regular file")
        if found.st_size > MAX_DUMP:
            raise CannotRead(f"has {found.st_size} bytes, over {MAX_DUMP}")
        try:
            saved = json.load(file)
        except OSError as error:
            raise CannotRead(f"cannot be read ({error.strerror})") from error
        except (ValueError, RecursionError) as error:
            raise CannotRead("is not JSON") from error
    if not isinstance(saved, list):
        raise CannotRead("is not a list of processes")
    return [entry for entry in saved if isinstance(entry, dict)]


def _dump_entry(entry: Mapping[str, Any]) -> DumpEntry:
    return {
        "name": plain_text(entry.get("name")),
        "script": plain_text(entry.get("pm_exec_path"), MAX_PATH),
        "exec_mode": exec_mode_of(entry.get("exec_mode")),
        "status": plain_text(entry.get("status")),
        "module": bool(entry.get("pmx_module")),
    }


DUMP = Source("pm2.dump", read_dump, ("pm2_home", "user"), owner=reader)
