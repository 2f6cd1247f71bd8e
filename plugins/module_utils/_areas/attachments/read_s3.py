# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FIXME: say what this file holds."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from ..._shared.threads import Crew
from . import s3
from .content_parts import Verdict
from .inspect_files import path_extension
from .looked import File
from .match import (
    Index,
    decoded,
)
from .walk import READERS, Walk

LISTING_SHARE = 0.85  # part of the time for S3 after which no further page is asked for


def read_buckets(settings: Mapping[str, Any], index: Index, until: float, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``folders names files verdicts unread`` of the roots in S3."""
    client = s3.connect(parameters.get("s3"))
    found: dict[str, Any] = {"folders": [], "names": [], "files": {}, "verdicts": {}, "unread": 0}
    buckets = [(number, root) for number, root in enumerate(settings["roots"]) if root.is_s3]
    # What was listed by then counts; who does not answer at all is not waited for any longer than until the end.
    enough = time.monotonic() + (until - time.monotonic()) * LISTING_SHARE
    crew = Crew(
        lambda it: ((it[0], s3.listing(client, it[1], it[0], index, depth=settings["depth"], until=enough)), ()), most=READERS, until=until
    )
    # One that does not answer costs neither the others nor the folders.
    listed = {**{number: s3.silent(root, number) for number, root in buckets}, **dict(crew.run(buckets))}
    for listing in (listed[number] for number, _root in buckets):
        found["folders"] += listing.folders
        found["names"] += listing.names
        found["files"].update({path: _object(thing) for path, thing in listing.objects.items()})
    if parameters.get("contents") is not False:
        exact = [file for path, file in found["files"].items() if os.path.basename(path) in index.exact and file.size]
        deep = bool(parameters.get("deep"))
        crew = Crew(lambda file: (_object_verdict(client, file, deep), ()), most=settings["readers"], until=until)
        found["verdicts"].update(crew.run(exact))
        found["unread"] = len(crew.left)
    return found


def _object(thing: s3.Thing) -> File:
    return File(thing.path, thing.size, thing.modified, f"s3:{thing.tag}" if thing.tag else decoded(thing.path))


def _object_verdict(client: Any, file: File, deep: bool) -> tuple[bytes, Verdict]:
    return file.path, s3.inspect_object(client, decoded(file.path), file.size, path_extension(file.path), deep=deep)


def add_buckets(walk: Walk, remote: Mapping[str, Any]) -> None:
    """Put the folders of S3 behind the others."""
    numbers = {}
    for folder in remote["folders"]:
        numbers[id(folder)] = len(walk.folders)
        walk.folders.append(folder)
    for folder, names in remote["names"]:
        walk.crowd.add(numbers[id(folder)], names)
