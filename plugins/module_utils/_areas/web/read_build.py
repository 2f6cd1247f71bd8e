# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the folder of the built page: whether index.html is there, whether others may read it, and which files hold secrets."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import TypedDict

from ..._core.children import user_name
from ..._core.source import Source
from ..._shared.http_client import MAX_BODY
from ..._shared.secrets_in_text import SecretFound, kinds_of_secrets

MAX_BUILD_FILES = 2000
MAX_BUILD_BYTES = 48 * 1024 * 1024
MOST_SECRETS = 20


class Index(TypedDict):
    """The file index.html; mode in octal digits, "" when it is absent."""

    present: bool
    size: int
    mode: str


class Closed(TypedDict):
    """A folder that others may not enter, or a file that they may not read."""

    path: str
    mode: str
    owner: str


class BuildFacts(TypedDict):
    """The folder of the built page."""

    given: bool  # a folder was named
    path: str
    present: bool
    index: Index
    closed: Closed | None  # the first one on the path to index.html
    files: int  # that were searched for secrets
    unread: int  # that were not, or only in part: too many, too large, or not readable
    secrets: list[SecretFound]


def read_build(build_dir: str | None = None) -> BuildFacts:
    """Return what is in the folder of the built page; ``given`` is False without a folder."""
    found: BuildFacts = {
        "given": bool(build_dir),
        "path": build_dir or "",
        "present": False,
        "index": {"present": False, "size": 0, "mode": ""},
        "closed": None,
        "files": 0,
        "unread": 0,
        "secrets": [],
    }
    if not build_dir:
        return found
    index = os.path.join(build_dir, "index.html")
    found["present"] = os.path.isdir(build_dir)
    found["closed"] = _closed(index)
    try:
        about = os.stat(index)
        found["index"] = {"present": stat.S_ISREG(about.st_mode), "size": about.st_size, "mode": f"{about.st_mode & 0o7777:04o}"}
    except OSError:
        pass
    _search(build_dir, found)
    return found


def _closed(path: str) -> Closed | None:
    """Return the first part of a path that others may not enter (folders) or read (the file itself)."""
    parts = path.strip("/").split("/")
    for number in range(1, len(parts) + 1):
        part = "/" + "/".join(parts[:number])
        try:
            about = os.stat(part)
        except OSError:
            return None
        needed = 0o001 if stat.S_ISDIR(about.st_mode) else 0o004
        if not about.st_mode & needed:
            return {"path": part, "mode": f"{about.st_mode & 0o7777:04o}", "owner": user_name(about.st_uid)}
    return None


def _search(build_dir: str, found: BuildFacts) -> None:
    """Search the files of the build for secrets, and count them."""
    left = MAX_BUILD_BYTES
    for path in _files_below(build_dir):
        if found["files"] >= MAX_BUILD_FILES or left <= 0:
            found["unread"] += 1
            continue
        try:
            with open(path, "rb") as file:
                data = file.read(min(left, MAX_BODY))
                found["unread"] += bool(file.read(1))
        except OSError:
            found["unread"] += 1
            continue
        left -= len(data)
        found["files"] += 1
        name = os.path.relpath(path, build_dir)
        room = max(0, MOST_SECRETS - len(found["secrets"]))
        found["secrets"] += [SecretFound(file=name, kind=kind) for kind in kinds_of_secrets(data)][:room]


def _files_below(folder: str) -> Iterator[str]:
    for place, _folders, names in os.walk(folder):
        for name in sorted(names):
            path = os.path.join(place, name)
            if os.path.isfile(path) and not os.path.islink(path):
                yield path


BUILD = Source("web.build", read_build, ("build_dir",))
