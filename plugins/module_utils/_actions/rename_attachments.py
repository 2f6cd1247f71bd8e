# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Give files the names that are wanted, and their old names back. Nothing is ever overwritten.

Manual 1, section 6: correct the file name. A journal in the state folder is written before each rename and after it, so
that whatever happens in between, it is known what was done. A rename that was cut off in the middle is put right by the way
back, and an entry of the journal is given up only where the file system that held the file says that it is gone. Runs in a bounded child.
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

from .._shared.mounts import MAX_MOUNTS_TEXT, MOUNTS, holder_of, is_remote, parse_mounts, seen_source
from .._shared.nas_states import error_name
from .._shared.text_files import text_of

BEGUN, DONE, UNDONE, GONE = "begun", "done", "undone", "gone"
# Why a file was not touched, besides the kernel's names of errors.
NO_FOLDER, ELSEWHERE, ANOTHER_FILE, NOT_MADE = "no_folder", "another_file_system", "another_file", "not_made"
# A journal is named by its path, or where the user that renames may not open it, by a descriptor that was opened before.
Journal = Union[str, int]
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
    targets = Counter(move.after for move in moves)
    sources = Counter(move.before for move in moves)
    return [move for move in moves if targets[move.after] == 1 and sources[move.before] == 1]


# --- the journal


def read_journal(path: Journal) -> list[dict[str, Any]]:
    """Return what a journal says stands renamed, the latest first.

    ``id folder old new``, the file's ``inode size modified_ns``, and where it lay, ``mount source device`` (see :func:`place_of`).
    """
    standing: dict[str, dict[str, Any]] = {}
    for entry in _entries(path):
        if entry["event"] == BEGUN:
            standing[entry["id"]] = entry
        elif entry["event"] in (UNDONE, GONE):
            standing.pop(entry["id"], None)
    return list(reversed(standing.values()))


def _entries(path: Journal, begin: int = 0) -> Iterator[dict[str, Any]]:
    """Yield the lines of a journal from a byte on; one that was cut off is none."""
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
    """Return what a journal tells from a byte on, of a child that did not answer.

    ``renamed undone`` (moves as :func:`rename` and :func:`undo` tell them), ``open`` (moves that had begun, and may have been made or not).
    """
    first = {entry["id"]: entry for entry in _entries(path) if entry["event"] == BEGUN}
    now = [(entry["id"], entry["event"]) for entry in _entries(path, begin)]
    begun_now = {identity for identity, event in now if event == BEGUN}
    last = dict(now)
    told: dict[str, list[dict[str, Any]]] = {"renamed": [], "undone": [], "open": []}
    for identity, event in last.items():
        begun = first.get(identity)
        if begun is None or event == GONE or (event == UNDONE and identity in begun_now):
            continue  # the last: it could not be made
        move = Move(begun["folder"], begun["old"], begun["new"])
        if event == UNDONE:
            told["undone"].append(asdict(move.turned()))
        else:
            told["renamed" if event == DONE else "open"].append(asdict(move))
    return told


def _note(descriptor: int, **entry: Any) -> None:
    """Write one line, and have it on the disk before anything follows from it."""
    data = (json.dumps({**entry, "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}) + "\n").encode()
    if os.write(descriptor, data) != len(data):
        raise OSError(errno.ENOSPC, "the journal cannot be written")
    os.fsync(descriptor)


def open_journal(path: str) -> int:
    """Open a journal, which is made where there is none; only this user may read it."""
    return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _to_write(journal: Journal) -> int:
    descriptor = open_journal(journal) if isinstance(journal, str) else os.dup(journal)
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        os.write(descriptor, b"\n")  # a line that was cut off must not spoil the next one
    return descriptor


# --- in the child


def rename(moves: Sequence[Move], journal: Journal, until: float) -> dict[str, Any]:
    """Rename, and return ``done`` (moves), ``failed`` (moves with ``why``) and ``left`` (moves that the time did not reach).

    until: monotonic seconds, before the end of the child, so that this one stops between two files and not in the middle of one.
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
    """Return why one could not be renamed, "" when it was. places: of the folders so far."""
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
    """Put all names of a journal back; returns ``done gone`` (there is nothing to put back any more) ``failed left``.

    What failed or is left stays in the journal, for the next time. until: as in :func:`rename`.
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
    """Return what :func:`undo` would put back, as moves from the present name to the old one; nothing is changed."""
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
    """Whether a file is the one that was renamed: by its number, or where a file system gives those anew, by size and time.

    there: whether it lies in the file system of the journal; the numbers of another one say nothing.
    """
    marks = _marks(found)
    return (there and marks["inode"] == entry.get("inode")) or all(marks[name] == entry.get(name) for name in ("size", "modified_ns"))


def _undo_one(move: Move, entry: Mapping[str, Any]) -> tuple[str, str]:
    """Return done, gone or failed, and why."""
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
                # Where a rename had begun and was not made, another file may have the name; or the batch wrote it anew.
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
    """Return in which file system an open folder lies: ``mount`` (point) ``source`` ("" where not told) ``device`` (number) ``remote``."""
    by_mount = {entry["mount"]: entry for entry in parse_mounts(text_of(MOUNTS, MAX_MOUNTS_TEXT) or "")}
    holder = holder_of(by_mount, os.readlink(f"/proc/self/fd/{descriptor}"))
    told = {"mount": holder["mount"], "source": seen_source(holder["device"], holder["root"])} if holder else {"mount": "", "source": ""}
    return {**told, "device": os.fstat(descriptor).st_dev, "remote": bool(holder) and is_remote(holder["type"])}


def _is_there(descriptor: int, entry: Mapping[str, Any]) -> bool:
    """Whether an open folder lies in the file system of the journal, and not in what lies there while that is not mounted.

    A file system of the network gets another number with each mount.
    """
    place = place_of(descriptor)
    if any(place[name] != entry.get(name) for name in ("mount", "source")):
        return False
    return place["remote"] or place["device"] == entry.get("device")


def _is_cleared(path: str, entry: Mapping[str, Any]) -> bool:
    """Whether a folder that does not exist is missing in the file system of the journal, by the nearest folder above that does."""
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
    """Give a file in an open folder another name, unless that is taken (FileExistsError).

    A hard link and the removal of the old name cannot overwrite. Where there are no links, as on SMB, it is looked first.
    """
    try:
        os.link(old, new, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except FileExistsError:
        if not _same(folder, old, new):
            raise
        names = set(os.listdir(folder))
        if {old, new} <= names and os.stat(new, dir_fd=folder, follow_symlinks=False).st_nlink > 1:
            # Two links to one file: an earlier exchange was cut off here (or the server's answer was lost).
            os.unlink(old, dir_fd=folder)
        elif new in names:
            raise
        else:
            # A file system without case finds the same file under the other name.
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
        return  # over a network, a removal that was asked for twice; the new name is the only one by now
    except OSError:
        os.unlink(new, dir_fd=folder)
        raise


def _same(folder: int, one: str, other: str) -> bool:
    return os.path.samestat(os.stat(one, dir_fd=folder, follow_symlinks=False), os.stat(other, dir_fd=folder, follow_symlinks=False))
