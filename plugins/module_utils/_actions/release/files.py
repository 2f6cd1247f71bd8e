# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The changes to folders and files that a rollback and a backup make. Each one is on the disk before the next one begins.

Only ``replace`` and what uses it overwrites a file, and only unfinished copies of our own are deleted. Links are never followed.
Sizes are bytes.
"""

from __future__ import annotations

import errno
import fnmatch
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from typing import Any

CHUNK = 1 << 20
NEW = ".ops-remediation-new"  # suffix of a name while its content is being written; used here only


class Files:
    """Makes the changes. before: called with the name of each change ahead of it, so that a test can end the process there."""

    def __init__(self, before: Callable[[str], None] | None = None) -> None:
        """Store the hook; changes nothing."""
        self.before = before or (lambda _name: None)

    def rename(self, old: str, new: str) -> None:
        """Rename a file or folder. Raises FileExistsError when the new name is taken."""
        self.before(f"rename {os.path.basename(old)}")
        if os.path.lexists(new):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new)
        os.rename(old, new)
        self.sync_folders(os.path.dirname(new), os.path.dirname(old))

    def replace(self, old: str, new: str) -> None:
        """Rename a file over another one."""
        self.before(f"replace {os.path.basename(new)}")
        os.replace(old, new)
        self.sync_folders(os.path.dirname(new), os.path.dirname(old))

    def point(self, link: str, target: str) -> None:
        """Change the target of a symbolic link atomically."""
        fresh = f"{link}{NEW}"
        if os.path.islink(fresh):
            self.before("remove an unused link")
            os.unlink(fresh)
        self.before("make the new link")
        os.symlink(target, fresh)
        self.replace(fresh, link)

    def link(self, path: str, target: str) -> None:
        """Make a symbolic link, unless a link is there already."""
        if not os.path.islink(path):
            self.before(f"link {os.path.basename(path)}")
            os.symlink(target, path)
            self.sync_folders(os.path.dirname(path))

    def make_folder(self, path: str, like: str | None = None) -> None:
        """Make a folder unless it exists, with the owner and mode of another one, or mode 0700 without one."""
        if os.path.isdir(path) and not os.path.islink(path):
            return
        self.before(f"make {os.path.basename(path)}")
        os.mkdir(path, 0o700)
        if like:
            _take_after(path, os.lstat(like))
        self.sync_folders(os.path.dirname(path))

    def write(self, path: str, data: bytes, *, mode: int = 0o600, like: os.stat_result | None = None) -> None:
        """Write a file atomically, with the owner of another one where it is given."""
        fresh = f"{path}{NEW}"
        self.forget(path)
        self.before(f"write {os.path.basename(path)}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if like is not None and os.geteuid() == 0:
                os.fchown(file.fileno(), like.st_uid, like.st_gid)
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        self.replace(fresh, path)

    def forget(self, path: str) -> None:
        """Remove the part of a file that a killed run was writing."""
        fresh = f"{path}{NEW}"
        if os.path.lexists(fresh):
            self.before(f"remove {os.path.basename(fresh)}")
            os.unlink(fresh)

    def copy_tree(self, source: str, target: str, leave_out: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
        """Copy a folder to a name that is free, with owners, modes, times and extended attributes; see :func:`digest_of`.

        leave_out: patterns of paths in it that are not copied, such as ``*/logs/*``. Returns the manifest: {path: entry},
        an entry ``sha256 size mode`` of a file or ``link`` of a symbolic link. Sockets, pipes and devices are not copied.
        """
        manifest: dict[str, dict[str, Any]] = {}
        self.before(f"make {os.path.basename(target)}")
        os.mkdir(target, 0o700)
        folders = [("", os.lstat(source))]
        for path, status in walk(source):
            if left_out(path, leave_out):
                continue
            there = os.path.join(target, path)
            self.before(f"copy {path}")
            if stat.S_ISDIR(status.st_mode):
                os.mkdir(there, 0o700)
                folders.append((path, status))
            elif stat.S_ISLNK(status.st_mode):
                manifest[path] = {"link": os.readlink(os.path.join(source, path))}
                os.symlink(manifest[path]["link"], there)
                _take_owner(there, status)
            elif stat.S_ISREG(status.st_mode):
                manifest[path] = _copy_file(os.path.join(source, path), there, status)
        for path, status in reversed(folders):
            there = os.path.join(target, path)
            _take_after(there, status)
            shutil.copystat(os.path.join(source, path), there, follow_symlinks=False)
            self.before(f"sync {path}")
            sync(there)
        self.sync_folders(os.path.dirname(target))
        return manifest

    def remove_copy(self, path: str) -> None:
        """Remove an unfinished copy of our own; its source still exists."""
        if os.path.lexists(path):
            self.before(f"remove {os.path.basename(path)}")
            shutil.rmtree(path)

    def discard(self, path: str) -> None:
        """Remove a copy of our own that a child of a killed run may still be writing: rename it first, so that nothing is added any more."""
        gone = f"{path}.gone"
        for each in (gone, path):
            if not os.path.lexists(each):
                continue
            if each == path:
                self.rename(path, gone)
            self.before(f"remove {os.path.basename(gone)}")
            shutil.rmtree(gone)

    def sync_folders(self, *paths: str) -> None:
        """Sync folders to the disk, each one once."""
        for path in dict.fromkeys(paths):
            self.before(f"sync {os.path.basename(path)}")
            sync(path)


def read_plain(path: str) -> bytes:
    """Return the content of a regular file. Raises OSError for anything else: a link may lead to a file that its owner may not read."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "is not a regular file", path)
        return file.read()


def sync(path: str) -> None:
    """Sync a folder to the disk; its path may contain links (``/opt`` that leads to ``/data/opt``)."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def walk(folder: str) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the path within a folder and the status of everything in it, a folder before what it holds; sorted."""
    waiting = [""]
    while waiting:
        within = waiting.pop()
        with os.scandir(os.path.join(folder, within)) as entries:
            names = sorted(entry.name for entry in entries)
        deeper = []
        for name in names:
            path = os.path.join(within, name)
            status = os.lstat(os.path.join(folder, path))
            yield path, status
            if stat.S_ISDIR(status.st_mode):
                deeper.append(path)
        waiting.extend(reversed(deeper))


def left_out(path: str, patterns: Sequence[str]) -> bool:
    """Return whether a copy leaves this path out."""
    return any(fnmatch.fnmatch(path, pattern) for pattern in patterns)


def manifest_of(folder: str, leave_out: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    """Return the manifest of a folder, in the form that :meth:`Files.copy_tree` returns."""
    manifest: dict[str, dict[str, Any]] = {}
    for path, status in walk(folder):
        if left_out(path, leave_out):
            continue
        full = os.path.join(folder, path)
        if stat.S_ISLNK(status.st_mode):
            manifest[path] = {"link": os.readlink(full)}
        elif stat.S_ISREG(status.st_mode):
            manifest[path] = {"sha256": sha256_of(full), "size": status.st_size, "mode": stat.S_IMODE(status.st_mode)}
    return manifest


def digest_of(manifest: dict[str, dict[str, Any]]) -> str:
    """Return one hash of all names and contents of a manifest."""
    digest = hashlib.sha256()
    for path in sorted(manifest):
        entry = manifest[path]
        digest.update(f"{path}\0{entry.get('sha256', '')}\0{entry.get('link', '')}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def differences(folder: str, manifest: dict[str, dict[str, Any]], *, hashes: bool) -> list[str]:
    """Return the paths of a manifest that are missing or changed; hashes: compare the contents as well."""
    wrong = []
    for path, entry in sorted(manifest.items()):
        full = os.path.join(folder, path)
        try:
            status = os.lstat(full)
            if "link" in entry:
                same = stat.S_ISLNK(status.st_mode) and os.readlink(full) == entry["link"]
            else:
                same = stat.S_ISREG(status.st_mode) and status.st_size == entry["size"]
                same = same and (not hashes or sha256_of(full) == entry["sha256"])
        except OSError:
            same = False
        if not same:
            wrong.append(path)
    return wrong


def sha256_of(path: str) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        while True:
            data = file.read(CHUNK)
            if not data:
                return digest.hexdigest()
            digest.update(data)


def size_of(folder: str) -> tuple[int, int]:
    """Return the size in bytes and the number of entries of a folder, at any depth."""
    size = number = 0
    for _path, status in walk(folder):
        size += status.st_size if stat.S_ISREG(status.st_mode) else 0
        number += 1
    return size, number


def _copy_file(source: str, target: str, status: os.stat_result) -> dict[str, Any]:
    """Copy one file, and return its entry of the manifest. Raises OSError when the copy, read again, differs."""
    digest = hashlib.sha256()
    reading = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(reading, "rb") as old:
        writing = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        size = 0
        with os.fdopen(writing, "wb") as new:
            while True:
                data = old.read(CHUNK)
                if not data:
                    break
                digest.update(data)
                size += new.write(data)
            new.flush()
            os.fsync(new.fileno())
    _take_after(target, status)
    shutil.copystat(source, target, follow_symlinks=False)
    found = digest.hexdigest()
    if sha256_of(target) != found:
        raise OSError(errno.EIO, "the copy differs from what was read", target)
    return {"sha256": found, "size": size, "mode": stat.S_IMODE(status.st_mode)}


def _take_after(path: str, status: os.stat_result) -> None:
    """Set the owner and the mode of another path."""
    _take_owner(path, status)
    os.chmod(path, stat.S_IMODE(status.st_mode))


def _take_owner(path: str, status: os.stat_result) -> None:
    """Set the owner of another path; without root, everything belongs to the current user."""
    if os.geteuid() == 0:
        os.lchown(path, status.st_uid, status.st_gid)
