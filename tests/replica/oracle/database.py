"""The running instance: its store, its faults, who is logged in, and the log of every login that was tried."""

from __future__ import annotations

import asyncio
import json
import socket
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from .dictionary import Instance, SessionInfo, Usage
from .faults import Faults
from .store import Store

_REMEMBERED = 10_000
_THREADS = 64
_SILENCE_LOOK = 0.1


@dataclass(frozen=True)
class Settings:
    """How an instance is set up. Sizes are those of a small production database."""

    services: tuple[str, ...] = ("ORCLPDB1",)
    sids: tuple[str, ...] = ("ORCL",)
    database_offset: timedelta = timedelta(hours=9)
    sessions: int = 300
    processes: int = 200
    failed_logins: int = 10
    connect_seconds: float = 60.0


class StageFault(Exception):
    """A fault ends the connection; `reset` without a goodbye."""

    def __init__(self, reset: bool):
        super().__init__()
        self.reset = reset


@dataclass
class Attempt:
    """One TCP connection and the login that came of it, for the log. `outcome` is empty while it goes on."""

    time: str
    address: str
    port: int
    stage: str = "accept"
    service: str = ""
    user: str = ""
    program: str = ""
    outcome: str = ""

    def to_dict(self) -> dict[str, Any]:
        return dict(self.__dict__)


@dataclass
class Live:
    """A login that is there: what V$SESSION shows and how to end it."""

    info: SessionInfo
    kill: Callable[[bool], None]


@dataclass
class Database:
    """What all connections share."""

    folder: Path
    settings: Settings = field(default_factory=Settings)

    def __post_init__(self) -> None:
        self.store = Store(self.folder, self.settings.database_offset)
        self.faults = Faults()
        self.live: dict[int, Live] = {}
        self.executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="sql")
        self.attempts: deque[Attempt] = deque(maxlen=_REMEMBERED)
        self._log = self.folder / "logins.jsonl"
        self._numbers = 20
        self._serial = 1000
        self._most = {"processes": 0, "sessions": 0}
        self.instance = Instance(
            name=self.settings.sids[0],
            service=self.settings.services[0],
            host=socket.gethostname(),
            started=self.store.now(),
            parameters={"sessions": str(self.settings.sessions), "processes": str(self.settings.processes)},
        )

    def close(self) -> None:
        self.executor.shutdown(wait=False, cancel_futures=True)
        self.store.close()

    async def stage(self, name: str) -> None:
        """Let the fault of a stage happen: wait, or raise StageFault, after a silence that lasts as long as the fault is set."""
        fault = self.faults.take("stage", name)
        if fault is None:
            return
        if fault["mode"] == "slow":
            await asyncio.sleep(fault["seconds"])
        elif fault["mode"] == "silent":
            while self.faults.is_set("stage", name):
                await asyncio.sleep(_SILENCE_LOOK)
            raise StageFault(reset=False)
        else:
            raise StageFault(fault["mode"] == "reset")

    # The log of logins

    def attempt(self, address: str, port: int) -> Attempt:
        made = Attempt(datetime.now(UTC).isoformat(timespec="milliseconds"), address, port)
        self.attempts.append(made)
        return made

    def finish(self, attempt: Attempt, outcome: str) -> None:
        """Only the first outcome counts: OK, an ORA code, or how the connection ended."""
        if attempt.outcome:
            return
        attempt.outcome = outcome
        with self._log.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(attempt.to_dict()) + "\n")

    # Sessions

    def session_limit(self) -> tuple[int, int]:
        """How many sessions there may be, and the code that the next one gets."""
        fault = self.faults.look("max_sessions")
        return (fault["limit"], fault["code"]) if fault else (self.settings.sessions, 18)

    def next_number(self) -> tuple[int, int]:
        """Number and serial number for a login."""
        self._numbers += 1
        self._serial += 7
        return self._numbers, self._serial % 65536

    def enter(self, live: Live) -> None:
        self.live[live.info.number] = live
        self.instance.sessions[live.info.number] = live.info
        self._count()

    def leave(self, number: int) -> None:
        self.live.pop(number, None)
        self.instance.sessions.pop(number, None)
        self._count()

    def _count(self) -> None:
        limits = {"processes": self.settings.processes, "sessions": self.session_limit()[0]}
        for name in limits:
            self._most[name] = max(self._most[name], len(self.live))
        self.instance.usages = [Usage(name, limit, len(self.live), self._most[name]) for name, limit in limits.items()]

    def refresh_usage(self) -> None:
        """After a limit has changed."""
        self._count()

    def kill(self, user: str = "", number: int = 0, immediate: bool = False) -> int:
        """End the sessions of a user, one session, or all; gives how many."""
        chosen = [live for live in self.live.values() if user.upper() in ("", live.info.user) and number in (0, live.info.number)]
        for live in chosen:
            live.kill(immediate)
        return len(chosen)
