# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Give files the names that are wanted, and their old names back. Nothing is ever overwritten.

Manual 1, section 6: correct the file name. A journal in the state folder is written before each rename and after it, so
that whatever happens in between, it is known what was done. Runs in a bounded child.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ._attachments_content import reason_of

BEGUN, DONE, UNDONE, GONE = "begun", "done", "undone", "gone"
# What a file system says that knows no hard links.
_NO_LINKS = frozenset((errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV, errno.EINVAL))


@dataclass(frozen=True)
class Move:
    """One file gets another name in its folder; texts as the kernel has them."""

    folder: str
    old: str
    new: str

    @property
    def before(self) -> str:
        """Return the path that it had."""
        return os.path.join(self.folder, self.old)

    @property
    def after(self) -> str:
        """Return the path that it gets."""
        return os.path.join(self.folder, self.new)

    def turned(self) -> Move:
        """Return the way back."""
        return Move(self.folder, self.new, self.old)


def plan(rows: Iterable[Mapping[str, Any]]) -> list[Move]:
    """Return the renames that mend differences of case and blanks; never two to one name or from one file."""
    moves = [Move(*row["move"]) for row in rows if row.get("move")]
    targets = [move.after for move in moves]
    sources = [move.before for move in moves]
    return [move for move in moves if targets.count(move.after) == 1 and sources.count(move.before) == 1]


# --- the journal


def read_journal(path: str) -> list[dict[str, Any]]:
    """Return what a journal says stands renamed, the latest first: ``id folder old new inode size modified_ns``."""
    standing: dict[str, dict[str, Any]] = {}
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().split("\n")
    except FileNotFoundError:
        return []
    for line in lines:
        try:
            entry = json.loads(line)
            number, event = entry["id"], entry["event"]
        except (ValueError, KeyError, TypeError):
            continue  # the last line of a journal that was cut off
        if event == BEGUN:
            standing[number] = entry
        elif event in (UNDONE, GONE):
            standing.pop(number, None)
    return list(reversed(standing.values()))


def _note(descriptor: int, **entry: Any) -> None:
    """Write one line, and have it on the disk before anything follows from it."""
    data = (json.dumps({**entry, "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}) + "\n").encode()
    if os.write(descriptor, data) != len(data):
        raise OSError(errno.ENOSPC, "the journal cannot be written")
    os.fsync(descriptor)


def _open_journal(path: str) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        os.write(descriptor, b"\n")  # a line that was cut off must not spoil the next one
    return descriptor


# --- in the child


def rename(moves: Sequence[Move], journal: str) -> dict[str, Any]:
    """Rename, and return ``done`` (moves) and ``failed`` (moves with ``why``)."""
    done: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    notes = _open_journal(journal)
    try:
        for number, move in enumerate(moves):
            identity = f"{time.time_ns()}-{number}"
            why = _rename_one(move, notes, identity)
            if why:
                failed.append({**asdict(move), "why": why})
            else:
                done.append(asdict(move))
    finally:
        os.close(notes)
    return {"done": done, "failed": failed}


def _rename_one(move: Move, notes: int, identity: str) -> str:
    """Return why one could not be renamed, "" when it was."""
    try:
        with _folder(move.folder) as folder:
            found = os.stat(move.old, dir_fd=folder, follow_symlinks=False)
            if not stat.S_ISREG(found.st_mode):
                return "not_a_file"
            _note(notes, id=identity, event=BEGUN, **_marks(found), **asdict(move))
            try:
                exchange(folder, move.old, move.new)
            except OSError:
                _note(notes, id=identity, event=UNDONE)
                raise
            _note(notes, id=identity, event=DONE)
    except (OSError, ValueError) as error:
        return reason_of(error)
    return ""


def undo(journal: str) -> dict[str, Any]:
    """Put all names of a journal back; returns ``done gone`` (there is nothing to put back any more) ``failed``."""
    answer: dict[str, Any] = {"done": [], "gone": [], "failed": []}
    standing = read_journal(journal)
    if not standing:
        return answer
    notes = _open_journal(journal)
    try:
        for entry in standing:
            move = Move(entry["folder"], entry["old"], entry["new"])
            result, why = _undo_one(move, entry)
            if result in (DONE, GONE):
                _note(notes, id=entry["id"], event=UNDONE if result == DONE else GONE)
            answer[result].append({**asdict(move.turned()), **({"why": why} if why else {})})
    finally:
        os.close(notes)
    return answer


def standing_moves(journal: str) -> list[dict[str, Any]]:
    """Return what :func:`undo` would put back, as moves from the present name to the old one; nothing is changed."""
    found = []
    for entry in read_journal(journal):
        move = Move(entry["folder"], entry["old"], entry["new"])
        with contextlib.suppress(OSError, ValueError):
            if _is_that(os.stat(move.after, follow_symlinks=False), entry):
                found.append(asdict(move.turned()))
    return found


def _marks(found: os.stat_result) -> dict[str, int]:
    return {"inode": found.st_ino, "size": found.st_size, "modified_ns": found.st_mtime_ns}


def _is_that(found: os.stat_result, entry: Mapping[str, Any]) -> bool:
    """Whether a file is the one that was renamed: by its number, or where a file system gives those anew, by size and time."""
    marks = _marks(found)
    return marks["inode"] == entry.get("inode") or all(marks[name] == entry.get(name) for name in ("size", "modified_ns"))


def _undo_one(move: Move, entry: Mapping[str, Any]) -> tuple[str, str]:
    """Return done, gone or failed, and why."""
    try:
        with _folder(move.folder) as folder:
            try:
                found = os.stat(move.new, dir_fd=folder, follow_symlinks=False)
            except FileNotFoundError:
                return GONE, "ENOENT"
            if not _is_that(found, entry):
                # Where a rename had begun and was not made, another file may have the name; or the batch wrote it anew.
                return GONE, "another_file"
            exchange(folder, move.new, move.old)
    except FileNotFoundError:
        return GONE, "ENOENT"
    except (OSError, ValueError) as error:
        return "failed", reason_of(error)
    return DONE, ""


@contextlib.contextmanager
def _folder(path: str) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def exchange(folder: int, old: str, new: str) -> None:
    """Give a file in an open folder another name, unless that is taken (FileExistsError).

    A hard link and the removal of the old name cannot overwrite. Where there are no links, as on SMB, it is looked first.
    """
    try:
        os.link(old, new, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except FileExistsError:
        # A file system without case finds the same file under the other name.
        if new in os.listdir(folder) or not _same(folder, old, new):
            raise
        os.rename(old, new, src_dir_fd=folder, dst_dir_fd=folder)
        return
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if new in os.listdir(folder):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new) from error
        os.rename(old, new, src_dir_fd=folder, dst_dir_fd=folder)
        return
    try:
        os.unlink(old, dir_fd=folder)
    except OSError:
        os.unlink(new, dir_fd=folder)
        raise


def _same(folder: int, one: str, other: str) -> bool:
    return os.path.samestat(os.stat(one, dir_fd=folder, follow_symlinks=False), os.stat(other, dir_fd=folder, follow_symlinks=False))
