# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FIXME: say what this file holds."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from .content_parts import Verdict
from .match import (
    Index,
    Rules,
    Sightings,
    Wanted,
    encoded,
)
from .walk import Walk

ABSENT = frozenset(("ENOENT", "ENOTDIR"))


DIFFERENT, EQUAL, UNTOLD = "no", "yes", "unknown"


@dataclass(frozen=True)
class File:
    """What was seen of one file: size, time (epoch seconds), what identifies it, or why it could not be looked at."""

    path: bytes
    size: int = 0
    modified: float = 0.0
    identity: str = ""
    problem: str = ""


@dataclass
class Looked:
    """Everything that was read, ready to be judged: pure functions take it from here."""

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
        """Return the paths that bear a wanted name exactly."""
        if number not in self.joined:
            name = encoded(self.wanted[number].name)
            self.joined[number] = [os.path.join(self.walk.folders[folder].path, name) for folder in self.sightings.exact.get(number, ())]
        return self.joined[number]

    @property
    def whole(self) -> bool:
        """Whether every folder answered; one that is not there has answered."""
        return not self.walk.cut and all(not folder.problem or folder.problem in ABSENT for folder in self.walk.folders)
