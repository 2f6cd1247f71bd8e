# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read where the releases of an installation are, which one is live, and whether each is complete.

Product facts, "Install layout": ``/opt/tank-mail-app`` with copies ``/opt/tank-mail-app-backup-YYYYMMDDHHMM`` beside it (layout
``folder``), or ``/releases/<id>`` with a symbolic link ``/current`` (layout ``link``). In the second one the live release is the
target of the link, never the newest folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ..._core.children import call
from ..._core.errors import RemediationError, WrongQuestion
from .files import differences, digest_of, left_out, manifest_of, size_of

FOLDER, LINK = "folder", "link"
BACKUP, ASIDE, RELEASE, LIVE = "backup", "aside", "release", "live"
PARTS = ("backend", "worker", "frontend", "env")
SCRIPTS = {"backend": "backend/dist/main.js", "worker": "worker/dist/worker.js"}
INDEX = "frontend/build/index.html"
ENV = "config/.env"
# A release must have these where the running one has them: an application does not start without its modules.
_ALSO = ("node_modules", "backend/node_modules", "worker/node_modules")
_CODE = ("backend/dist", "worker/dist", "frontend/build")
_BUILT = ("dist", "build", "node_modules")  # names of folders that hold built files only, which no application writes to
_CACHES = (".cache/*", "*/.cache/*")  # except these, inside them
MANIFEST = ".manifest.json"  # beside a backup, made by release_backup
LATEST = "latest"
_IDENTITY = re.compile(r"[0-9]{8,14}(?:[._-][A-Za-z0-9._-]{1,40})?")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
_A_LINK = "{} is a link to {}, and a release cannot be a link; add {}"
_REFERENCE = re.compile(rb"""(?:src|href)\s*=\s*["']([^"'?#:]{1,300}\.(?:js|mjs|css))["']""", re.I)
MAX_INDEX = 1 << 20
READ_WITHIN = 120.0  # seconds for one folder of releases
MOST_NAMED = 5


class Refused(RemediationError):
    """A rollback is not begun; ``details``: ``reason``, which selects the text of the catalogue, and the evidence of that text."""

    kind = "refused"

    def __init__(self, reason: str, message: str, **details: Any) -> None:
        """Take the reason, and one line with the problem, the place and the remedy."""
        super().__init__(message, reason=reason, **details)


