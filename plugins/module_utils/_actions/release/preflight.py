# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks before a rollback changes anything. Each problem is a refusal with its remedy.

Manual 1, section 12, has no such step: it deletes the running application before it is known whether the backup is complete.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from ..._core.children import call, user_name
from ..._core.errors import TooSlow
from ..._shared.mounts import MAX_MOUNTS_TEXT, MOUNTS, parse_mounts
from .files import differences, walk
from .layout import (
    INDEX,
    LINK,
    MANIFEST,
    MOST_NAMED,
    READ_WITHIN,
    SCRIPTS,
    Candidate,
    Place,
    Refused,
    code_of,
    env_difference,
    read_manifest,
)

MEGABYTE = 1_000_000
LEAST_FREE_INODES = 1000
RENAME, COPY, SWITCH = "rename", "copy", "switch"
OPEN_RUN, SAME_RELEASE, DAMAGED = "open_run", "same_release", "damaged"
OVERRIDES = (OPEN_RUN, SAME_RELEASE, DAMAGED)
STATE_SPACE = MEGABYTE
_MAY_BE_SO = f"; where they were changed on purpose since {{}}{MANIFEST} was made, add {DAMAGED} to emergency_rollback_override"
SPOOL = "worker/spool"
_PAGE = os.path.dirname(INDEX)


class Web(Protocol):
    """The web server of the page."""

    def problem(self, conf: str | None = None) -> str:
        """Return why it rejects its configuration, "" when it accepts it."""

    def served(self) -> str | None:
        """Return why the page is not served, "" when it is, None where no address of it is known."""

    def reload(self) -> bool:
        """Reload the configuration; return False when the server does not run."""


class Applications(Protocol):
    """The processes of a release. All methods raise RemediationError."""

    @property
    def uid(self) -> int:
        """Return the user id that they run as."""

    def ours(self, place_app: str) -> list[dict[str, Any]]:
        """Return the processes, each with ``name pm_id status``."""

    def problems(self, place: Place, parts: Sequence[str]) -> list[Refused]:
        """Return the reasons why they could not be stopped and started."""

    def process_of(self, part: str) -> str:
        """Return the name of the process of a part."""

    def stop(self, app: str) -> None:
        """Stop all of them, also after one did not stop."""

    def start(self, app: str, part: str, since: float = 0.0) -> None:
        """Start the process of a part and wait until it answers or works; restart one that started before ``since`` (epoch seconds)."""

    def start_others(self, app: str, names: Sequence[str], since: float = 0.0) -> None:
        """Start other processes, as :meth:`start` does."""

    def ill(self, app: str, parts: Sequence[str]) -> str:
        """Return which of these parts does not run well now, "" when all do."""

    def watch(self, app: str, parts: Sequence[str], others: Sequence[str] = ()) -> None:
        """Verify that they stay up, with other processes of these names."""


def method_of(place: Place, target: Candidate, *, copy: bool) -> str:
    """Return how the release gets into place: switch (a link), rename, or copy where that is wanted or a rename is impossible."""
    if place.layout == LINK:
        return SWITCH
    same = os.lstat(target.path).st_dev == os.stat(place.releases).st_dev and _mount_of(target.path) == _mount_of(place.releases)
    return RENAME if same and not copy else COPY


def _mount_of(path: str) -> str:
    """Return the mount point of a path. The device number is not enough: a bind mount has that of its source, and no rename crosses it."""
    real = os.path.realpath(path)
    try:
        with open(MOUNTS, encoding="utf-8", errors="surrogateescape") as file:
            mounts = {each["mount"] for each in parse_mounts(file.read(MAX_MOUNTS_TEXT))}
    except OSError:
        return ""
    while real not in mounts and real != "/":
        real = os.path.dirname(real)
    return real


def of_the_release(place: Place, target: Candidate, env: str, override: Sequence[str], within: float = READ_WITHIN) -> list[Refused]:
    """Return the reasons why this release cannot be put in place."""
    if target.problem:
        return [
            Refused("unreadable", f"release {target.id}: {target.problem}; examine it by hand, or choose another one", path=target.path)
        ]
    damaged = [] if DAMAGED in override else target.damaged
    if target.missing or damaged:
        remedy = "choose a complete one (the playbook rollback_list shows them), or bring back what is missing"
        remedy += "" if target.missing else _MAY_BE_SO.format(target.path)
        message = f"release {target.id} in {target.path} is incomplete: {target.why()}; {remedy}"
        return [Refused("incomplete", message, path=target.path, missing=target.missing[:20], damaged=target.damaged[:20])]
    refused = [] if DAMAGED in override else _damage(target, within)
    if place.live and SAME_RELEASE not in override and not refused and _is_the_same(place.live, target.path, env):
        remedy = f"choose another one, or add {SAME_RELEASE} to emergency_rollback_override to put this copy in its place"
        message = f"release {target.id} in {target.path} is the same as the running one (code and .env); {remedy}"
        refused.append(Refused("running", message, path=target.path))
    return refused


def _damage(target: Candidate, within: float) -> list[Refused]:
    """Compare a release with the checksums of its manifest, where it has one."""
    manifest = read_manifest(target.path) if target.has_manifest else None
    if manifest is None:
        return []
    outcome = call(lambda: differences(target.path, manifest, hashes=True), within)
    if isinstance(outcome.error, TooSlow):
        remedy = "give emergency_rollback_hash_timeout more seconds, or choose another one"
        message = f"release {target.id} in {target.path} could not be compared with its checksums within {within:g} s; {remedy}"
        return [Refused("slow", message, path=target.path, seconds=within)]
    wrong = [outcome.error.message] if outcome.error else list(outcome.value)
    if not wrong:
        return []
    named = ", ".join(wrong[:MOST_NAMED])
    remedy = f"choose another one{_MAY_BE_SO.format(target.path)}"
    message = f"release {target.id} in {target.path} is damaged: {named} not as backed up (SHA-256); {remedy}"
    return [Refused("incomplete", message, path=target.path, missing=[], damaged=wrong[:20])]


def _is_the_same(live: str, other: str, env: str) -> bool:
    def same() -> bool:
        difference = env_difference(os.path.join(live, env), os.path.join(other, env))
        return not any(difference.values()) and code_of(live) == code_of(other)

    return bool(call(same, READ_WITHIN).value)


def of_the_env(place: Place, env: str) -> list[Refused]:
    """Return a refusal where there is no present .env to keep."""
    if place.live and os.path.isfile(os.path.join(place.live, env)):
        return []
    path = os.path.join(place.live or place.app, env)
    message = f"{path} is missing, so it cannot be kept; take that of the release (emergency_rollback_env=take), or bring it back first"
    return [Refused("env_missing", message, path=path)]


def waiting_mails(tree: str) -> int:
    """Return how many files wait in a release's worker/spool."""
    folder = os.path.join(tree, SPOOL)

    def count() -> int:
        return sum(1 for _path, status in walk(folder) if stat.S_ISREG(status.st_mode)) if os.path.isdir(folder) else 0

    outcome = call(count, READ_WITHIN)
    return int(outcome.value or 0)


# --- owner and modes


def of_the_owner(place: Place, target: Candidate, parts: Sequence[str], env: str, uid: int) -> list[Refused]:
    """Return refusals for files that the applications' user could not use, and for an .env that others could read."""
    outcome = call(lambda: _unusable(place.live, target.path, parts, env, uid), READ_WITHIN)
    if outcome.error is not None:
        return [Refused("unreadable", f"release {target.id} cannot be read: {outcome.error.message}", path=target.path)]
    found, user, refused = outcome.value, user_name(uid), []
    group = _group_of(uid)
    if found["owner"] or found["closed"]:
        named = ", ".join((found["owner"] + found["closed"])[:MOST_NAMED])
        message = (
            f"release {target.id}: {named} belongs to another user, or {user} may not use it; sudo chown -R {user}:{group} {target.path}"
        )
        refused.append(Refused("owner", message, path=target.path, user=user, group=group, paths=(found["owner"] + found["closed"])[:20]))
    if found["open"]:
        path = os.path.join(target.path, env)
        message = f"release {target.id}: {env} can be read by all users; sudo chmod o= {path}"
        refused.append(Refused("env_mode", message, path=path))
    return refused


