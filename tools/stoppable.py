"""Run commands that can be ended with everything they started, when they take too long or when this program is told to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

STOP = threading.Event()  # set by a signal; commands that run then are ended, and their callers begin nothing new
_POLL_S = 0.2
_GRACE_S = 5.0  # between SIGTERM and SIGKILL


class CommandError(Exception):
    """A command took too long or was stopped; the text says which."""


def stop_on_signals() -> None:
    """Have Ctrl-C and SIGTERM set STOP and do nothing else: cleaning up goes on also when they come again."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: STOP.set())


def finish(
    argv: Sequence[str], *, seconds: float, env: Mapping[str, str], out: IO[str] | int, cwd: Path | None = None, stoppable: bool = True
) -> int:
    """Run a command to its end and return its exit code; its output goes to ``out``, its errors to the terminal when that is DEVNULL.

    A command that is not ``stoppable`` goes on when this program is told to stop, and begins then too. Raises CommandError.
    """
    errors = None if out == subprocess.DEVNULL else subprocess.STDOUT
    deadline = time.monotonic() + seconds
    # A session of its own: Ctrl-C of a terminal reaches this program alone, which decides what ends.
    with subprocess.Popen(argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=errors, start_new_session=True) as child:
        try:
            while child.poll() is None:
                if stoppable and STOP.is_set():
                    raise CommandError("was stopped")
                if time.monotonic() > deadline:
                    raise CommandError(f"did not end within {seconds:g} s")
                with suppress(subprocess.TimeoutExpired):
                    child.wait(_POLL_S)
        finally:
            if child.poll() is None:
                end(child)
    return child.returncode


def end(child: subprocess.Popen[bytes]) -> None:
    """End a command and its descendants, also those that made sessions of their own, as the workers of Ansible do."""
    family = _with_descendants({child.pid: _started(child.pid)})
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
    deadline = time.monotonic() + _GRACE_S
    while _alive(family) and time.monotonic() < deadline:
        time.sleep(_POLL_S / 4)
        child.poll()
        family = _with_descendants(family)
    for pid in _alive(family):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    # Whatever the group has got since.
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    # A killed process takes a moment to go, and may hold a lock that is wanted next.
    deadline = time.monotonic() + _GRACE_S
    while _alive(family) and time.monotonic() < deadline:
        child.poll()
        time.sleep(_POLL_S / 4)


def _with_descendants(family: Mapping[int, str]) -> dict[int, str]:
    """Return processes (pid: when it was started) with everything that those of them that still run have started."""
    found = dict(family)
    parents = {int(entry.name): _stat(int(entry.name)) for entry in os.scandir("/proc") if entry.name.isdigit()}
    generation = set(_alive(family))
    while generation:
        generation = {pid for pid, fields in parents.items() if fields and int(fields[1]) in generation and pid not in found}
        found |= {pid: parents[pid][19] for pid in generation}
    return found


def _alive(family: Mapping[int, str]) -> list[int]:
    """Return those that still run; a pid that another process has got since is none of them, nor is a zombie."""
    fields = {pid: _stat(pid) for pid in family}
    return [pid for pid, started in family.items() if fields[pid] and fields[pid][0] != "Z" and fields[pid][19] == started]


def _started(pid: int) -> str:
    """Return when a process was started, in the kernel's ticks; "" when it is gone."""
    fields = _stat(pid)
    return fields[19] if fields else ""


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/<pid>/stat from the state on (proc_pid_stat(5): state, ppid, ... starttime is the 20th), [] when gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []
