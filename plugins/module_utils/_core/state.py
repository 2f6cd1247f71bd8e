# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state folder of a host: what one run keeps for the next (0700, files 0600). Check mode writes nothing."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

from .errors import Busy, WrongQuestion

ROOT_DIRECTORY = "/var/lib/ops-remediation"
USER_DIRECTORY = "~/.local/state/ops-remediation"
CHANGE_WITHIN = 5.0  # seconds to wait for another run that changes what is kept
_LOOK_AGAIN = 0.02


class State:
    """A folder of small JSON files, written whole or not at all."""

    def __init__(self, directory: str, *, read_only: bool) -> None:
        """Use a folder; with ``read_only`` (check mode) it is neither made nor changed."""
        self.directory = directory
        self.read_only = read_only

    def load(self, name: str) -> Any:
        """Return what was kept under a name, or None; a damaged file counts as absent."""
        try:
            with open(self._path(name), encoding="utf-8") as file:
                return json.load(file)
        except (OSError, ValueError):
            return None

    def save(self, name: str, value: Any) -> None:
        """Keep a value for the next run. Raises WrongQuestion when the folder cannot be written."""
        if self.read_only:
            return
        self.make()
        handle, temporary = tempfile.mkstemp(dir=self.directory, prefix=".")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(value, file)
            os.replace(temporary, self._path(name))
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise

    def recall(self, name: str) -> Kept:
        """Return what was kept under a name for a reader that shares it with others; anything but a dictionary counts as absent."""
        return Kept(self, name)

    def change(self, name: str, make: Callable[[Any], Any]) -> None:
        """Keep what ``make`` returns for what was kept so far (None: it stays), without losing what another run keeps meanwhile.

        Raises WrongQuestion when the folder cannot be written, OSError when another run does not let go of it.
        """
        if self.read_only:
            return
        self.make()
        end = time.monotonic() + CHANGE_WITHIN
        try:
            with _locked(self._path("kept", ".lock"), lambda: time.monotonic() >= end):
                value = make(self.load(name))
                if value is not None:
                    self.save(name, value)
        except Busy as error:
            raise OSError(errno.EAGAIN, error.message) from None

    def lock_file(self, name: str) -> str | None:
        """Return the path of a lock; None in check mode where it does not exist, since that would write."""
        path = self._path(name, ".lock")
        if self.read_only:
            return path if os.path.exists(path) else None
        self.make()
        return path

    def _path(self, name: str, suffix: str = ".json") -> str:
        return os.path.join(self.directory, name + suffix)

    def make(self) -> None:
        """Make the folder; raises WrongQuestion when it cannot be used."""
        try:
            os.makedirs(self.directory, mode=0o700, exist_ok=True)
            if not os.access(self.directory, os.W_OK | os.X_OK):
                raise PermissionError(13, "not writable")
        except OSError as error:
            raise WrongQuestion(
                "state_dir", self.directory, f"cannot be used ({error.strerror})", "give a folder that this user may write"
            ) from error


class Kept(dict):
    """What a former run kept, and how those who read at the same time agree about it: hosts that delegate to one checker share it."""

    def __init__(self, state: State, name: str) -> None:
        """Load what was kept."""
        super().__init__()
        self._state, self._name = state, name
        self.again()

    def again(self) -> Kept:
        """Load it anew, as another run may have left it by now."""
        value = self._state.load(self._name)
        self.clear()
        self.update(value if isinstance(value, dict) else {})
        return self

    def keep(self, make: Callable[[Any], Any]) -> None:
        """Keep something at once (see :meth:`State.change`), so that others know it before this run ends."""
        self._state.change(self._name, make)

    @contextlib.contextmanager
    def alone(self, what: str, give_up: Callable[[], bool]) -> Iterator[bool]:
        """Be the only one who does something, such as to log in to an account. Raises Busy when ``give_up`` says so.

        Yields whether the one who was waited for never came back from it (it was killed at its deadline). Where nothing may be written
        (check mode), or the folder cannot be, nobody is kept out.
        """
        name = f"{self._name}-{hashlib.sha256(what.encode()).hexdigest()[:16]}"
        try:
            path = self._state.lock_file(name)
        except WrongQuestion:
            path = None  # told when it comes to keeping
        with _locked(path, give_up) if path and not self._state.read_only else contextlib.nullcontext(False) as stuck:
            yield stuck


@contextlib.contextmanager
def _locked(path: str, give_up: Callable[[], bool]) -> Iterator[bool]:
    """Hold the lock of a file; the kernel gives it back when this process ends, however it ends.

    The file holds a mark meanwhile, so that who has waited sees, and is told, whether the holder before ended in order.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        waited = _acquired_late(descriptor, path, give_up)
        stuck = waited and os.fstat(descriptor).st_size > 0
        os.pwrite(descriptor, b"held", 0)
        try:
            yield stuck
        finally:
            if not stuck:  # else those who wait as well must be told the same
                os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _acquired_late(descriptor: int, path: str, give_up: Callable[[], bool]) -> bool:
    """Wait for a lock and return whether anybody had it; raises Busy."""
    waited = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return waited
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
        if give_up():
            raise Busy(f"{path} is held by another run")
        waited = True
        time.sleep(_LOOK_AGAIN)


def default_directory(host: str) -> str:
    """Return where a host's state lives: under /var/lib for root, under the home folder for others."""
    base = ROOT_DIRECTORY if os.geteuid() == 0 else os.path.expanduser(USER_DIRECTORY)
    return os.path.join(base, host.replace("/", "_") or "localhost")
