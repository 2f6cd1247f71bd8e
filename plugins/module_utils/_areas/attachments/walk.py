# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Walk folders and pick out wanted names on the way. Only names are read and kept, no attributes of files.

Runs in the bounded child of a source, as the user who may read the folders. Times are monotonic seconds.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import filterfalse
from operator import methodcaller

from ..._shared.dated_paths import Root
from ..._shared.nas_states import error_name
from ..._shared.threads import Crew
from .match import Crowd, Index, encoded

AT_ONCE = 20_000  # names of a folder that are handled together; this bounds the memory besides the names that are kept
MOST_FOLDERS = 100_000
FEW_STRANGERS = 500  # names without an allowed extension; up to so many, each is tested for being a folder
NAMES_KEPT = 96 * 1024 * 1024  # bytes of names that are kept to find similar ones
SILENT = "silent"  # the problem of a folder that did not answer completely in time
READERS = 16  # folders read at the same time where the file system is slow


@dataclass
class Folder:
    """One folder: its path, root and level, the number of files, why it cannot be read completely, and the names that matched.

    above: the folder that lists it, as long as it may be a file.
    """

    path: bytes
    root: int
    level: int
    files: int = 0
    problem: str = ""
    hits: list[bytes] = field(default_factory=list)
    above: Folder | None = None


@dataclass
class Walk:
    """What a walk saw; ``cut``: there were more folders than MOST_FOLDERS."""

    folders: list[Folder]
    crowd: Crowd
    cut: bool = False

    @property
    def hits(self) -> Iterator[tuple[int, bytes]]:
        """Yield ``(folder, name)`` of each hit."""
        for number, folder in enumerate(self.folders):
            for name in folder.hits:
                yield number, name


class Walker:
    """One walk over the roots that are folders."""

    def __init__(self, index: Index, extensions: Sequence[str], *, depth: int, until: float, readers: int = READERS) -> None:
        self.index = index
        self.depth = depth
        self.until = until
        self.readers = readers
        # A name with the extension of an attachment counts as a file, so that its attributes need not be read.
        self.endings = tuple({spelling for one in extensions for spelling in (encoded(one), encoded(one.upper()))})
        self.names: list[tuple[Folder, bytes]] = []
        self.kept = 0
        self.whole = True
        self.seen: set[bytes] = set()
        self.cut = False
        self.guard = threading.Lock()

    def walk(self, roots: Sequence[Root]) -> Walk:
        """Return what all folders hold, as far as the time allows."""
        local = [(number, root) for number, root in enumerate(roots) if not root.is_s3]
        first = [Folder(encoded(root.path), number, 0) for number, root in local if not root.problem]
        untouched = [Folder(encoded(root.path), number, 0, problem=root.problem) for number, root in local if root.problem]
        self.seen.update(folder.path for folder in first)
        crew = Crew(self._read, most=self.readers, until=self.until)
        # Names that a hanging folder returned so far count; its thread may go on, so they are copied.
        done = [folder for folder in crew.run(first) if folder is not None]
        cut_off = [Folder(one.path, one.root, one.level, one.files, SILENT, list(one.hits)) for one in crew.left]
        folders = sorted([*done, *cut_off, *untouched], key=lambda folder: folder.path)
        with self.guard:
            crowd = Crowd(NAMES_KEPT)
            crowd.size, crowd.whole = self.kept, self.whole
            numbers = {id(folder): number for number, folder in enumerate(folders)}
            crowd.folders = sorted((numbers[id(folder)], text) for folder, text in self.names if id(folder) in numbers)
        return Walk(folders, crowd, self.cut)

    def _read(self, folder: Folder) -> tuple[Folder | None, list[Folder]]:
        try:
            if folder.above is not None and not stat.S_ISDIR(os.lstat(folder.path).st_mode):
                return None, []
            names = os.listdir(folder.path)
        except (OSError, ValueError):
            # When reading breaks off in the middle, the names before that count.
            return folder, self._read_one_by_one(folder)
        if folder.above is not None:
            with self.guard:
                folder.above.files -= 1
        below: list[Folder] = []
        if folder.level < self.depth:
            strangers = list(filterfalse(methodcaller("endswith", self.endings), names))
            if len(strangers) > FEW_STRANGERS:
                return folder, self._read_one_by_one(folder)
            # The thread that reads it tests whether it is a folder: one that hangs delays no other.
            below = [entered for name in strangers for entered in self._enter(folder, name, folder)]
        while names:
            self._take(folder, names[-AT_ONCE:])
            del names[-AT_ONCE:]
        return folder, below

    def _read_one_by_one(self, folder: Folder) -> list[Folder]:
        """Read a folder entry by entry with its kind; this is slower, but needs no test for each name."""
        below: list[Folder] = []
        names: list[bytes] = []
        try:
            with os.scandir(folder.path) as entries:
                for entry in entries:
                    name = entry.name
                    if folder.level < self.depth and not name.endswith(self.endings) and entry.is_dir(follow_symlinks=False):
                        below += self._enter(folder, name)
                        continue
                    names.append(name)
                    if len(names) >= AT_ONCE:
                        self._take(folder, names)
                        names = []
        except (OSError, ValueError) as error:
            folder.problem = error_name(error)
        self._take(folder, names)
        return below

    def _enter(self, folder: Folder, name: bytes, above: Folder | None = None) -> list[Folder]:
        path = os.path.join(folder.path, name)
        with self.guard:
            if path in self.seen:
                folder.files -= above is not None  # it is another root, so it is a folder
                return []
            if len(self.seen) >= MOST_FOLDERS:
                self.cut = True
                return []
            self.seen.add(path)
        return [Folder(path, folder.root, folder.level + 1, above=above)]

    def _take(self, folder: Folder, names: list[bytes]) -> None:
        """Match some names of a folder, and keep them as one text."""
        if not names:
            return
        text = b"\0".join(names)
        hits = self.index.exactly(names)
        with self.guard:
            folder.files += len(names)
            kept = self.kept + len(text) <= NAMES_KEPT
            if kept:
                self.kept += len(text)
                self.names.append((folder, text))
            self.whole = self.whole and kept
        # Names that are not kept must be compared without case now.
        folder.hits += hits if kept else self.index.nearly(names, text)
