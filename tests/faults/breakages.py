"""The breakages of the replica: every folder here with a make.py has those of an area."""

from __future__ import annotations

import importlib
from pathlib import Path

from tests.replica.system import ReplicaError

from .breakage import Breakage

FOLDER = Path(__file__).parent
# What the bench does first: PM2 and the machine, then the applications, then what they stand on. An area that is not named follows, by its name.
_ORDER = ("pm2", "host", "backend", "worker", "logsdb", "oracle", "nas", "attachments", "ses", "nginx", "web")


def _areas() -> list[str]:
    found = {path.parent.name for path in FOLDER.glob("*/make.py")}
    return [*(area for area in _ORDER if area in found), *sorted(found - set(_ORDER))]


BREAKAGES: tuple[Breakage, ...] = tuple(
    breakage for area in _areas() for breakage in importlib.import_module(f"tests.faults.{area}.make").BREAKAGES
)


def find_breakage(address: str) -> Breakage:
    """Return the breakage of an address such as `pm2.stopped` or `pm2.stopped:exited`; raises ReplicaError."""
    for breakage in BREAKAGES:
        if breakage.address == address:
            return breakage
    near = [breakage.address for breakage in BREAKAGES if breakage.code == address.partition(":")[0]]
    hint = f"variants: {', '.join(near)}" if near else "see `replica fault list`"
    raise ReplicaError(f"no fault {address!r}; {hint}")
