# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make what a rollback needs: a copy of the running release with checksums, or a release out of a delivered archive.

Product facts, "Backups" (a copy before each deploy and weekly) and "Install layout" (archives are checked by SHA-256). A backup gets
its name only when all of it is on the disk. Old ones are renamed into an attic; nothing is deleted but an unfinished copy.
"""

from __future__ import annotations

import json
import os
import re
import stat
import tarfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ..._core.children import call
from ..._core.errors import ActionFailed, RemediationError, WrongQuestion
from .archive import delivered_sum, unpack
from .files import Files, differences, digest_of, manifest_of, read_plain, sha256_of
from .journal import Journal
from .layout import (
    ASIDE,
    ENV,
    LINK,
    MANIFEST,
    PARTS,
    READ_WITHIN,
    Candidate,
    Place,
    Refused,
    candidates,
    code_manifest,
    inode_of,
    missing_in,
    place_of,
    read_manifest,
)
from .preflight import MEGABYTE

LEFT_OUT = ("backend/logs/*", "worker/logs/*", "worker/spool/*", "config/.env.before-*")
UNFINISHED = ".unfinished"
# Without these the applications do not start, and an archive of a build has none of them.
WRITTEN_TO = {"backend": ("backend/logs",), "worker": ("worker/logs", "worker/spool")}


@dataclass(frozen=True)
class Request:
    """What is wanted; see the options of the module release_backup. Sizes are megabytes, times seconds."""

    app_dir: str
    state_dir: str
    releases_dir: str | None = None
    backup_dirs: Sequence[str] = ()
    parts: Sequence[str] = PARTS
    env_file: str = ENV
    keep: int = 5
    leave_out: Sequence[str] = LEFT_OUT
    least_free_mb: float = 200.0
    timeout: float = 1800.0
    archive: str | None = None
    archive_sha256: str | None = None


@dataclass
class Result:
    """What was done, or would be. attic: what was renamed into it."""

    changed: bool = False
    message: str = ""
    id: str = ""
    path: str = ""
    sha256: str = ""
    steps: list[str] = field(default_factory=list)
    attic: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return it as the module does; a value named ``path`` Ansible would take for a file, and add what that is like."""
        found = asdict(self)
        found["release_path"] = found.pop("path")
        return found


def back_up(request: Request, files: Files, *, check_mode: bool, now: Callable[[], float] = time.time) -> Result:
    """Make a backup where the running release differs from the newest one, and put old ones away. Raises RemediationError."""
    work = Backup(request, files, check_mode=check_mode, now=now)
    if check_mode:
        return work.go()
    with work.journal.alone():
        return work.go()