def of_the_page(place: Place, target: Candidate) -> list[Refused]:
    """Return a refusal for parts of the page that nginx, which runs as another user, could not read (a copy made under umask 077)."""
    if not place.live:
        return []
    outcome = call(lambda: _closed_to_others(place.live, target.path), READ_WITHIN)
    closed = outcome.value or []
    if not closed:
        return []
    page = os.path.join(target.path, _PAGE)
    remedy = f"sudo chmod go+x {target.path} {os.path.dirname(page)}; sudo chmod -R go+rX {page}"
    named = ", ".join(closed[:MOST_NAMED])
    message = f"release {target.id}: {named} is closed to users to whom the running release grants it, such as nginx's; {remedy}"
    return [Refused("page_mode", message, path=target.path, page=page, paths=closed[:20])]


def _closed_to_others(live: str, tree: str) -> list[str]:
    """Return the paths of the page and of the folders above it that grant group or others less than the running release does."""
    page = os.path.join(live, _PAGE)
    usual = {kind: _granted(os.path.join(page, name)) for kind, name in ((True, ""), (False, "index.html"))}
    closed = []
    paths = [(path, os.stat(os.path.join(tree, path))) for path in ("", *_above(_PAGE))]
    paths += [(os.path.join(_PAGE, path), status) for path, status in walk(os.path.join(tree, _PAGE))]
    for path, status in paths:
        if stat.S_ISLNK(status.st_mode):
            continue
        granted = _granted(os.path.join(live, path))
        granted = usual[stat.S_ISDIR(status.st_mode)] if granted is None else granted
        if granted and granted & ~status.st_mode:
            closed.append(path or ".")
    return closed


def _granted(path: str) -> int | None:
    """Return the mode bits for reading and entering that a path grants group and others; None where it does not exist."""
    try:
        return stat.S_IMODE(os.stat(path).st_mode) & 0o055
    except OSError:
        return None


def _group_of(uid: int) -> str:
    try:
        return grp.getgrgid(pwd.getpwuid(uid).pw_gid).gr_name
    except KeyError:
        return str(uid)


def _unusable(live: str, tree: str, parts: Sequence[str], env: str, uid: int) -> dict[str, list[str]]:
    """Return ``owner``, paths with a wrong owner, ``closed``, paths that the user may not use, and ``open``, an .env that others may read."""
    groups = _groups(uid)
    essential = {"", *(path for part in parts if part in SCRIPTS for path in _above(SCRIPTS[part]))}
    essential |= set(_above(env)) if "env" in parts else set()
    owner = [path or "." for path in sorted(essential) if _foreign(live, tree, path, uid)]
    closed = []
    for path, status in [("", os.stat(tree)), *walk(tree)]:
        if stat.S_ISLNK(status.st_mode):
            continue
        wanted = 4 | (1 if stat.S_ISDIR(status.st_mode) else 0) | (2 if _is_written(path, status) else 0)
        if not may(status, uid, groups, wanted) and not (path and _closed_in(live, path, uid, groups, wanted)):
            closed.append(path or ".")
        if len(closed) >= 20:
            break
    shared = "env" in parts and stat.S_IMODE(os.stat(os.path.join(tree, env)).st_mode) & stat.S_IROTH
    return {"owner": owner, "closed": closed, "open": [env] if shared else []}


def _above(path: str) -> Iterable[str]:
    """Return a path and the folders above it, within the release."""
    steps = path.split("/")
    return ["/".join(steps[: number + 1]) for number in range(len(steps))]