@dataclass(frozen=True)
class Place:
    """One installation. app: the path that runs, a folder or a link. live: the folder behind it, "" when there is none."""

    app: str
    layout: str
    releases: str
    live: str
    backup_folders: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Return the last part of the path."""
        return os.path.basename(self.app)


@dataclass
class Candidate:
    """One release that a rollback can take, or the running one.

    kind: backup, aside (a release that a rollback put aside) or release. missing: paths that a release needs and this one lacks.
    damaged: paths that differ from the manifest. rolled_away: a rollback replaced it. changed_at: epoch seconds.
    """

    id: str
    path: str
    kind: str
    changed_at: float = 0.0
    size: int = 0
    files: int = 0
    missing: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    has_manifest: bool = False
    running: bool = False
    rolled_away: bool = False
    problem: str = ""

    @property
    def complete(self) -> bool:
        """Return whether nothing is missing or damaged, and everything could be read."""
        return not (self.missing or self.damaged or self.problem)

    def as_dict(self) -> dict[str, Any]:
        """Return the values that the modules return."""
        return {**asdict(self), "complete": self.complete}

    def line(self) -> str:
        """Return one line for a list of releases."""
        state = "complete" if self.complete else f"incomplete: {self.why()}"
        notes = [*self._date(), self.kind, f"{self.size / 1e6:.1f} MB", state]
        notes += ["running"] if self.running else []
        notes += ["rolled away from"] if self.rolled_away else []
        return f"{self.id} ({', '.join(notes)})"

    def _date(self) -> list[str]:
        """Return the date in the id, as a list of one text; empty when the id has none."""
        digits = re.match(r"(\d{4})(\d{2})(\d{2})(?:(\d{2})(\d{2}))?", self.id)
        if digits is None:
            return []
        hour = f" {digits[4]}:{digits[5]}" if digits[4] else ""
        return [f"{digits[1]}-{digits[2]}-{digits[3]}{hour}"]

    def why(self) -> str:
        """Return why the release is not complete, "" when it is."""
        reasons = [f"{', '.join(self.missing[:MOST_NAMED])} missing"] if self.missing else []
        reasons += [f"{', '.join(self.damaged[:MOST_NAMED])} not as backed up"] if self.damaged else []
        return "; ".join(reasons + ([self.problem] if self.problem else []))


# --- the installation


def place_of(app_dir: str, releases_dir: str | None = None, backup_dirs: Sequence[str] = ()) -> Place:
    """Return the layout of an installation. Raises WrongQuestion for paths that cannot be an installation."""
    app = os.path.normpath(app_dir)
    for option, path in (("app_dir", app_dir), ("releases_dir", releases_dir), *(("backup_dirs", each) for each in backup_dirs)):
        if path and (not os.path.isabs(path) or os.path.normpath(path) == "/"):
            raise WrongQuestion(option, path, "is not the absolute path of a folder", "give the full path on the host")
    if not os.path.isdir(os.path.dirname(app)):
        raise WrongQuestion("app_dir", app_dir, "is in a folder that does not exist on this host", "give the installation's path")
    if os.path.islink(app):
        behind = os.path.realpath(app)
        live = behind if os.path.isdir(behind) else ""
        return Place(app, LINK, os.path.realpath(releases_dir or os.path.dirname(behind)), live)
    if releases_dir and not os.path.lexists(app):
        return Place(app, LINK, os.path.realpath(releases_dir), "")
    if os.path.lexists(app) and not os.path.isdir(app):
        raise WrongQuestion("app_dir", app_dir, "is neither a folder nor a link to one", "give the installation's path")
    live = app if os.path.isdir(app) else ""
    return Place(app, FOLDER, os.path.dirname(app), live, tuple(os.path.normpath(each) for each in backup_dirs))


def inode_of(path: str) -> int:
    """Return the inode number of a folder, which a rename does not change; 0 when there is no folder."""
    try:
        status = os.lstat(path)
    except OSError:
        return 0
    return status.st_ino if stat.S_ISDIR(status.st_mode) else 0


def same_folder(one: str, other: str) -> bool:
    """Return whether two paths lead to the same folder, through links and bind mounts as well."""
    try:
        first, second = os.stat(one), os.stat(other)
    except OSError:
        return False
    return stat.S_ISDIR(first.st_mode) and (first.st_dev, first.st_ino) == (second.st_dev, second.st_ino)


# --- the candidates


def candidates(place: Place, parts: Sequence[str], finished: Sequence[Mapping[str, Any]], env: str = ENV) -> list[Candidate]:
    """Return all releases, newest first, with the running one. Each is read in a child process that can be abandoned."""
    found = _backups(place) if place.layout == FOLDER else _releases(place)
    running = running_id(place, finished)
    if place.layout == FOLDER and running:
        # A backup that was copied into place still exists; one that was renamed exists only there.
        found = found if running in {one.id for one in found} else [*found, Candidate(running, place.live, BACKUP)]
    away = _rolled_away(place, finished)
    for one in found:
        one.running = one.id == running if place.layout == FOLDER else same_folder(one.path, place.live)
        one.rolled_away = os.path.realpath(one.path) in away and not one.running
        _inspect(one, parts, place.live, env)
    return sorted(found, key=lambda one: (_digits(one.id), one.id), reverse=True)


def _rolled_away(place: Place, finished: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the paths that a rollback replaced; a copy that was put aside stands for its backup."""
    if place.layout == LINK:
        return {os.path.realpath(entry["former_path"]) for entry in finished if entry.get("former_path")}
    left = {entry["former_inode"] for entry in finished if entry.get("former_inode")}
    return {os.path.realpath(entry["target_path"]) for entry in finished if entry.get("staging") and entry.get("in_place_inode") in left}


def running_unknown(place: Place, parts: Sequence[str], env: str = ENV) -> Candidate | None:
    """Return the live release of the layout ``folder``, which has no id, for a list of releases; None where there is none."""
    if place.layout != FOLDER or not place.live:
        return None
    one = Candidate("-", place.live, LIVE, running=True)
    _inspect(one, parts, "", env)
    return one


def _digits(identity: str) -> str:
    """Return an id in a form that sorts by time: 20261121 before 202611210930."""
    return re.sub(r"\D.*", "", identity).ljust(14, "0")


def _backups(place: Place) -> list[Candidate]:
    pattern = re.compile(rf"{re.escape(place.name)}-(?:(backup)-([0-9]{{12}})|(aside)-([0-9]{{14}}))")
    found: list[Candidate] = []
    folders: list[str] = []
    for folder in (place.releases, *place.backup_folders):
        if not any(same_folder(folder, known) for known in folders):
            folders.append(folder)
    for folder in folders:
        for name, is_link in _folders_in(folder):
            match = pattern.fullmatch(name)
            if match:
                path = os.path.join(folder, name)
                problem = _A_LINK.format(path, os.path.realpath(path), "its folder to backup_dirs") if is_link else ""
                found.append(Candidate(match[2] or match[4], path, match[1] or match[3], problem=problem))
    return found