class Backup:
    """One backup on its way."""

    def __init__(self, request: Request, files: Files, *, check_mode: bool, now: Callable[[], float]) -> None:
        """Find out how the installation is laid out. Raises WrongQuestion; changes nothing."""
        if request.keep < 1:
            raise WrongQuestion("keep", request.keep, "is no number of backups to keep", "give 1 or more")
        self.request = request
        self.files = files
        self.check_mode = check_mode
        self.now = now
        self.place = place_of(request.app_dir, request.releases_dir, request.backup_dirs)
        self.journal = Journal(request.state_dir, self.place.app, files)
        self.result = Result()

    def go(self) -> Result:
        """Back up or unpack, then put away what is too old."""
        opened = self.journal.interrupted()
        if opened:
            remedy = "run emergency_rollback with the same target first: it finishes or undoes it"
            raise Refused("interrupted", f"a rollback to {opened['target_id']} was interrupted; {remedy}", release=opened["target_id"])
        self._clear()
        if self.request.archive:
            self._unpack(self.request.archive)
        elif not self.place.live:
            raise Refused(
                "incomplete", f"{self.place.app} does not exist, so there is nothing to back up; name the installation", path=self.place.app
            )
        elif self.place.layout == LINK:
            self._note_down()
        else:
            self._copy()
        self._put_away()
        return self.result

    # --- a copy of what runs

    def _copy(self) -> None:
        place = self.place
        wanted = self._bounded(lambda: digest_of(manifest_of(place.live, self.request.leave_out)))
        lacking = self._bounded(lambda: missing_in(place.live, self.request.parts, "", self._env()))
        if lacking:
            message = (
                f"{place.live} itself is incomplete ({', '.join(lacking[:5])} missing), so a backup of it would be of no use; mend it first"
            )
            raise Refused("incomplete", message, path=place.live, missing=lacking[:20])
        same = next((one for one in self._backups() if _kept_digest(one.path) == wanted and self._holds(one, wanted)), None)
        self.result.sha256 = wanted
        if same is not None:
            self.result.id, self.result.path = same.id, same.path
            self.result.message = f"backup {same.id} holds just what runs; no other one was made"
            return
        path = self._free_name()
        self._must_have_room(self._bounded(lambda: _size(place.live, self.request.leave_out)))
        self.result.changed = True
        self.result.id, self.result.path = path[-12:], path
        self.result.steps.append(f"copy {place.live} to {path}, with checksums")
        self.result.message = f"backup {path} {'would be made' if self.check_mode else 'is made'}"
        if not self.check_mode:
            self._make(path, lambda target: self.files.copy_tree(place.live, target, self.request.leave_out))

    def _holds(self, one: Candidate, wanted: str) -> bool:
        """Whether a backup is complete and its content, read again, is just that."""
        return one.complete and self._bounded(lambda: digest_of(manifest_of(one.path, self.request.leave_out))) == wanted

    def _make(self, path: str, fill: Callable[[str], dict[str, dict[str, Any]]], **more: str) -> None:
        """Have a folder filled beside its place; it gets its name when it and its manifest are on the disk."""
        unfinished = _unfinished_of(path)

        def work() -> dict[str, Any]:
            try:
                return {"manifest": fill(unfinished)}
            except (OSError, tarfile.TarError) as error:
                return {"problem": _said(error)}

        try:
            done = self._bounded(work)
            if "problem" in done:
                raise ActionFailed(f"{path} could not be made: {done['problem']}; nothing else was changed")
            self._write_manifest(path, done["manifest"], **more)
            self.files.rename(unfinished, path)
        except RemediationError:
            self._forget(path)
            raise
        except OSError as error:
            self._forget(path)
            raise ActionFailed(f"{path} could not be made: {_said(error)}; nothing else was changed") from error
        self.result.sha256 = digest_of(done["manifest"])

    def _write_manifest(self, path: str, manifest: dict[str, dict[str, Any]], **more: str) -> None:
        made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.now()))
        kept = {"made_at": made, "sha256": digest_of(manifest), **more, "files": manifest}
        try:
            self.files.write(path + MANIFEST, json.dumps(kept, sort_keys=True).encode("utf-8", "surrogateescape"))
        except OSError as error:
            raise ActionFailed(f"the checksums {path}{MANIFEST} could not be written: {_said(error)}; nothing else was changed") from error

    def _note_down(self) -> None:
        """Write the checksums of what was built in the live release behind a link; the release itself stays where it is."""
        live = self.place.live
        manifest = self._bounded(lambda: code_manifest(live, self.request.leave_out))
        self.result.id, self.result.path, self.result.sha256 = os.path.basename(live), live, digest_of(manifest)
        if _kept_digest(live) == self.result.sha256:
            self.result.message = f"the checksums of release {self.result.id} are written down already"
            return
        self.result.changed = True
        self.result.steps.append(f"write the checksums of {live}")
        self.result.message = f"the checksums of release {self.result.id} {'would be' if self.check_mode else 'are'} written down"
        if not self.check_mode:
            self._write_manifest(live, manifest)

    # --- a delivered archive

    def _unpack(self, archive: str) -> None:
        """Make a release out of an archive, after its SHA-256 was compared with the delivered one."""
        wanted = delivered_sum(self.request.archive_sha256)
        found = self._sum_of(archive)
        if found != wanted:
            message = f"{archive} is not what was delivered: its SHA-256 is {found}, not {wanted}; have it delivered again"
            raise Refused("archive", message, path=archive, found=found, wanted=wanted)
        existing = next((one for one in self._backups() if _unpacked_from(one.path) == wanted and self._is_whole(one)), None)
        if existing is not None:
            self.result.id, self.result.path = existing.id, existing.path
            self.result.message = f"release {existing.id} was unpacked from this archive already"
            return
        path = self._free_name()
        self._must_have_room(os.stat(archive).st_size * 4)
        self.result.changed = True
        self.result.id = os.path.basename(path) if self.place.layout == LINK else path[-12:]
        self.result.path = path
        self.result.steps += [f"compare the SHA-256 of {archive}", f"unpack it to {path}, with the present {self._env()}"]
        self.result.message = f"release {self.result.id} {'would be' if self.check_mode else 'is'} unpacked to {path}"
        if not self.check_mode:
            self._make(path, lambda target: self._fill_from(archive, target), archive=wanted)

    def _is_whole(self, one: Candidate) -> bool:
        """Whether a release is complete and its files, read again, are as they were unpacked."""
        manifest = read_manifest(one.path)
        return one.complete and manifest is not None and not self._bounded(lambda: differences(one.path, manifest, hashes=True))

    def _sum_of(self, archive: str) -> str:
        if not os.path.isabs(archive):
            raise WrongQuestion("archive", archive, "is not an absolute path", "give the full path of the archive on the host")
        try:
            return str(self._bounded(lambda: sha256_of(archive)))
        except RemediationError as error:
            raise WrongQuestion("archive", archive, f"cannot be read on this host ({error.message})", "copy it there first") from error

    def _fill_from(self, archive: str, target: str) -> dict[str, dict[str, Any]]:
        """Unpack, take the present .env, give all of it to the owner of the running release, and demand that it is complete."""
        self.files.before("unpack")
        os.mkdir(target, 0o700)
        unpack(archive, target)
        like = os.lstat(self.place.live) if self.place.live else os.lstat(os.path.dirname(self.place.app))
        if "env" in self.request.parts:
            self._fill_env(target, like)
        for folder in (folder for part in self.request.parts for folder in WRITTEN_TO.get(part, ())):
            os.makedirs(os.path.join(target, folder), mode=0o700, exist_ok=True)
        _give_all(target, like)
        os.chmod(target, stat.S_IMODE(like.st_mode))
        lacking = missing_in(target, self.request.parts, self.place.live, self._env())
        if lacking:
            raise OSError(f"the archive has no {', '.join(lacking[:5])}")
        self.files.before("sync all")
        os.sync()
        return (code_manifest if self.place.layout == LINK else manifest_of)(target, self.request.leave_out)

    def _fill_env(self, target: str, like: os.stat_result) -> None:
        """Give a release that came without an .env the present one; where that is a link to a shared file, the same link."""
        env, present = os.path.join(target, self._env()), os.path.join(self.place.live, self._env())
        if os.path.lexists(env) or not self.place.live or not os.path.exists(present):
            return
        os.makedirs(os.path.dirname(env), mode=0o755, exist_ok=True)
        if os.path.islink(present):
            self.files.link(env, os.readlink(present))
        else:
            self.files.write(env, read_plain(present), like=like)

    # --- old ones

    def _put_away(self) -> None:
        """Rename what is older than the newest ``keep`` complete ones into the attic; nothing that runs or that was just made."""
        found = [one for one in self._found() if not one.running]
        made = self.result.path
        planned = 1 if made and made != self.place.live and made not in {one.path for one in found} else 0  # in check mode
        backups = [one for one in found if one.kind != ASIDE and os.path.dirname(one.path) == self._folder()]
        asides = [one for one in found if one.kind == ASIDE]
        for one in [*_too_old(backups, self.request.keep, made, planned), *_too_old(asides, self.request.keep)]:
            attic = os.path.join(os.path.dirname(one.path), f"{self.place.name}-attic")  # on the same file system
            there = _free(os.path.join(attic, os.path.basename(one.path)))
            self.result.attic.append(there)
            self.result.changed = True
            self.result.steps.append(f"rename {one.path} to {there}")
            if not self.check_mode:
                self._move(one.path, there)

    def _move(self, path: str, there: str) -> None:
        """Rename a release, and what is written down about it. Raises ActionFailed."""
        try:
            self.files.make_folder(os.path.dirname(there), like=os.path.dirname(path))
            self.files.rename(path, there)
            if os.path.lexists(path + MANIFEST):
                self.files.rename(path + MANIFEST, _free(there + MANIFEST))
        except OSError as error:
            raise ActionFailed(
                f"{self.result.message}, but {path} could not be put away to {there}: {_said(error)}; move it by hand"
            ) from error

    def _clear(self) -> None:
        """Remove what a killed run of this installation left unfinished; it has no name of a backup, and its source is still there."""
        folder = self._folder()
        for name in self._bounded(lambda: sorted(os.listdir(folder))):
            match = self._unfinished.fullmatch(name)
            path = os.path.join(folder, name)
            if not match or not inode_of(path):
                continue
            self.result.steps.append(f"remove the unfinished {path}")
            if not self.check_mode:
                self._forget(os.path.join(folder, match[1]))

    @property
    def _unfinished(self) -> re.Pattern[str]:
        """Return what the name of an unfinished backup of this installation is like; those of others may be in the making."""
        prefix = "" if self.place.layout == LINK else re.escape(f"{self.place.name}-backup-")
        return re.compile(rf"\.({prefix}[0-9]{{12}}){re.escape(UNFINISHED)}")

    def _forget(self, path: str) -> None:
        """Remove an unfinished backup and what is known of it; one that cannot be removed is told, and hinders nobody."""
        unfinished = _unfinished_of(path)
        try:
            self.files.forget(path + MANIFEST)
            if os.path.lexists(path + MANIFEST) and not os.path.lexists(path):
                self.files.before("remove the manifest")
                os.unlink(path + MANIFEST)
            self.files.remove_copy(unfinished)
        except OSError as error:
            self.result.steps.append(f"{unfinished} could not be removed ({error.strerror}); remove it by hand")

    # --- shared

    def _backups(self) -> list[Candidate]:
        """Return the backups, newest first."""
        return [one for one in self._found() if one.kind != ASIDE]

    def _found(self) -> list[Candidate]:
        """Return all that lies in the folder where new backups are made, and beside the installation; newest first."""
        folders = () if self.place.layout == LINK else (self._folder(),)
        place = Place(self.place.app, self.place.layout, self.place.releases, self.place.live, folders)
        return candidates(place, self.request.parts, self.journal.finished(), self._env())

    def _folder(self) -> str:
        return self.place.backup_folders[0] if self.place.backup_folders and self.place.layout != LINK else self.place.releases

    def _env(self) -> str:
        path = self.request.env_file
        for base in (self.place.app, self.place.live):
            if base and path.startswith(base + "/"):
                return os.path.relpath(path, base)
        return path if not os.path.isabs(path) else ENV

    def _free_name(self) -> str:
        """Return the name of a new backup, of the minute; of a later one where that is taken."""
        moment = self.now()
        while True:
            stamp = time.strftime("%Y%m%d%H%M", time.localtime(moment))
            name = stamp if self.place.layout == LINK else f"{self.place.name}-backup-{stamp}"
            path = os.path.join(self._folder(), name)
            if not os.path.lexists(path) and not os.path.lexists(path + MANIFEST):
                return path
            moment += 60

    def _must_have_room(self, size: int) -> None:
        found = os.statvfs(self._folder())
        free, needed = found.f_bavail * found.f_frsize, size + int(self.request.least_free_mb * MEGABYTE)
        if free < needed:
            figures = f"{free / MEGABYTE:.0f} MB free, {needed / MEGABYTE:.0f} MB needed"
            message = f"{self._folder()} has no room for a backup: {figures}; make room there, or give another folder in backup_dirs"
            raise Refused("space", message, path=self._folder(), free_mb=round(free / MEGABYTE), needed_mb=round(needed / MEGABYTE))

    def _bounded(self, function: Callable[[], Any]) -> Any:
        return call(function, max(self.request.timeout, READ_WITHIN)).get()


