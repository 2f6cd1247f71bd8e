# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rename files to the wanted names, and back. Nothing is ever overwritten.

Manual 1, section 6: correct the file name. A journal in the state folder gets a line before and after each rename, so that it shows
what was done whenever the process ends. Undoing also completes a rename that was interrupted; an entry of the journal is only dropped
when the file system that held the file reports that the file is gone. Runs in a bounded child.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Union

from .._core.times import rfc3339
from .._shared.mounts import MAX_MOUNTS_TEXT, MOUNTS, holder_of, is_remote, parse_mounts, seen_source
from .._shared.nas_states import error_name
from .._shared.text_files import text_of

BEGUN, DONE, UNDONE, GONE = "begun", "done", "undone", "gone"
# Reasons for which a file was not renamed, besides the kernel's names of errors.
NO_FOLDER, ELSEWHERE, ANOTHER_FILE, NOT_MADE = "no_folder", "another_file_system", "another_file", "not_made"
# A journal is given by its path, or by an open descriptor where the user that renames cannot open it.
Journal = Union[str, int]
# The errors of a file system without hard links.
_NO_LINKS = frozenset((errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV, errno.EINVAL))


@dataclass(frozen=True)
class Move:
    """The rename of one file in its folder; names as the kernel has them."""

    folder: str
    old: str
    new: str

    @property
    def before(self) -> str:
        """Return the path before the rename."""
        return os.path.join(self.folder, self.old)

    @property
    def after(self) -> str:
        """Return the path after the rename."""
        return os.path.join(self.folder, self.new)

    def turned(self) -> Move:
        """Return the reverse rename."""
        return Move(self.folder, self.new, self.old)


def plan(rows: Iterable[Mapping[str, Any]]) -> list[Move]:
    """Return the renames that correct differences of case and blanks; never two to one name or from one file."""
    moves = [Move(*row["move"]) for row in rows if row.get("move")]
    targets = Counter(move.after for move in moves)
    sources = Counter(move.before for move in moves)
    return [move for move in moves if targets[move.after] == 1 and sources[move.before] == 1]


# --- the journal


def read_journal(path: Journal) -> list[dict[str, Any]]:
    """Return the entries of a journal for files that are renamed and not put back, the latest first.

    ``id folder old new``, the file's ``inode size modified_ns``, and its file system, ``mount source device`` (see :func:`place_of`).
    """
    standing: dict[str, dict[str, Any]] = {}
    for entry in _entries(path):
        if entry["event"] == BEGUN:
            standing[entry["id"]] = entry
        elif entry["event"] in (UNDONE, GONE):
            standing.pop(entry["id"], None)
    return list(reversed(standing.values()))


def _entries(path: Journal, begin: int = 0) -> Iterator[dict[str, Any]]:
    """Yield the entries of a journal from a byte offset on, without incomplete lines."""
    try:
        with open(path, "rb", closefd=isinstance(path, str)) as file:
            file.seek(begin)
            lines = file.read().decode("utf-8", "surrogateescape").split("\n")
    except FileNotFoundError:
        return
    for line in lines:
        with contextlib.suppress(ValueError):
            entry = json.loads(line)
            if isinstance(entry, dict) and {"id", "event"} <= set(entry):
                yield entry


def made_since(path: str, begin: int) -> dict[str, list[dict[str, Any]]]:
    """Return what a child that did not answer did, from its entries in the journal after a byte offset.

    ``renamed undone`` (moves as :func:`rename` and :func:`undo` return them), ``open`` (moves that began and may be complete or not).
    """
    first = {entry["id"]: entry for entry in _entries(path) if entry["event"] == BEGUN}
    now = [(entry["id"], entry["event"]) for entry in _entries(path, begin)]
    begun_now = {identity for identity, event in now if event == BEGUN}
    last = dict(now)
    told: dict[str, list[dict[str, Any]]] = {"renamed": [], "undone": [], "open": []}
    for identity, event in last.items():
        begun = first.get(identity)
        if begun is None or event == GONE or (event == UNDONE and identity in begun_now):
            continue  # the last condition: the rename failed
        move = Move(begun["folder"], begun["old"], begun["new"])
        if event == UNDONE:
            told["undone"].append(asdict(move.turned()))
        else:
            told["renamed" if event == DONE else "open"].append(asdict(move))
    return told