def _foreign(live: str, tree: str, path: str, uid: int) -> bool:
    """Return whether a path belongs neither to the applications' user nor to the owner of the same path in the running release."""
    found = os.stat(os.path.join(tree, path)).st_uid
    try:
        usual = os.stat(os.path.join(live, path)).st_uid if live else uid
    except OSError:
        usual = uid
    return found not in (uid, usual)


def _closed_in(live: str, path: str, uid: int, groups: set[int], wanted: int) -> bool:
    """Return whether the running release denies the user the same (a key of root): then the applications do not need it."""
    try:
        return bool(live) and not may(os.stat(os.path.join(live, path)), uid, groups, wanted)
    except OSError:
        return False


def _is_written(path: str, status: os.stat_result) -> bool:
    return stat.S_ISDIR(status.st_mode) and path in ("backend/logs", "worker/logs", SPOOL)


def _groups(uid: int) -> set[int]:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return {uid}
    return set(os.getgrouplist(entry.pw_name, entry.pw_gid))


def may(status: os.stat_result, uid: int, groups: set[int], wanted: int) -> bool:
    """Return whether owner, group and mode grant a user all of ``wanted`` (4 read, 2 write, 1 enter); root may do everything."""
    if uid == 0:
        return True
    shift = 6 if status.st_uid == uid else 3 if status.st_gid in groups else 0
    return (stat.S_IMODE(status.st_mode) >> shift) & wanted == wanted


# --- the machine


def of_the_disk(place: Place, target: Candidate, method: str, least_free_mb: float, state_dir: str) -> list[Refused]:
    """Return refusals for missing space, and for folders that cannot be renamed."""
    refused = []
    needed = int(least_free_mb * MEGABYTE) + (target.size if method == COPY else 0)
    free, inodes = _free(place.releases)
    files = LEAST_FREE_INODES + (target.files if method == COPY else 0)
    if free < needed or inodes < files:
        figures = {"free_mb": round(free / MEGABYTE), "needed_mb": round(needed / MEGABYTE)}
        what = f"{figures['free_mb']} MB free, {figures['needed_mb']} MB needed"
        remedy = f"free space there (first in {place.app}-attic and among the backups that rollback_list shows), or lower emergency_rollback_least_free_mb"
        if free >= needed:
            figures |= {"free_inodes": inodes, "needed_inodes": files}
            what = f"{inodes} inodes free, {files} needed"
            remedy = f"remove unused files there (df -i {place.releases} shows the count; {place.app}-attic first)"
        refused.append(Refused("space", f"{place.releases} has not enough space: {what}; {remedy}", path=place.releases, **figures))
    room, _inodes = _free(_existing(state_dir))
    if room < STATE_SPACE:
        message = f"{state_dir} has not enough space for the journal ({room // 1000} kB free, 1 MB needed); free space there, or set another stack_state_dir"
        refused.append(Refused("space", message, path=state_dir, free_mb=0, needed_mb=1))
    for folder in dict.fromkeys((os.path.dirname(place.app), place.releases)):
        if not os.access(folder, os.W_OK | os.X_OK):
            message = f"{user_name(os.geteuid())} may not change {folder}, so nothing can be renamed there; run as root (become: true)"
            refused.append(Refused("not_writable", message, path=folder, user=user_name(os.geteuid())))
    other_disk = bool(place.live) and os.lstat(place.live).st_dev != os.stat(place.releases).st_dev
    if method != SWITCH and place.live and (other_disk or _mount_of(place.live) != _mount_of(place.releases)):
        message = f"{place.live} is a mount point, so it cannot be renamed; mount its parent instead, or use releases behind a link"
        refused.append(Refused("mount_point", message, path=place.live))
    return refused


def _free(path: str) -> tuple[int, int]:
    """Return the bytes and inodes that are free for this user; a file system that does not count inodes has enough."""
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize, found.f_favail if found.f_files else LEAST_FREE_INODES * 1000


