"""Processes that belong to an instance, found in /proc: also those that a killed run left."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from .parts import parts

ORACLE = "oracle"  # a Python that runs the server of oracle/
AWS = "aws"  # the same of aws/
PROGRAMS = frozenset({"node", "nginx", "postgres", "initdb", "pg_ctl", "psql", ORACLE, AWS}).union(*(part.programs for part in parts()))
_SERVERS = {ORACLE: b"\0-m\0tests.replica.oracle\0serve\0", AWS: b"\0-m\0tests.replica.aws\0serve\0"}
_GRACE_S = 5.0


def belonging_to(instance: Path, programs: frozenset[str] = PROGRAMS) -> list[int]:
    """Pids of the programs whose folder, command line or environment lies in `instance`."""
    return [pid for pid in _pids() if _program(pid) in programs and _mentions(pid, instance)]


def end_all(instance: Path, programs: frozenset[str] = PROGRAMS) -> None:
    """End every process of the instance, first politely."""
    ended: set[int] = set()
    deadline = time.monotonic() + _GRACE_S
    while pids := belonging_to(instance, programs):
        force = time.monotonic() > deadline
        for pid in pids:
            if pid in ended and not force:
                continue
            ended.add(pid)
            # CONT: a process that was stopped with SIGSTOP hears nothing else but KILL.
            _send(pid, signal.SIGKILL if force else signal.SIGTERM)
            _send(pid, signal.SIGCONT)
        time.sleep(0.05)


def _pids() -> Iterator[int]:
    for entry in os.scandir("/proc"):
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            yield int(entry.name)


def _program(pid: int) -> str:
    try:
        name = os.path.basename(os.readlink(f"/proc/{pid}/exe")).removesuffix(" (deleted)")
        if name.startswith("python"):
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            return next((server for server, words in _SERVERS.items() if words in command), name)
    except OSError:
        return ""
    return name


def _mentions(pid: int, instance: Path) -> bool:
    wanted = os.fsencode(f"{instance}/")
    try:
        folder = os.fsencode(os.readlink(f"/proc/{pid}/cwd")) + b"/"
        texts = [Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ")]
    except OSError:
        return False
    return folder.startswith(wanted) or any(wanted in text for text in texts)


def _send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