def _releases(place: Place) -> list[Candidate]:
    """Return the releases behind a link: folders named by a date, and other folders that hold a part of a release."""
    found: list[Candidate] = []
    links: list[Candidate] = []
    for name, is_link in _folders_in(place.releases):
        path = os.path.join(place.releases, name)
        if _NAME.fullmatch(name) and (_IDENTITY.fullmatch(name) or _has_a_part(path)):
            (links if is_link else found).append(Candidate(name, path, RELEASE))
    if place.live and not any(same_folder(one.path, place.live) for one in found):
        found.append(Candidate(os.path.basename(place.live), place.live, RELEASE))
    for one in links:
        if not any(same_folder(one.path, known.path) for known in found):  # a second name of a release that is in the list is not reported
            one.problem = _A_LINK.format(one.path, os.path.realpath(one.path), "the release itself to the folder of the releases")
            found.append(one)
    return found


def _has_a_part(path: str) -> bool:
    return any(os.path.isfile(os.path.join(path, script)) for script in (*SCRIPTS.values(), INDEX))


def _folders_in(folder: str) -> list[tuple[str, bool]]:
    """Return the names of the folders in a folder, each with whether it is a link; empty where the folder cannot be read."""

    def read() -> list[tuple[str, bool]]:
        with os.scandir(folder) as entries:
            return sorted((entry.name, entry.is_symlink()) for entry in entries if entry.is_dir())

    listed = call(read, READ_WITHIN)
    return [(str(name), bool(is_link)) for name, is_link in listed.value] if listed.error is None else []


def _inspect(one: Candidate, parts: Sequence[str], live: str, env: str) -> None:
    def read() -> dict[str, Any]:
        size, files = size_of(one.path)
        manifest = read_manifest(one.path) if not one.running else None
        return {
            "size": size,
            "files": files,
            "changed_at": os.lstat(one.path).st_mtime,
            "missing": missing_in(one.path, parts, live, env),
            "damaged": differences(one.path, manifest, hashes=False) if manifest else [],
            "has_manifest": manifest is not None,
        }

    if one.problem:
        return
    outcome = call(read, READ_WITHIN)
    if outcome.error is not None:
        one.problem = f"{one.path} cannot be read: {outcome.error.message}"
        return
    for name, value in outcome.value.items():
        setattr(one, name, value)


def missing_in(tree: str, parts: Sequence[str], live: str = "", env: str = ENV) -> list[str]:
    """Return what a release lacks: scripts, the page with all files that it loads, .env, the modules that the running one has."""
    wanted = [SCRIPTS[part] for part in parts if part in SCRIPTS]
    wanted += [INDEX] if "frontend" in parts else []
    wanted += [env] if "env" in parts else []
    lacking = [path for path in wanted if not _has_content(os.path.join(tree, path))]
    if "frontend" in parts and INDEX not in lacking:
        lacking += _missing_assets(tree)
    if live:
        lacking += [path for path in _ALSO if os.path.isdir(os.path.join(live, path)) and not os.path.isdir(os.path.join(tree, path))]
    return lacking


def _has_content(path: str) -> bool:
    try:
        status = os.stat(path)
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size > 0


def _missing_assets(tree: str) -> list[str]:
    """Return the scripts and styles that index.html names and that do not exist; a path prefix of the site is ignored."""
    build = os.path.join(tree, os.path.dirname(INDEX))
    with open(os.path.join(tree, INDEX), "rb") as file:
        named = [name.decode("utf-8", "replace") for name in _REFERENCE.findall(file.read(MAX_INDEX))]
    lacking = []
    for name in named:
        if name.startswith("//"):
            continue  # from another server
        steps = [step for step in name.split("/") if step not in ("", ".", "..")]
        if not any(_has_content(os.path.join(build, *steps[begin:])) for begin in range(len(steps))):
            lacking.append(os.path.join(os.path.dirname(INDEX), *steps))
    return lacking