def _existing(path: str) -> str:
    while not os.path.isdir(path):
        path = os.path.dirname(path) or "/"
    return path


def of_nginx(place: Place, target: Candidate, web: Web | None, conf: str | None) -> list[Refused]:
    """Return a refusal where nginx rejects its present configuration, or that of the release where the release holds it."""
    if web is None:
        return []
    problem, where = web.problem(), conf or "its configuration"
    if not problem and conf and conf.startswith(place.app + "/"):
        where = os.path.join(target.path, os.path.relpath(conf, place.app))
        problem = web.problem(where) if os.path.exists(where) else f"{where} is missing"
    if not problem:
        return []
    message = f"nginx rejects {where}: {problem}; fix that first (nginx -t)"
    return [Refused("nginx", message, path=where, said=problem)]


def of_what_is_served(place: Place, parts: Sequence[str], build_dir: str | None) -> list[Refused]:
    """Return a refusal where the page is served from another folder: it would stay new beside an old backend."""
    if "frontend" not in parts or not build_dir or not place.live:
        return []
    here = os.path.join(place.app, os.path.dirname(INDEX))
    outcome = call(lambda: [os.path.realpath(build_dir), os.path.realpath(here)], READ_WITHIN)
    if outcome.error is None and outcome.value[0] == outcome.value[1]:
        return []
    remedy = f"serve {here}, or remove frontend from stack_release_parts and restore the page by hand"
    message = f"the page is served from {build_dir}, which is not {here}, so the rollback would not change it; {remedy}"
    return [Refused("page_elsewhere", message, path=build_dir, wanted=here)]


def of_mail_runs(parts: Sequence[str], open_runs: int | None, why_unknown: str, override: Sequence[str]) -> list[Refused]:
    """Return a refusal while a mail run is open or may be: stopping the worker would interrupt it (rule 7 of the architecture)."""
    if "worker" not in parts or OPEN_RUN in override or open_runs == 0:
        return []
    override_it = f'override this refusal: -e \'{{"emergency_rollback_override": ["{OPEN_RUN}"]}}\''
    if open_runs is None:  # no advice to wait: LogsDB would not answer later either
        remedy = "fix the access to LogsDB (logsdb in stack_areas, stack_logsdb_*, its driver on stack_checker), then run this again"
        remedy += f"; only if you know from another source that none is open, {override_it}"
        message = f"it is not known whether a mail run is open ({why_unknown or 'LogsDB was not read'}); {remedy}"
        return [Refused("open_run_unknown", message, said=why_unknown)]
    are, them = ("s are", "them") if open_runs > 1 else (" is", "it")
    remedy = f"wait for {them} (-e emergency_rollback_drain=600), or {override_it}"
    message = f"{open_runs} mail run{are} open, and stopping the worker would interrupt {them}; {remedy}"
    return [Refused("open_run", message, runs=open_runs)]


def of_the_answer(parts: Sequence[str], age: float, valid: float, override: Sequence[str]) -> list[Refused]:
    """Return a refusal where LogsDB was read too long ago: a mail run may have begun during the checks and the copy (rule 7)."""
    if "worker" not in parts or OPEN_RUN in override or age <= valid:
        return []
    said = f"LogsDB was read {age:.0f} s ago, and its answer is valid for {valid:.0f} s"
    message = f"it is not known whether a mail run has begun since: {said}; run the same command again, which reads it again"
    return [Refused("open_run_unknown", message, said=said, late=True)]


def in_one_line(refused: Sequence[Refused]) -> str:
    """Return all refusals in one line."""
    if len(refused) == 1:
        return refused[0].message
    return f"{len(refused)} reasons: " + " | ".join(f"{number}) {one.message}" for number, one in enumerate(refused, 1))


def details(refused: Sequence[Refused]) -> list[Mapping[str, Any]]:
    """Return all refusals as data: ``message``, ``reason``, and the evidence for their texts."""
    return [{"message": one.message, **one.details} for one in refused]