def _unfinished_of(path: str) -> str:
    """Return the name that a backup has while it is made."""
    return os.path.join(os.path.dirname(path), f".{os.path.basename(path)}{UNFINISHED}")


def _said(error: Exception) -> str:
    """Return what the system said, and where, in one line."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}{f' ({error.filename})' if error.filename else ''}"
    return " ".join(str(error).split())


def _kept(path: str) -> dict[str, Any]:
    try:
        with open(path + MANIFEST, encoding="utf-8") as file:
            return dict(json.load(file))
    except (OSError, ValueError, TypeError):
        return {}


def _kept_digest(path: str) -> str:
    return str(_kept(path).get("sha256", ""))


def _unpacked_from(path: str) -> str:
    return str(_kept(path).get("archive", ""))


def _too_old(found: Sequence[Candidate], keep: int, made: str = "", planned: int = 0) -> list[Candidate]:
    """Return what is older than the newest ``keep`` that are complete, but not what was made just now.

    found: newest first; planned: how many newer ones would be there. An incomplete one is no way back, so it takes nobody's room; while
    it is newer than what is kept, it may be in the making.
    """
    old, complete = [], planned
    for one in found:
        if complete >= keep and one.path != made:
            old.append(one)
        complete += one.complete
    return old


def _size(folder: str, leave_out: Sequence[str]) -> int:
    return sum(entry.get("size", 0) for entry in manifest_of(folder, leave_out).values())


def _free(path: str) -> str:
    """Return a path, or one like it that is not taken."""
    number, free = 1, path
    while os.path.lexists(free):
        number, free = number + 1, f"{path}.{number}"
    return free


def _give_all(folder: str, like: os.stat_result) -> None:
    """Give everything in a folder, and itself, to an owner."""
    if os.geteuid() != 0:
        return
    for base, folders, names in os.walk(folder):
        for name in (*folders, *names):
            os.lchown(os.path.join(base, name), like.st_uid, like.st_gid)
    os.lchown(folder, like.st_uid, like.st_gid)
