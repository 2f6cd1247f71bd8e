# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Back up the running release with checksums, or unpack a release from a delivered archive, so that a rollback has a target.

Product facts, "Backups" (a copy before each deploy and weekly) and "Install layout" (archives are checked by SHA-256). A backup gets
its name only when all of it is on the disk. Old backups are renamed into an attic; only an unfinished copy is ever deleted.
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
from ..._core.times import rfc3339
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
# Folders that the applications need to start, and that an archive of a build does not contain.
WRITTEN_TO = {"backend": ("backend/logs",), "worker": ("worker/logs", "worker/spool")}


@dataclass(frozen=True)
class Request:
    """The options of the module release_backup. Sizes are megabytes, times seconds."""

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
    """The outcome, in check mode the planned one. attic: the new paths of the backups that were renamed into it."""

    changed: bool = False
    message: str = ""
    id: str = ""
    path: str = ""
    sha256: str = ""
    steps: list[str] = field(default_factory=list)
    attic: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return the values that the module returns; ``release_path``, because Ansible adds the state of a file to a value named ``path``."""
        found = asdict(self)
        found["release_path"] = found.pop("path")
        return found


def back_up(request: Request, files: Files, *, check_mode: bool, now: Callable[[], float] = time.time) -> Result:
    """Back up the running release unless a backup holds the same, and move old backups to the attic. Raises RemediationError."""
    work = Backup(request, files, check_mode=check_mode, now=now)
    if check_mode:
        return work.go()
    with work.journal.alone():
        return work.go()


class Backup:
    """One backup in progress."""

    def __init__(self, request: Request, files: Files, *, check_mode: bool, now: Callable[[], float]) -> None:
        """Read the layout of the installation; changes nothing. Raises WrongQuestion."""
        if request.keep < 1:
            raise WrongQuestion("keep", request.keep, "is not a number of backups", "give 1 or more")
        self.request = request
        self.files = files
        self.check_mode = check_mode
        self.now = now
        self.place = place_of(request.app_dir, request.releases_dir, request.backup_dirs)
        self.journal = Journal(request.state_dir, self.place.app, files)
        self.result = Result()

    def go(self) -> Result:
        """Back up or unpack, then move old backups to the attic."""
        opened = self.journal.interrupted()
        if opened:
            remedy = "run emergency_rollback with the same target first: it finishes or undoes it"
            raise Refused("interrupted", f"a rollback to {opened['target_id']} was interrupted; {remedy}", release=opened["target_id"])
        self._clear()
        if self.request.archive:
            self._unpack(self.request.archive)
        elif not self.place.live:
            raise Refused(
                "incomplete",
                f"{self.place.app} does not exist, so there is nothing to back up; give the path of the installation",
                path=self.place.app,
            )
        elif self.place.layout == LINK:
            self._write_checksums()
        else:
            self._copy()
        self._move_old()
        return self.result

    # --- a copy of the running release

    def _copy(self) -> None:
        place = self.place
        wanted = self._bounded(lambda: digest_of(manifest_of(place.live, self.request.leave_out)))
        lacking = self._bounded(lambda: missing_in(place.live, self.request.parts, "", self._env()))
        if lacking:
            message = (
                f"{place.live} itself is incomplete ({', '.join(lacking[:5])} missing), so a backup of it would be useless; fix it first"
            )
            raise Refused("incomplete", message, path=place.live, missing=lacking[:20])
        same = next((one for one in self._backups() if _kept_digest(one.path) == wanted and self._holds(one, wanted)), None)
        self.result.sha256 = wanted
        if same is not None:
            self.result.id, self.result.path = same.id, same.path
            self.result.message = f"backup {same.id} is the same as the running release; no other one was made"
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
        """Return whether a backup is complete and its content, read again, has this digest."""
        return one.complete and self._bounded(lambda: digest_of(manifest_of(one.path, self.request.leave_out))) == wanted

    def _make(self, path: str, fill: Callable[[str], dict[str, dict[str, Any]]], **more: str) -> None:
        """Fill a folder under a temporary name, and rename it when the folder and its manifest are on the disk. Raises ActionFailed."""
        unfinished = _unfinished_of(path)

        def work() -> dict[str, Any]:
            try:
                return {"manifest": fill(unfinished)}
            except (OSError, tarfile.TarError) as error:
                return {"problem": _message(error)}

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
            raise ActionFailed(f"{path} could not be made: {_message(error)}; nothing else was changed") from error
        self.result.sha256 = digest_of(done["manifest"])

    def _write_manifest(self, path: str, manifest: dict[str, dict[str, Any]], **more: str) -> None:
        kept = {"made_at": rfc3339(self.now()), "sha256": digest_of(manifest), **more, "files": manifest}
        try:
            self.files.write(path + MANIFEST, json.dumps(kept, sort_keys=True).encode("utf-8", "surrogateescape"))
        except OSError as error:
            raise ActionFailed(
                f"the checksums {path}{MANIFEST} could not be written: {_message(error)}; nothing else was changed"
            ) from error

    def _write_checksums(self) -> None:
        """Write the checksums of the built files of the live release behind a link, which is not copied."""
        live = self.place.live
        manifest = self._bounded(lambda: code_manifest(live, self.request.leave_out))
        self.result.id, self.result.path, self.result.sha256 = os.path.basename(live), live, digest_of(manifest)
        if _kept_digest(live) == self.result.sha256:
            self.result.message = f"the checksums of release {self.result.id} are up to date"
            return
        self.result.changed = True
        self.result.steps.append(f"write the checksums of {live}")
        self.result.message = f"the checksums of release {self.result.id} {'would be' if self.check_mode else 'are'} written"
        if not self.check_mode:
            self._write_manifest(live, manifest)

    # --- a delivered archive

    def _unpack(self, archive: str) -> None:
        """Unpack an archive as a release, after comparing its SHA-256 with the delivered one."""
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
        """Return whether a release is complete and its files, read again, are unchanged since they were unpacked."""
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
        """Unpack, add the present .env, set the owner of the running release on all files, and return the manifest. Raises OSError."""
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
        """Copy the present .env to a release that has none; where the present one is a link to a shared file, make the same link."""
        env, present = os.path.join(target, self._env()), os.path.join(self.place.live, self._env())
        if os.path.lexists(env) or not self.place.live or not os.path.exists(present):
            return
        os.makedirs(os.path.dirname(env), mode=0o755, exist_ok=True)
        if os.path.islink(present):
            self.files.link(env, os.readlink(present))
        else:
            self.files.write(env, read_plain(present), like=like)

    # --- old backups

    def _move_old(self) -> None:
        """Rename backups older than the newest ``keep`` complete ones into the attic, except the running and the new one."""
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
        """Rename a release and its manifest. Raises ActionFailed."""
        try:
            self.files.make_folder(os.path.dirname(there), like=os.path.dirname(path))
            self.files.rename(path, there)
            if os.path.lexists(path + MANIFEST):
                self.files.rename(path + MANIFEST, _free(there + MANIFEST))
        except OSError as error:
            raise ActionFailed(
                f"{self.result.message}, but {path} could not be renamed to {there}: {_message(error)}; move it by hand"
            ) from error

    def _clear(self) -> None:
        """Remove unfinished copies that a killed run of this installation left; their sources still exist."""
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
        """Return the pattern for names of unfinished backups of this installation; another installation may be making one now."""
        prefix = "" if self.place.layout == LINK else re.escape(f"{self.place.name}-backup-")
        return re.compile(rf"\.({prefix}[0-9]{{12}}){re.escape(UNFINISHED)}")

    def _forget(self, path: str) -> None:
        """Remove an unfinished backup and its manifest; a failure to do so is reported as a step, and stops nothing."""
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
        """Return the releases in the folder of new backups and beside the installation, newest first."""
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
        """Return the path of a new backup, named after the current minute, or after the next free one."""
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
            message = (
                f"{self._folder()} has not enough space for a backup: {figures}; free space there, or give another folder in backup_dirs"
            )
            raise Refused("space", message, path=self._folder(), free_mb=round(free / MEGABYTE), needed_mb=round(needed / MEGABYTE))

    def _bounded(self, function: Callable[[], Any]) -> Any:
        return call(function, max(self.request.timeout, READ_WITHIN)).get()


def _unfinished_of(path: str) -> str:
    """Return the path of a backup while it is being made."""
    return os.path.join(os.path.dirname(path), f".{os.path.basename(path)}{UNFINISHED}")


def _message(error: Exception) -> str:
    """Return the message of the system and the path that it is about, in one line."""
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
    """Return the releases older than the newest ``keep`` complete ones, except the one just made.

    found: newest first. planned: newer releases that check mode would make. An incomplete release cannot be rolled back to, so it does not
    count; one that is newer than the kept ones stays, because it may still be in progress.
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
    """Return the path, with a number added where it is taken."""
    number, free = 1, path
    while os.path.lexists(free):
        number, free = number + 1, f"{path}.{number}"
    return free


def _give_all(folder: str, like: os.stat_result) -> None:
    """Set the owner of a folder and of everything in it."""
    if os.geteuid() != 0:
        return
    for base, folders, names in os.walk(folder):
        for name in (*folders, *names):
            os.lchown(os.path.join(base, name), like.st_uid, like.st_gid)
    os.lchown(folder, like.st_uid, like.st_gid)
