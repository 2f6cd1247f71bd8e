# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of rollbacks on a host: what was begun, and how it ended. One line of JSON for each event, on the disk before the action.

The journal records the intention; the position of each folder is read from the disk. So a line that is missing (a full disk, a killed
process) loses nothing: the next run examines the rollback once more.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..._core.errors import ActionFailed, WrongQuestion
from ..._core.times import rfc3339
from .files import Files, sync

BEGUN, STAGED, STOPPING, PLACED = "begun", "staged", "stopping", "placed"
UNDOING, FINISHED, UNDONE, ABANDONED = "undoing", "finished", "undone", "abandoned"
_ENDS = (FINISHED, UNDONE, ABANDONED)


class Journal:
    """The journal of one installation, in the state folder of its host."""

    def __init__(self, folder: str, app: str, files: Files) -> None:
        """Derive the name of the file from the installation; reads and writes nothing."""
        name = os.path.basename(app.rstrip("/")) or "app"
        key = hashlib.sha256(os.path.normpath(app).encode("utf-8", "surrogateescape")).hexdigest()[:8]
        self.folder = folder
        self.app = os.path.normpath(app)
        self.path = os.path.join(folder, f"release-{name}-{key}.jsonl")
        self.files = files

    def entries(self) -> list[dict[str, Any]]:
        """Return all complete lines; a line that was cut off counts as not written."""
        try:
            with open(self.path, encoding="utf-8", errors="surrogateescape") as file:
                lines = file.read().split("\n")
        except (FileNotFoundError, NotADirectoryError):
            return []
        found = []
        for line in lines:
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict) and entry.get("id") and entry.get("event"):
                found.append(entry)
        return found

    def rollbacks(self) -> list[dict[str, Any]]:
        """Return the rollbacks that were begun, oldest first: the values of all their lines, ``events``, and ``end`` ("" while it is open)."""
        found: dict[str, dict[str, Any]] = {}
        for entry in self.entries():
            if entry["event"] == BEGUN:
                found[entry["id"]] = {**entry, "events": [], "end": ""}
            elif entry["id"] in found:
                known = found[entry["id"]]
                known["events"].append(entry["event"])
                known.update({name: value for name, value in entry.items() if name not in ("id", "event", "at")})
                if entry["event"] in _ENDS:
                    known["end"], known["ended_at"] = entry["event"], entry["at"]
        return list(found.values())

    def interrupted(self) -> dict[str, Any] | None:
        """Return the last rollback if it has no end, otherwise None."""
        last = self.rollbacks()[-1:]
        return last[0] if last and not last[0]["end"] else None

    def finished(self) -> list[dict[str, Any]]:
        """Return the rollbacks that succeeded, oldest first."""
        return [entry for entry in self.rollbacks() if entry["end"] == FINISHED]

    def note(self, identity: str, event: str, **details: Any) -> None:
        """Write one line and sync it to the disk. Raises ActionFailed when it cannot be written."""
        entry = {"id": identity, "event": event, "at": rfc3339(time.time()), **details}
        self.files.before(f"journal {event}")
        try:
            self._append((json.dumps(entry) + "\n").encode("utf-8", "surrogateescape"))
        except OSError as error:
            raise ActionFailed(
                f"the journal {self.path} cannot be written ({error.strerror}); free space or give another state_dir"
            ) from error

    def _append(self, data: bytes) -> None:
        fresh = not os.path.exists(self.path)
        descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                data = b"\n" + data  # ends a line that was cut off
            if os.write(descriptor, data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.path)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if fresh:
            sync(self.folder)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold an exclusive lock on this installation. Raises ActionFailed when another run holds it.

        The kernel releases the lock when the process ends, whatever the reason.
        """
        self._make_folder()
        try:
            descriptor = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise ActionFailed(
                f"the lock {self.path}.lock cannot be made ({error.strerror}); free space or give another state_dir"
            ) from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip() or "unknown"
                raise ActionFailed(
                    f"another rollback or backup of this installation is running ({holder}); wait until it has ended"
                ) from error
            with contextlib.suppress(OSError):  # on a full disk the holder is not recorded; the lock is held nevertheless
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"process {os.getpid()}".encode(), 0)
            with self._alone_in_folder():
                yield
        finally:
            os.close(descriptor)

    @contextmanager
    def _alone_in_folder(self) -> Iterator[None]:
        """Also lock the folder of the installation, because another inventory name of this host has another state folder."""
        parent = os.path.dirname(self.app)
        try:
            descriptor = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise ActionFailed(f"{parent} cannot be opened ({error.strerror}); run as root (become: true)") from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ActionFailed(
                    f"another rollback or backup is running in {parent}, under another inventory name of this host; wait until it has ended"
                ) from error
            except OSError:
                pass  # a file system without locks; the lock in the state folder must suffice
            yield
        finally:
            os.close(descriptor)

    def _make_folder(self) -> None:
        try:
            os.makedirs(self.folder, mode=0o700, exist_ok=True)
            if not os.access(self.folder, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, "not writable")
        except OSError as error:
            raise WrongQuestion(
                "state_dir", self.folder, f"cannot be used ({error.strerror})", "give a folder that this user may write"
            ) from error