def read_manifest(path: str) -> dict[str, Any] | None:
    """Return the files of the manifest of a backup, None when there is no manifest or it cannot be read."""
    try:
        with open(path + MANIFEST, encoding="utf-8") as file:
            kept = json.load(file)
        return dict(kept["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def code_manifest(tree: str, leave_out: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    """Return the manifest of the files that do not change while a release runs: all in ``dist``, ``build`` and ``node_modules``.

    A release behind a link runs in the folder that the checksums are of, so changes to its .env, pid files and uploads are no damage.
    """
    found: dict[str, dict[str, Any]] = {}
    waiting = [""]
    while waiting:
        within = waiting.pop()
        with os.scandir(os.path.join(tree, within)) as entries:
            folders = [entry for entry in entries if entry.is_symlink() or entry.is_dir(follow_symlinks=False)]
        for entry in folders:
            path = os.path.join(within, entry.name)
            if entry.name not in _BUILT:
                waiting += [] if entry.is_symlink() else [path]
            elif entry.is_symlink():
                found[path] = {"link": os.readlink(entry.path)}
            else:
                found.update({os.path.join(path, below): known for below, known in manifest_of(entry.path, _CACHES).items()})
    return {path: entry for path, entry in found.items() if not left_out(path, leave_out)}


def code_of(tree: str) -> str:
    """Return one hash of the files that a deploy changes: the built applications and the page."""
    digest = hashlib.sha256()
    for folder in _CODE:
        path = os.path.join(tree, folder)
        if inode_of(path):
            digest.update(f"{folder}\0{digest_of(manifest_of(path))}\0".encode())
    return digest.hexdigest()


def running_id(place: Place, finished: Sequence[Mapping[str, Any]]) -> str:
    """Return the id of the live release; for a folder, "" unless a rollback put it there and no deploy followed."""
    if place.layout == LINK:
        return os.path.basename(place.live)
    last = finished[-1] if finished else None
    if not (last and place.live and inode_of(place.live) == last.get("in_place_inode")):
        return ""
    outcome = call(lambda: code_of(place.live), READ_WITHIN)
    return str(last["target_id"]) if outcome.value == last.get("code") else ""


# --- the choice


def choose(wanted: str | None, found: Sequence[Candidate], place: Place, finished: Sequence[Mapping[str, Any]]) -> Candidate:
    """Return the wanted release. Raises Refused with the list of candidates.

    ``latest`` is the newest release whose name begins with a date (the age of any other is unknown), without those that were put aside or
    rolled away from. Where a rollback to ``latest`` has put the running release in place, ``latest`` is that one, so that a second run does
    not go back and forth.
    """
    if not wanted:
        raise _no_target("target_missing", "no release is named", found)
    if wanted == LATEST:
        return _latest(found, place, finished)
    matching = [one for one in found if one.id == wanted]
    if not matching:
        raise _no_target("target_unknown", f"there is no release {wanted!r} of {place.app}", found, wanted=wanted)
    return next((one for one in matching if one.running), matching[0])


def _latest(found: Sequence[Candidate], place: Place, finished: Sequence[Mapping[str, Any]]) -> Candidate:
    running = next((one for one in found if one.running), None)
    last = finished[-1] if finished else None
    if running and last and last["asked"] == LATEST and last["target_id"] == running.id:
        return running
    could_be = [one for one in found if one.kind != ASIDE and not one.rolled_away and not one.running and _IDENTITY.match(one.id)]
    if not could_be:
        raise _no_target("target_unknown", f"there is no release of {place.app} to roll back to", found, wanted=LATEST)
    return could_be[0]


def _no_target(reason: str, problem: str, found: Sequence[Candidate], **details: Any) -> Refused:
    listed = [one.line() for one in found]
    shown = "; ".join(listed) or "none (make one with the playbook release_backup)"
    remedy = "name one of the candidates with -e emergency_rollback_to=<id> or latest"
    return Refused(reason, f"emergency_rollback_to: {problem}; {remedy}. Candidates: {shown}", candidates=listed, **details)


# --- .env


def env_difference(present: str, other: str) -> dict[str, list[str]]:
    """Return the keys that another .env adds, removes or changes; never their values."""
    before, after = _env_of(present), _env_of(other)
    return {
        "added": sorted(set(after) - set(before)),
        "removed": sorted(set(before) - set(after)),
        "changed": sorted(key for key in set(before) & set(after) if before[key] != after[key]),
    }


def _env_of(path: str) -> dict[str, str]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return {}
    with os.fdopen(descriptor, encoding="utf-8", errors="replace") as file:
        lines = file.read(MAX_INDEX).splitlines()
    matches = [re.match(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.]*)\s*=\s*(.*?)\s*$", line) for line in lines]
    return {match[1]: match[2] for match in matches if match}
