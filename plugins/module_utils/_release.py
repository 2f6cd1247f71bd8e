# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An emergency rollback that cannot lose a release (manual 1, section 12, made safe). One transaction on one host.

Before anything is touched all is looked at (:mod:`_release_preflight`). Then a journal is begun, the processes stop, the running
release is put aside (never deleted), the wanted one is put in place and started, and it must answer, work and live on. Any
failure puts the former release back. A run that was killed leaves the journal open; the next one finishes or undoes it first.
What stops and starts processes and serves pages is handed in, so that this runs with stand-ins as well.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from . import _release_preflight as preflight
from ._errors import ActionFailed, RemediationError, WrongQuestion
from ._process import call, describe_crash
from ._release_files import Files
from ._release_journal import ABANDONED, BEGUN, FINISHED, STAGED, UNDOING, UNDONE, Journal
from ._release_layout import (
    ENV,
    LINK,
    PARTS,
    READ_WITHIN,
    Candidate,
    Place,
    Refused,
    candidates,
    choose,
    code_of,
    env_difference,
    inode_of,
    place_of,
    running_unknown,
)
from ._release_preflight import COPY, SWITCH
from ._release_swap import FORMER, NOTHING, OTHER, TARGET, Swap

PLACED = "placed"
KEEP, TAKE = "keep", "take"
ROLLED_BACK, ALREADY, PLANNED, FINISHED_EARLIER = "rolled_back", "already", "planned", "finished_earlier"
REFUSED, BACK, BROKEN = "refused", "undone", "broken"  # how a failed one leaves the host: untouched, as before, not running


@dataclass(frozen=True)
class Request:
    """What is wanted; see the options of the module release_rollback. Sizes are megabytes, times seconds."""

    app_dir: str
    to: str | None
    state_dir: str
    releases_dir: str | None = None
    backup_dirs: Sequence[str] = ()
    parts: Sequence[str] = PARTS
    env_policy: str = TAKE
    env_file: str = ENV
    copy: bool = False
    copy_within: float = 1800.0
    least_free_mb: float = 200.0
    open_runs: int | None = None
    open_runs_unknown: str = ""
    override: Sequence[str] = ()
    nginx_conf: str | None = None


@dataclass
class Tools:
    """What does the work; tests hand in stand-ins. bounded: runs a function in a child that can be abandoned."""

    applications: preflight.Applications | None = None
    web: preflight.Web | None = None
    files: Files = field(default_factory=Files)
    bounded: Callable[[Callable[[], Any], float], Any] = lambda function, deadline: call(function, deadline).get()
    now: Callable[[], float] = time.time


