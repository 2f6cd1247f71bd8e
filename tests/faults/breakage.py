"""What a breakage is: one way to make a fault of the catalogue real in the replica."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.replica.interface import APP_HOST, LOGSDB_HOST, WEB_HOST, Replica

NOTHING = frozenset[str]()
_HOSTS = {"nginx": WEB_HOST, "web": WEB_HOST, "logsdb": LOGSDB_HOST}


@dataclass(frozen=True)
class Breakage:
    """One way to break the replica.

    `set` returns when the symptom is there; a check may be asked `settle_s` seconds later. `clear` removes the cause and
    returns when all is well again. Both see the replica from the host that has the fault. `needs` names what not every
    replica has: root, cgroup, fuse, systemd, container, and local for what only the replica without containers has.
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
    needs: frozenset[str] = NOTHING
    variant: str = ""
    after_a_run: bool = False

    @property
    def by_worker(self) -> bool:
        """Whether setting it waits for what the worker logs of it, which must be at work for that."""
        return getattr(self.set, "by_worker", False)

    @property
    def host(self) -> str:
        """The host that has the fault."""
        return _HOSTS.get(self.area, APP_HOST)

    @property
    def address(self) -> str:
        """Code and variant as on the command line: `pm2.daemon_down:killed`."""
        return f"{self.code}:{self.variant}" if self.variant else self.code
