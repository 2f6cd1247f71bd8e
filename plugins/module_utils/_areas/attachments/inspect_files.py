# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inspect the files whose names matched: size and time of each, contents of single ones, whether duplicates are equal."""

from __future__ import annotations

import hashlib
import os
import stat
import time

from ..._shared.nas_states import ABSENT, error_name
from ..._shared.threads import Crew
from .content import inspect_file
from .content_parts import BLOCK, is_read_wholly
from .looked import DIFFERENT, EQUAL, UNTOLD, File, Looked, extension_at
from .match import alike, encoded
from .settings import Settings
from .walk import READERS

SECOND_LOOK = 1.0  # seconds between the two looks at a file that changed a moment ago
PIECE = 1 << 20  # bytes that are read at once for a checksum


def inspect_matches(looked: Looked, settings: Settings, until: float, *, deep: bool) -> None:
    """Read size and time of each file that matched, inspect the contents of single ones, and compare duplicates.

    until: monotonic seconds; what is not done by then is counted as unread.
    """
    local = [path for number in looked.sightings.exact for path in looked.paths(number) if path not in looked.files]
    for file in Crew(lambda path: (_file(path), ()), most=READERS, until=until).run(local):
        looked.files[file.path] = file
    # A file that was removed since its folder was read counts as missing.
    gone = {path for path, file in looked.files.items() if file.problem in ABSENT}
    for number in [number for number in looked.sightings.exact if gone and not gone.isdisjoint(looked.paths(number))]:
        kept = [(folder, path) for folder, path in zip(looked.sightings.exact.pop(number), looked.paths(number)) if path not in gone]
        looked.joined[number] = [path for _folder, path in kept]
        if kept:
            looked.sightings.exact[number] = [folder for folder, _path in kept]
    _look_again(looked, settings.settle, until)
    single = [paths[0] for paths in map(looked.paths, looked.sightings.exact) if len(paths) == 1]
    wanted = [path for path in single if looked.contents and _is_readable(looked, path)]
    crew = Crew(lambda path: ((path, inspect_file(path, extension_at(path), deep=deep)), ()), most=settings.readers, until=until)
    looked.verdicts.update(crew.run(wanted))
    # Some were not even reached for their size.
    looked.unread += len(crew.left) + sum(path not in looked.files for path in single)
    several = [number for number in looked.sightings.exact if len(looked.paths(number)) > 1]
    judged = Crew(lambda number: ((number, _compare(looked, number, deep)), ()), most=settings.readers, until=until)
    looked.equal.update(judged.run(several))


def _file(path: bytes) -> File:
    try:
        found = os.stat(path)
    except (OSError, ValueError) as error:
        why = error_name(error)
        # A dangling link exists, but cannot be read.
        return File(path, problem="dangling_link" if why in ABSENT and os.path.islink(path) else why)
    identity = f"{found.st_dev}:{found.st_ino}"
    problem = "" if stat.S_ISREG(found.st_mode) else "is_a_folder" if stat.S_ISDIR(found.st_mode) else "not_a_file"
    return File(path, found.st_size, found.st_mtime, identity, problem)


def _look_again(looked: Looked, settle: float, until: float) -> None:
    """Mark the files that grow: files that changed a moment ago, or in the future of this clock, are looked at twice."""
    now = time.time()
    local = [path for path, file in looked.files.items() if not path.startswith(b"s3://") and not file.problem]
    fresh = [path for path in local if looked.files[path].modified > now - settle]
    if not fresh or time.monotonic() + SECOND_LOOK >= until:
        return
    looked.fresh.update(fresh)
    time.sleep(SECOND_LOOK)
    for file in Crew(lambda path: (_file(path), ()), most=READERS, until=until).run(fresh):
        before = looked.files[file.path]
        if (file.size, file.modified) != (before.size, before.modified):
            looked.growing.add(file.path)
        looked.files[file.path] = file


def _compare(looked: Looked, number: int, deep: bool) -> str:
    """Return whether all files of one name have equal contents: compare sizes, then first and last blocks, or everything with ``deep``."""
    files = [looked.files.get(path) for path in looked.paths(number)]
    known = [file for file in files if file is not None and not file.problem]
    if len(known) < len(files):
        return UNTOLD
    if len({file.size for file in known}) > 1:
        return DIFFERENT
    if len({file.identity for file in known}) == 1:
        return EQUAL
    if any(file.path.startswith(b"s3://") for file in known):
        return UNTOLD
    try:
        return EQUAL if len({_sample(file, deep) for file in known}) == 1 else DIFFERENT
    except OSError:
        return UNTOLD


def _sample(file: File, deep: bool) -> bytes:
    """Return a checksum of a file, or of its first and last block where it is not read wholly."""
    descriptor = os.open(file.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        whole = is_read_wholly(file.size, deep=deep)
        parts = [(0, file.size)] if whole else [(0, BLOCK), (file.size - BLOCK, BLOCK)]
        checksum = hashlib.sha256()
        for begin, length in parts:
            for offset in range(begin, begin + length, PIECE):
                checksum.update(os.pread(descriptor, min(PIECE, begin + length - offset), offset))
        return checksum.digest()
    finally:
        os.close(descriptor)


def find_similar(looked: Looked, within: float, until: float) -> None:
    """Find names that resemble the missing ones, unless the folders are empty or the time is over."""
    missing = [
        one.name
        for number, one in enumerate(looked.wanted)
        if number not in looked.sightings.exact
        and not looked.rules.broken_by(one.name)
        and not looked.sightings.variants(looked.index, number)
    ]
    if not looked.walk.crowd.folders or not missing:
        return
    taken = {encoded(looked.wanted[number].name) for number in looked.sightings.exact}
    limit = min(until, time.monotonic() + max(0.2, within * 0.3))
    looked.similar, looked.compared = alike(missing, looked.walk.crowd, taken, limit)
    looked.uncompared = len(missing) - looked.compared


def _is_readable(looked: Looked, path: bytes) -> bool:
    file = looked.files.get(path)
    return file is not None and not file.problem and file.size > 0 and path not in looked.verdicts and path not in looked.growing