def _note(descriptor: int, **entry: Any) -> None:
    """Write one line to the journal, and wait until it is on the disk."""
    data = (json.dumps({**entry, "at": rfc3339(time.time())}) + "\n").encode()
    if os.write(descriptor, data) != len(data):
        raise OSError(errno.ENOSPC, "the journal cannot be written")
    os.fsync(descriptor)


def open_journal(path: str) -> int:
    """Open a journal, and create it where it does not exist; only this user can read it."""
    return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _to_write(journal: Journal) -> int:
    descriptor = open_journal(journal) if isinstance(journal, str) else os.dup(journal)
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        os.write(descriptor, b"\n")  # an incomplete line must not damage the next one
    return descriptor


# --- in the child


def rename(moves: Sequence[Move], journal: Journal, until: float) -> dict[str, Any]:
    """Rename, and return ``done`` (moves), ``failed`` (moves with ``why``) and ``left`` (moves that the time did not reach).

    until: monotonic seconds, before the deadline of the child, so that it stops between two files and not within a rename.
    """
    answer: dict[str, Any] = {"done": [], "failed": [], "left": []}
    places: dict[tuple[str, int], dict[str, Any]] = {}
    notes = _to_write(journal)
    try:
        for number, move in enumerate(moves):
            if time.monotonic() >= until:
                answer["left"] = [asdict(one) for one in moves[number:]]
                break
            why = _rename_one(move, notes, f"{time.time_ns()}-{number}", places)
            answer["failed" if why else "done"].append({**asdict(move), **({"why": why} if why else {})})
    finally:
        os.close(notes)
    return answer


def _rename_one(move: Move, notes: int, identity: str, places: dict[tuple[str, int], dict[str, Any]]) -> str:
    """Rename one file; return the reason of a failure, "" for success. places: the file systems of the folders so far."""
    try:
        with _folder(move.folder) as folder:
            found = os.stat(move.old, dir_fd=folder, follow_symlinks=False)
            if not stat.S_ISREG(found.st_mode):
                return "not_a_file"
            key = (move.folder, os.fstat(folder).st_dev)
            if key not in places:
                places[key] = {name: value for name, value in place_of(folder).items() if name != "remote"}
            _note(notes, id=identity, event=BEGUN, **places[key], **_marks(found), **asdict(move))
            try:
                exchange(folder, move.old, move.new)
            except OSError:
                _note(notes, id=identity, event=UNDONE)
                raise
            _note(notes, id=identity, event=DONE)
    except (OSError, ValueError) as error:
        return error_name(error)
    return ""


def undo(journal: Journal, until: float) -> dict[str, Any]:
    """Give all files of a journal their old names back; return ``done gone`` (files that no longer exist) ``failed left``.

    Entries that failed or are left stay in the journal for the next run. until: as in :func:`rename`.
    """
    answer: dict[str, Any] = {"done": [], "gone": [], "failed": [], "left": []}
    standing = read_journal(journal)
    if not standing:
        return answer
    notes = _to_write(journal)
    try:
        for entry in standing:
            move = Move(entry["folder"], entry["old"], entry["new"])
            result, why = _undo_one(move, entry) if time.monotonic() < until else ("left", "")
            if result in (DONE, GONE):
                _note(notes, id=entry["id"], event=UNDONE if result == DONE else GONE)
            answer[result].append({**asdict(move.turned()), **({"why": why} if why else {})})
    finally:
        os.close(notes)
    return answer


def standing_moves(journal: str) -> list[dict[str, Any]]:
    """Return what :func:`undo` would do, as moves from the present name to the old one; changes nothing."""
    found = []
    for entry in read_journal(journal):
        move = Move(entry["folder"], entry["old"], entry["new"])
        with contextlib.suppress(OSError, ValueError), _folder(move.folder) as folder:
            if _is_that(os.stat(move.new, dir_fd=folder, follow_symlinks=False), entry, _is_there(folder, entry)):
                found.append(asdict(move.turned()))
    return found


def _marks(found: os.stat_result) -> dict[str, int]:
    return {"inode": found.st_ino, "size": found.st_size, "modified_ns": found.st_mtime_ns}


