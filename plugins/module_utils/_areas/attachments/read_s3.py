# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attachments in S3: list the prefixes, and inspect the objects whose names are wanted."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..._shared.threads import Crew
from . import s3
from .content_parts import Verdict
from .looked import File, extension_at
from .match import Index, decoded
from .settings import Settings
from .walk import READERS, Folder, Walk

LISTING_SHARE = 0.85  # part of the time for S3 after which no further page is listed


@dataclass
class Remote:
    """What the roots in S3 hold: folders, the names in each, and the objects with wanted names with their verdicts.

    unread: objects that the time did not reach.
    """

    folders: list[Folder] = field(default_factory=list)
    names: list[tuple[Folder, list[bytes]]] = field(default_factory=list)
    files: dict[bytes, File] = field(default_factory=dict)
    verdicts: dict[bytes, Verdict] = field(default_factory=dict)
    unread: int = 0


def read_buckets(settings: Settings, index: Index, until: float, parameters: Mapping[str, Any]) -> Remote:
    """Return what the roots in S3 hold; until: monotonic seconds."""
    client = s3.connect(parameters.get("s3"))
    found = Remote()
    buckets = [(number, root) for number, root in enumerate(settings.roots) if root.is_s3]
    # A listing that is cut off counts as far as it came; a bucket that does not answer at all is not waited for beyond the end.
    enough = time.monotonic() + (until - time.monotonic()) * LISTING_SHARE
    crew = Crew(
        lambda it: ((it[0], s3.listing(client, it[1], it[0], index, depth=settings.depth, until=enough)), ()), most=READERS, until=until
    )
    # A bucket that does not answer costs neither the other buckets nor the folders.
    listed = {**{number: s3.silent(root, number) for number, root in buckets}, **dict(crew.run(buckets))}
    for number, _root in buckets:
        found.folders += listed[number].folders
        found.names += listed[number].names
        found.files.update({path: _file(thing) for path, thing in listed[number].objects.items()})
    if parameters.get("contents") is not False:
        exact = [file for path, file in found.files.items() if os.path.basename(path) in index.exact and file.size]
        deep = bool(parameters.get("deep"))
        crew = Crew(lambda file: (_verdict(client, file, deep), ()), most=settings.readers, until=until)
        found.verdicts.update(crew.run(exact))
        found.unread = len(crew.left)
    return found


def _file(thing: s3.Thing) -> File:
    return File(thing.path, thing.size, thing.modified, f"s3:{thing.tag}" if thing.tag else decoded(thing.path))


def _verdict(client: Any, file: File, deep: bool) -> tuple[bytes, Verdict]:
    return file.path, s3.inspect_object(client, decoded(file.path), file.size, extension_at(file.path), deep=deep)


def add_buckets(walk: Walk, remote: Remote) -> None:
    """Append the folders of S3 to those of a walk."""
    numbers: dict[int, int] = {}
    for folder in remote.folders:
        numbers[id(folder)] = len(walk.folders)
        walk.folders.append(folder)
    for folder, names in remote.names:
        walk.crowd.add(numbers[id(folder)], names)
