"""What a fault is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..interface import Replica

LOCAL = frozenset[str]()


@dataclass(frozen=True)
class Fault:
    """One way to break the replica for real.

    `set` returns when the symptom is there; a check may be asked `settle_s` seconds later. `clear` removes the cause and
    returns when all is well again. `needs` names what not every machine has: root, fuse, systemd, container.
    `subject` is the process, file or mount that a finding must name. `after_a_run`: what it changes is only seen by comparison
    with an earlier run of the checks.
    """

    code: str
    area: str
    description: str
    subject: str
    set: Callable[[Replica], None]
    clear: Callable[[Replica], None]
    settle_s: float = 0
    needs: frozenset[str] = LOCAL
    variant: str = ""
    after_a_run: bool = False

    @property
    def address(self) -> str:
        """Code and variant as on the command line: `pm2.daemon_down:killed`."""
        return f"{self.code}:{self.variant}" if self.variant else self.code