def _is_that(found: os.stat_result, entry: Mapping[str, Any], there: bool) -> bool:
    """Whether a file is the one that was renamed: by its inode, or where a file system assigns inodes anew, by size and time.

    there: whether it lies in the file system of the journal; inodes of another one cannot be compared.
    """
    marks = _marks(found)
    return (there and marks["inode"] == entry.get("inode")) or all(marks[name] == entry.get(name) for name in ("size", "modified_ns"))


def _undo_one(move: Move, entry: Mapping[str, Any]) -> tuple[str, str]:
    """Give one file its old name back; return done, gone or failed, and the reason."""
    try:
        with _folder(move.folder) as folder:
            there = _is_there(folder, entry)
            try:
                found = os.stat(move.new, dir_fd=folder, follow_symlinks=False)
            except FileNotFoundError:
                if not there:
                    return "failed", ELSEWHERE
                return GONE, NOT_MADE if _has_old_name(folder, entry) else "ENOENT"
            if not _is_that(found, entry, there):
                # After a rename that began and failed, another file may have the name; or the batch has written a new one.
                return (GONE, ANOTHER_FILE) if there else ("failed", ELSEWHERE)
            exchange(folder, move.new, move.old)
    except (FileNotFoundError, NotADirectoryError):
        try:
            return (GONE, "ENOENT") if _is_cleared(move.folder, entry) else ("failed", NO_FOLDER)
        except (OSError, ValueError) as error:
            return "failed", error_name(error)
    except (OSError, ValueError) as error:
        return "failed", error_name(error)
    return DONE, ""


def _has_old_name(folder: int, entry: Mapping[str, Any]) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return _is_that(os.stat(entry["old"], dir_fd=folder, follow_symlinks=False), entry, True)
    return False


def place_of(descriptor: int) -> dict[str, Any]:
    """Return the file system of an open folder: ``mount`` (point) ``source`` ("" for an unknown one) ``device`` (number) ``remote``."""
    by_mount = {entry["mount"]: entry for entry in parse_mounts(text_of(MOUNTS, MAX_MOUNTS_TEXT) or "")}
    holder = holder_of(by_mount, os.readlink(f"/proc/self/fd/{descriptor}"))
    device = os.fstat(descriptor).st_dev
    if holder is None:
        return {"mount": "", "source": "", "device": device, "remote": False}
    source = seen_source(holder["device"], holder["root"])
    return {"mount": holder["mount"], "source": source, "device": device, "remote": is_remote(holder["type"])}


def _is_there(descriptor: int, entry: Mapping[str, Any]) -> bool:
    """Whether an open folder lies in the file system of the journal, and not in the local folder below its mount point.

    A network file system gets another device number with each mount, so only mount point and source are compared.
    """
    place = place_of(descriptor)
    if any(place[name] != entry.get(name) for name in ("mount", "source")):
        return False
    return bool(place["remote"] or place["device"] == entry.get("device"))


def _is_cleared(path: str, entry: Mapping[str, Any]) -> bool:
    """Whether a missing folder was removed from the file system of the journal, judged by the nearest folder above that exists."""
    while path != "/":
        path = os.path.dirname(path)
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), _folder(path) as above:
            return _is_there(above, entry)
    return False


@contextlib.contextmanager
def _folder(path: str) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def exchange(folder: int, old: str, new: str) -> None:
    """Rename a file in an open folder, unless the new name exists (FileExistsError).

    A hard link followed by the removal of the old name cannot overwrite. Without hard links, as on SMB, the folder is listed first.
    """
    try:
        os.link(old, new, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except FileExistsError:
        if not _same(folder, old, new):
            raise
        names = set(os.listdir(folder))
        if {old, new} <= names and os.stat(new, dir_fd=folder, follow_symlinks=False).st_nlink > 1:
            # Two links to one file: an earlier exchange was interrupted here, or the server's answer was lost.
            os.unlink(old, dir_fd=folder)
        elif new in names:
            raise
        else:
            # A file system that ignores case finds the same file under the other name.
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
    except FileNotFoundError:
        return  # a network client may repeat a removal; only the new name is left
    except OSError:
        os.unlink(new, dir_fd=folder)
        raise


def _same(folder: int, one: str, other: str) -> bool:
    return os.path.samestat(os.stat(one, dir_fd=folder, follow_symlinks=False), os.stat(other, dir_fd=folder, follow_symlinks=False))
