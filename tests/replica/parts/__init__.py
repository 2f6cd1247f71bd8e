"""Parts of the local replica that came later, each in a folder of its own: what is in here starts, stops and is checked with the replica.

A folder `<name>/` has `part.py` with a `PART` (see :class:`Part`), and `packages.txt`, a line `<program> <Debian package>` for each program it needs
(`make setup` installs what is missing). A replica in containers has none of these parts. The name of a part is that of its area, and no other part
uses it: the fault bench breaks it together with others.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ..system import Account

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Place:
    """Where a part lives: its own folder in the instance, the account that runs it, and its ports by name."""

    folder: Path
    account: Account
    ports: Mapping[str, int]


class Part(ABC):
    """One service of the replica.

    name: of its folder, and of its facts. ports: names of the ports it needs; other parts must not use them. programs: the programs whose
    processes belong to it, as /proc/<pid>/exe names them.
    """

    name: str
    ports: tuple[str, ...]
    programs: frozenset[str]

    @abstractmethod
    def is_well(self, place: Place) -> bool:
        """Whether it runs as delivered; nothing is changed by asking."""

    @abstractmethod
    def restore(self, place: Place) -> None:
        """Start it where it does not run and repair what is broken; returns when it is well, else raises ReplicaError."""

    @abstractmethod
    def facts(self, place: Place) -> dict[str, Any]:
        """What others need to know: addresses, files with passwords."""

    @abstractmethod
    def variables(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """What the replica's inventory says of it, on the host of the applications; its area is added to stack_areas."""


@cache
def parts() -> tuple[Part, ...]:
    """All parts, in the order of their names."""
    names = sorted(folder.parent.name for folder in FOLDER.glob("*/part.py"))
    return tuple(importlib.import_module(f"{__name__}.{name}.part").PART for name in names)


def variables(facts: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """{area: variables} of the parts that a replica has, by its facts."""
    return {part.name: part.variables(facts["parts"][part.name]) for part in parts() if part.name in facts.get("parts", {})}
