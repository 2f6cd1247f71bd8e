# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that one reading saw, ready to be judged."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from ..._shared.nas_states import ABSENT
from .content_parts import Verdict
from .match import Index, Rules, Sightings, Wanted, decoded, encoded, extension_of
from .walk import Walk

DIFFERENT, EQUAL, UNTOLD = "no", "yes", "unknown"  # whether duplicates have equal contents


@dataclass(frozen=True)
class File:
    """One file: its size, its time (epoch seconds), what identifies its contents, or why it cannot be read."""

    path: bytes
    size: int = 0
    modified: float = 0.0
    identity: str = ""
    problem: str = ""


@dataclass
class Looked:
    """What a reading saw.

    fresh: files that changed a moment ago; growing: those that changed meanwhile. equal: by wanted name with duplicates. similar: by missing
    name; compared, uncompared: missing names that were compared with similar ones, and that were not. unread: files that the time did not
    reach. contents: whether contents are judged. joined: paths by wanted name, as far as they were put together.
    """

    wanted: list[Wanted]
    index: Index
    rules: Rules
    walk: Walk
    sightings: Sightings
    files: dict[bytes, File] = field(default_factory=dict)
    fresh: set[bytes] = field(default_factory=set)
    growing: set[bytes] = field(default_factory=set)
    verdicts: dict[bytes, Verdict] = field(default_factory=dict)
    equal: dict[int, str] = field(default_factory=dict)
    similar: dict[str, list[tuple[int, bytes, float]]] = field(default_factory=dict)
    compared: int = 0
    uncompared: int = 0
    unread: int = 0
    contents: bool = True
    joined: dict[int, list[bytes]] = field(default_factory=dict)

    def paths(self, number: int) -> list[bytes]:
        """Return the paths of the files that have exactly a wanted name."""
        if number not in self.joined:
            name = encoded(self.wanted[number].name)
            self.joined[number] = [os.path.join(self.walk.folders[folder].path, name) for folder in self.sightings.exact.get(number, ())]
        return self.joined[number]

    @property
    def whole(self) -> bool:
        """Whether every folder answered; the error that a folder does not exist is an answer."""
        return not self.walk.cut and all(not folder.problem or folder.problem in ABSENT for folder in self.walk.folders)


def extension_at(path: bytes) -> str:
    """Return the extension of the file at a path, in lower case with its dot."""
    return extension_of(decoded(os.path.basename(path)))