@dataclass
class Result:
    """What was done, or in check mode would be. steps: a line each. environment: names of keys that differ, never values."""

    changed: bool = False
    state: str = ""
    message: str = ""
    steps: list[str] = field(default_factory=list)
    release: str = ""
    path: str = ""
    former: str = ""
    environment: dict[str, list[str]] = field(default_factory=dict)
    refusals: list[Mapping[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    down_ms: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return it as the module does; a value named ``path`` Ansible would take for a file, and add what that is like."""
        found = {name: value for name, value in asdict(self).items() if name != "warnings"}
        found["release_path"] = found.pop("path")
        return found


def listing(request: Request) -> dict[str, Any]:
    """Return what could be rolled back to: ``layout live candidates interrupted``; changes nothing."""
    place = place_of(request.app_dir, request.releases_dir, request.backup_dirs)
    journal = Journal(request.state_dir, place.app, Files())
    found = candidates(place, request.parts, journal.finished(), _env(request, place))
    live = None if any(one.running for one in found) else running_unknown(place, request.parts, _env(request, place))
    found = [live, *found] if live else found
    opened = journal.interrupted()
    return {
        "layout": place.layout,
        "live": place.live,
        "candidates": [one.as_dict() for one in found],
        "lines": [one.line() for one in found],
        "interrupted": opened["target_id"] if opened else "",
    }


def roll_back(request: Request, tools: Tools, *, check_mode: bool) -> Result:
    """Do what is asked. Raises RemediationError; its ``details["partial"]`` is the result so far."""
    work = Rollback(request, tools, check_mode=check_mode)
    try:
        if check_mode:
            return work.go()
        with work.journal.alone():
            return work.go()
    except RemediationError as error:
        if isinstance(error, Refused):
            work.result.state = REFUSED
            work.result.refusals = work.result.refusals or preflight.details([error])
        error.details["partial"] = work.result
        raise


class Rollback:
    """One rollback on its way."""

    def __init__(self, request: Request, tools: Tools, *, check_mode: bool) -> None:
        """Find out how the installation is laid out. Raises WrongQuestion; changes nothing."""
        _validate(request)
        self.request = request
        self.tools = tools
        self.check_mode = check_mode
        self.place = place_of(request.app_dir, request.releases_dir, request.backup_dirs)
        self.env = _env(request, self.place)
        self.journal = Journal(request.state_dir, self.place.app, tools.files)
        self.result = Result()

    def go(self) -> Result:
        """Finish or undo what was interrupted, then choose, look and act."""
        opened = self.journal.interrupted()
        if opened:
            if self.check_mode:
                return self._would_recover(opened)
            if self._recover(opened):
                return self.result
            self.place = place_of(self.request.app_dir, self.request.releases_dir, self.request.backup_dirs)
        finished = self.journal.finished()
        found = candidates(self.place, self.request.parts, finished, self.env)
        target = choose(self.request.to, found, self.place, finished)
        self.result.release, self.result.path = target.id, target.path
        if target.running:
            return self._nothing_to_do(target, finished)
        method = preflight.method_of(self.place, target, copy=self.request.copy)
        refused = self._refusals(target, method)
        if refused:
            self.result.refusals = preflight.details(refused)
            raise Refused(refused[0].details["reason"], preflight.told(refused))
        entry = self._entry(target, method)
        self.result.former = entry["aside"] or entry["former_path"]
        steps = self._steps(entry)
        self.result.steps += [label for label, _do in steps]
        self.result.changed = True
        if self.check_mode:
            self.result.state, self.result.message = PLANNED, f"{self.place.app} would be rolled back to release {target.id}"
            return self.result
        self._run(entry, steps)
        return self.result

    def _nothing_to_do(self, target: Candidate, finished: Sequence[Mapping[str, Any]]) -> Result:
        if not (finished and finished[-1]["target_id"] == target.id):
            remedy = "name another one (the playbook rollback_list shows them)"
            raise Refused("running", f"release {target.id} is the one that runs; {remedy}", path=target.path)
        self.result.state, self.result.message = ALREADY, f"release {target.id} runs in {self.place.app} already; nothing was changed"
        return self.result

    # --- before

    def _refusals(self, target: Candidate, method: str) -> list[Refused]:
        request, applications = self.request, self.tools.applications
        refused = preflight.of_the_release(self.place, target, self.env, request.override)
        uid = applications.uid if applications else os.stat(self.place.live or target.path).st_uid
        if not target.missing and not target.problem:
            refused += preflight.of_the_owner(self.place, target, request.parts, self.env, uid)
        refused += preflight.of_the_disk(self.place, target, method, request.least_free_mb, request.state_dir)
        refused += applications.problems(self.place, request.parts) if applications else []
        refused += preflight.of_nginx(self.place, target, self.tools.web, request.nginx_conf)
        return refused + preflight.of_mail_runs(request.parts, request.open_runs, request.open_runs_unknown, request.override)

    def _entry(self, target: Candidate, method: str) -> dict[str, Any]:
        """Return what the journal begins with."""
        place, now = self.place, self.tools.now()
        number = f"{int(now * 1000)}"
        present, other = (os.path.join(tree, self.env) for tree in (place.live, target.path))
        self.result.environment = env_difference(present, other) if place.live and "env" in self.request.parts else {}
        differs = any(self.result.environment.values())
        code = self.tools.bounded(lambda: code_of(target.path), READ_WITHIN)
        return {
            "id": number,
            "asked": self.request.to,
            "app": place.app,
            "layout": place.layout,
            "method": method,
            "target_id": target.id,
            "target_path": target.path,
            "target_inode": 0 if method == COPY else inode_of(target.path),
            "staging": os.path.join(place.releases, f".{place.name}.rollback-{number}") if method == COPY else "",
            "former_path": place.live,
            "former_inode": inode_of(place.live) if place.live else 0,
            "former_link": os.readlink(place.app) if os.path.islink(place.app) else "",
            "aside": "" if method == SWITCH or not place.live else self._aside(now),
            "env": self.env,
            "env_keep": self.request.env_policy == KEEP and differs,
            "before": self._statuses(),
            "code": code,
            "former_code": self.tools.bounded(lambda: code_of(place.live), READ_WITHIN) if place.live else "",
        }

    def _aside(self, now: float) -> str:
        """Return a name for the running release that is free."""
        while True:
            path = f"{self.place.app}-aside-{time.strftime('%Y%m%d%H%M%S', time.localtime(now))}"
            if not os.path.lexists(path):
                return path
            now += 1

    def _statuses(self) -> dict[str, str]:
        found = self.tools.applications.ours(self.place.app) if self.tools.applications else []
        return {one["name"]: one["status"] for one in found}

    # --- the way

    def _steps(self, entry: dict[str, Any]) -> list[tuple[str, Callable[[], None]]]:
        """Return what is to be done, in order, each with its label. The labels are the plan that check mode shows."""
        swap, steps = Swap(entry, self.tools.files), []
        if entry["method"] == COPY:
            steps.append((f"copy {entry['target_path']} to {entry['staging']}, and have it on the disk", lambda: self._stage(entry)))
        if self.tools.applications:
            names = ", ".join(sorted(entry["before"], key=self._stops_last)) or "nothing (no process of it is in PM2's list)"
            steps.append((f"stop {names}", self._stop))
        steps.append((self._swap_label(entry, swap), swap.forward))
        steps += self._bring_up(entry, swap)
        return steps

    def _stops_last(self, name: str) -> tuple[bool, str]:
        applications = self.tools.applications
        return (bool(applications) and name == applications.process_of("backend"), name)

    def _swap_label(self, entry: Mapping[str, Any], swap: Swap) -> str:
        if entry["layout"] == LINK:
            return f"point {entry['app']} to {entry['target_path']} (before: {entry['former_path'] or 'nothing'})"
        aside = f"rename {entry['app']} to {entry['aside']}, then " if entry["aside"] else ""
        return f"{aside}rename {swap.source} to {entry['app']}"

    def _bring_up(self, entry: dict[str, Any], swap: Swap) -> list[tuple[str, Callable[[], None]]]:
        """Return the steps from a release in place to one that is proved; they may be done twice."""
        applications, web, app = self.tools.applications, self.tools.web, entry["app"]
        steps: list[tuple[str, Callable[[], None]]] = []
        if entry["env_keep"]:
            steps.append((f"keep the present {entry['env']} ({_told(self.result.environment)})", swap.keep_env))
        elif any(self.result.environment.values()):
            steps.append((f"take the release's own {entry['env']} ({_told(self.result.environment)})", lambda: None))
        steps.append(("note in the journal that it is in place", lambda: self.journal.note(entry["id"], PLACED)))
        if applications:
            if "backend" in self.request.parts:
                steps.append((f"start {applications.process_of('backend')}, wait for its health check", lambda: self._start_backend(app)))
            if "worker" in self.request.parts:
                steps.append((f"start {applications.process_of('worker')}, see it work", lambda: applications.start(app, "worker")))
            others = self._others(entry["before"])
            if others:
                steps.append((f"start {', '.join(others)}", lambda: applications.start_others(app, others)))
        if web:
            steps.append(("test nginx's configuration, then have nginx read it anew", self._reload))
        if applications:
            steps.append(("see that all of it lives on", lambda: applications.watch(app, self.request.parts)))
        return steps

    def _others(self, before: Mapping[str, str]) -> list[str]:
        """Return the installation's other processes that ran before."""
        applications = self.tools.applications
        main = {applications.process_of(part) for part in ("backend", "worker") if part in self.request.parts} if applications else set()
        return sorted(name for name, status in before.items() if name not in main and status != "stopped")

    def _run(self, entry: dict[str, Any], steps: Sequence[tuple[str, Callable[[], None]]]) -> None:
        self.journal.note(entry["id"], BEGUN, **{name: value for name, value in entry.items() if name != "id"})
        self._do(entry, steps)
        self.result.state = ROLLED_BACK
        self.result.message = (
            f"release {entry['target_id']} runs in {entry['app']}; the former one is in {self.result.former or 'no place'}"
        )

    def _do(self, entry: dict[str, Any], steps: Sequence[tuple[str, Callable[[], None]]]) -> None:
        """Do the steps and note the end; a failure puts the former release back and raises ActionFailed."""
        doing = "begin"
        try:
            for label, do in [*steps, ("note the end in the journal", lambda: self._note_end(entry))]:
                doing = label
                do()
        except Exception as error:  # whatever it is, the former release must come back
            why = f"could not {doing}: {_said(error)}"
            raise ActionFailed(self._undo(entry, why), undone=True) from error

    def _note_end(self, entry: Mapping[str, Any]) -> None:
        place = place_of(self.request.app_dir, self.request.releases_dir, self.request.backup_dirs)
        self.journal.note(entry["id"], FINISHED, in_place_inode=inode_of(place.live))

    def _stage(self, entry: dict[str, Any]) -> None:
        """Copy the release beside its place, while the running one still serves."""
        files, source, target = self.tools.files, entry["target_path"], entry["staging"]

        def copy() -> str:
            try:
                files.copy_tree(source, target)
            except OSError as error:
                return _said(error)
            return ""

        problem = self.tools.bounded(copy, self.request.copy_within)
        if problem:
            raise ActionFailed(problem)
        entry["target_inode"] = inode_of(target)
        self.journal.note(entry["id"], STAGED, target_inode=entry["target_inode"])

    def _stop(self) -> None:
        self._down_since = time.monotonic()
        if self.tools.applications:
            self.tools.applications.stop(self.place.app)

    _down_since = 0.0

    def _start_backend(self, app: str) -> None:
        if self.tools.applications:
            self.tools.applications.start(app, "backend")
        if self._down_since:
            self.result.down_ms = round((time.monotonic() - self._down_since) * 1000)

    def _reload(self) -> None:
        web = self.tools.web
        if web is None:
            return
        problem = web.problem()
        if problem:
            raise ActionFailed(f"nginx would not take its configuration: {problem}")
        if not web.reload():
            self.result.warnings.append("nginx does not run here, so it was not reloaded")

    # --- back

    def _undo(self, entry: dict[str, Any], why: str) -> str:
        """Put the former release back, start it and see that it runs; returns what became of it, in one line.

        A journal that cannot be written (a full disk) must not keep the former release from coming back.
        """
        self.result.state = BROKEN
        with contextlib.suppress(RemediationError):
            self.journal.note(entry["id"], UNDOING, why=why[:500])
        swap = Swap(entry, self.tools.files)
        if not entry["former_inode"]:
            with contextlib.suppress(RemediationError):
                self.journal.note(entry["id"], UNDONE, proved=False)
            return f"{why}; there was no former release to put back: {entry['app']} is left as it is"
        try:
            if swap.in_place() != FORMER:
                with contextlib.suppress(RemediationError):
                    self._stop()
            swap.backward()
            self._clear_staging(entry)
        except Exception as error:
            where = swap.former_tree() or "an unknown place"
            return f"{why}; the former release could not be put back ({_said(error)}): it is whole in {where}; run this again"
        problem = self._prove_former(entry)
        with contextlib.suppress(RemediationError):
            self.journal.note(entry["id"], UNDONE, proved=not problem)
        ill = ", ".join(f"{name} was {status}" for name, status in sorted(entry["before"].items()) if status != "online")
        before = f" (before the rollback {ill})" if ill else ""
        if problem:
            return f"{why}; the former release is back in {entry['app']}, but it does not run: {problem}{before}"
        self.result.state = BACK
        return f"{why}; the former release is back in {entry['app']} and runs"

    def _prove_former(self, entry: Mapping[str, Any]) -> str:
        """Start the former release; returns why it does not run, "" when it does."""
        applications, app = self.tools.applications, entry["app"]
        problems = []
        for part in (part for part in ("backend", "worker") if applications and part in self.request.parts):
            try:
                applications.start(app, part)
            except RemediationError as error:
                problems.append(error.message)
        try:
            if applications:
                applications.start_others(app, self._others(entry["before"]))
            self._reload()
            if applications and not problems:
                applications.watch(app, self.request.parts)
        except RemediationError as error:
            problems.append(error.message)
        return "; ".join(problems)

    def _clear_staging(self, entry: Mapping[str, Any]) -> None:
        """Remove a copy that was not finished; one that was in place has logs, and goes to the attic."""
        staging = entry["staging"]
        if not staging or not os.path.lexists(staging):
            return
        if not entry.get("target_inode"):
            self.tools.files.remove_copy(staging)
            return
        attic = f"{entry['app']}-attic"
        with contextlib.suppress(OSError):
            self.tools.files.make_folder(attic, like=os.path.dirname(attic))
            self.tools.files.rename(staging, os.path.join(attic, f"failed-{entry['target_id']}-{entry['id']}"))

    # --- after a killed run

    def _recover(self, opened: dict[str, Any]) -> bool:
        """Finish what was interrupted where its release is in place and still wanted, else undo it; True when all is done."""
        swap = Swap(opened, self.tools.files)
        there, same = self._really_in_place(opened, swap), self.request.to in (opened["target_id"], opened["asked"])
        if there == OTHER:
            self.journal.note(opened["id"], ABANDONED)
            self.result.warnings.append(
                f"a rollback to {opened['target_id']} was interrupted, and {opened['app']} is another release since; left so"
            )
            return False
        self.result.changed = True
        if not opened["former_inode"] and there == NOTHING and swap.target_tree():
            swap.forward()
            there = TARGET
        if there == TARGET and UNDOING not in opened["events"] and (same or not opened["former_inode"]):
            self._finish(opened, swap)
            return same
        told = self._undo(opened, f"a rollback to {opened['target_id']} was interrupted")
        self.result.steps.append(f"undo the interrupted rollback to {opened['target_id']}")
        if swap.in_place() not in (FORMER, NOTHING if not opened["former_inode"] else FORMER):
            raise ActionFailed(told)
        self.result.warnings.append(told)
        return False

    def _really_in_place(self, opened: Mapping[str, Any], swap: Swap) -> str:
        """Return what is in place; a folder that somebody made anew can have the number of one that was deleted, so its code counts too."""
        there = swap.in_place()
        expected = {TARGET: opened["code"], FORMER: opened["former_code"]}.get(there)
        app = opened["app"]
        if expected is not None and self.tools.bounded(lambda: code_of(os.path.realpath(app)), READ_WITHIN) != expected:
            return OTHER
        return there

    def _finish(self, opened: dict[str, Any], swap: Swap) -> None:
        self.result.release, self.result.path = opened["target_id"], opened["target_path"]
        self.result.former = opened["aside"] or opened["former_path"]
        steps = self._bring_up(opened, swap)
        if PLACED not in opened["events"] and self.tools.applications:
            # A reboot may have started them meanwhile, before .env was what it shall be.
            steps.insert(0, ("stop what runs", self._stop))
        self.result.steps += [f"finish the interrupted rollback: {label}" for label, _do in steps]
        self._do(opened, steps)
        self.result.state = FINISHED_EARLIER
        self.result.message = f"the interrupted rollback is finished: release {opened['target_id']} runs in {opened['app']}"

    def _would_recover(self, opened: dict[str, Any]) -> Result:
        swap = Swap(opened, self.tools.files)
        finish = (
            self._really_in_place(opened, swap) == TARGET
            and UNDOING not in opened["events"]
            and self.request.to in (opened["target_id"], opened["asked"])
        )
        what = "finished" if finish else "undone, and then a new one planned"
        self.result.changed, self.result.state = True, PLANNED
        self.result.release, self.result.path = opened["target_id"], opened["target_path"]
        self.result.steps = [f"{'finish' if finish else 'undo'} the interrupted rollback to {opened['target_id']}"]
        if finish:
            self.result.steps += [label for label, _do in self._bring_up(opened, swap)]
        self.result.message = f"a rollback to {opened['target_id']} was interrupted; it would be {what}"
        return self.result


def _validate(request: Request) -> None:
    strange = [part for part in request.parts if part not in PARTS]
    if strange or not request.parts:
        raise WrongQuestion("parts", list(request.parts), f"is not a choice of {', '.join(PARTS)}", "name what this host has of a release")
    unknown = [name for name in request.override if name not in preflight.OVERRIDES]
    if unknown:
        raise WrongQuestion("override", unknown[0], "is nothing that can be overridden", f"there is {', '.join(preflight.OVERRIDES)}")


def _env(request: Request, place: Place) -> str:
    """Return the path of .env within a release; raises WrongQuestion for one that lies elsewhere."""
    path = request.env_file
    if not os.path.isabs(path):
        return os.path.normpath(path)
    for base in (place.app, place.live):
        if base and path.startswith(base + "/"):
            return os.path.relpath(path, base)
    if "env" not in request.parts:
        return ENV
    raise WrongQuestion("env_file", path, f"does not lie in {place.app}, so a release has none", "leave env out of parts")


def _told(environment: Mapping[str, Sequence[str]]) -> str:
    """Return the difference of two .env in words, names of keys alone."""
    words = [f"{what}: {', '.join(names)}" for what, names in environment.items() if names]
    return "; ".join(words) or "no difference"


def _said(error: Exception) -> str:
    if isinstance(error, RemediationError):
        return error.message
    if isinstance(error, OSError):
        return f"{error.strerror or error}{f' ({error.filename})' if error.filename else ''}"
    return describe_crash(error)
