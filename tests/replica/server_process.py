"""A server of the replica in a process of its own: start it, and wait until it answers or has ended."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .runtime import Runtime
from .system import Account, ReplicaError, is_root

_LAST_LINE = 300  # characters of it


@dataclass(frozen=True)
class Started:
    """A process in the background; `title` names it in errors, its output goes to `log`."""

    title: str
    process: subprocess.Popen[bytes]
    log: Path

    def wait_until(self, answers: Callable[[], object], seconds: float, interval: float = 0.05) -> None:
        """Wait until `answers` is true; ReplicaError at once when the process ends before, or after `seconds`."""
        deadline = time.monotonic() + seconds
        while not answers():
            code = self.process.poll()
            if code is not None:
                raise ReplicaError(f"{self.title} ended at once with exit code {code}: {last_line(self.log)} (log: {self.log})")
            if time.monotonic() > deadline:
                raise ReplicaError(f"{self.title} does not answer within {seconds:g} s: {last_line(self.log)} (log: {self.log})")
            time.sleep(interval)


def start(title: str, runtime: Runtime, account: Account, log: Path, arguments: Sequence[str]) -> Started:
    """Start a module of the replica as `account`; `arguments` follow the interpreter (`-m`, the module, ...)."""
    identity = {"user": account.uid, "group": account.gid, "extra_groups": []} if is_root() and account.uid != 0 else {}
    with log.open("w", encoding="utf-8") as output:
        try:
            process = subprocess.Popen(
                [str(runtime.python), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                env=runtime.environment(),
                umask=0o077,
                start_new_session=True,
                **identity,
            )
        except PermissionError:
            raise ReplicaError(
                f"the account {account.name} cannot run {runtime.python}: install python3-venv, remove .venv, then run `make setup`"
            ) from None
    return Started(title, process, log)


def last_line(log: Path) -> str:
    """The last line of a log that is not empty."""
    try:
        lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    except OSError as error:
        return error.strerror or str(error)
    return lines[-1][:_LAST_LINE] if lines else "its log is empty"
