# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stop and start the applications of a release under PM2, and verify that they stay up, answer and work.

Manual 1, section 12 (stop all, start backend, start worker) and manual 2, section 5 (the lines that a working worker writes). PM2
keeps the environment of a process that is in its list, so no process is removed from the list. Times are seconds.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from shlex import quote
from typing import Any

from ..._core.children import call, user_name
from ..._core.errors import ActionFailed, RemediationError, TooSlow
from ..._core.masking import mask
from ..._shared import commands, pm2_list, pm2_rpc
from ..._shared.health import HEALTH_TRY, health
from ..pm2_control.control import STOPPED_FOR_GOOD, Control, control
from ..pm2_control.processes import last_words
from ..pm2_control.request import Request
from .layout import LINK, SCRIPTS, Place, Refused

POLL = 0.1
WATCH_EVERY = 0.5
MOST_ENDS = 3  # of one process while it starts
UNHEALTHY_FOR_GOOD = 3  # times in a row
LOG_TAIL = 1 << 20
STOP_WITHIN = 60.0
START_WITHIN = 60.0


@dataclass(frozen=True)
class Settings:
    """The options of the module release_rollback that concern the applications."""

    pm2_home: str
    user: str | None = None
    pm2_executable: str = "pm2"
    path_prefix: Sequence[str] = ()
    backend_process: str = "backend"
    worker_process: str = "worker"
    health_url: str | None = None
    health_timeout: float = 60.0
    worker_sign: str = "Scheduler|Processing job"
    worker_within: float = 60.0
    settle: float = 30.0


@dataclass
class _Seen:
    """One process during a wait. pids: all that it had. asleep: readings in a row that found it stopped."""

    pids: set[int] = field(default_factory=set)
    asleep: int = 0


class Pm2Applications:
    """The processes of one PM2_HOME that belong to one installation."""

    def __init__(
        self, settings: Settings, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Store the settings; reads nothing."""
        self.settings = settings
        self.clock = clock
        self.sleep = sleep
        self._uid: int | None = None

    @property
    def uid(self) -> int:
        """Return the user id that the applications run as. Raises WrongQuestion or NeedsUser."""
        if self._uid is None:
            settings = self.settings
            self._uid = int(call(lambda: pm2_list.owner(settings.pm2_home, settings.user), 5.0).get())
        return self._uid

    def process_of(self, part: str) -> str:
        """Return PM2's name of a part of the release."""
        return self.settings.backend_process if part == "backend" else self.settings.worker_process

    # --- reading

    def listed(self) -> list[dict[str, Any]]:
        """Return PM2's list, with ``cwd`` of each process. Raises ActionFailed where no daemon answers."""
        settings, uid = self.settings, self.uid

        def read() -> dict[str, Any]:
            found = pm2_list.read_list(settings.pm2_home, settings.user, pm2_rpc.ANSWER_WITHIN)
            folders = _folders(settings.pm2_home) if found["state"] == pm2_rpc.UP else {}
            return {**found, "processes": [{**one, "cwd": folders.get(one["pm_id"], "")} for one in found["processes"]]}

        for _time in range(UNHEALTHY_FOR_GOOD):  # one slow answer of a busy daemon must not undo a release that works
            outcome = call(read, 2 * pm2_rpc.ANSWER_WITHIN + 3, user=lambda: uid)
            if not (isinstance(outcome.error, TooSlow) or (outcome.value and outcome.value["state"] == pm2_rpc.HUNG)):
                break
        found = outcome.get()
        if found["state"] != pm2_rpc.UP:
            raise ActionFailed(str(found["problem"]))
        return [one for one in found["processes"] if not one["module"]]

    def ours(self, place_app: str) -> list[dict[str, Any]]:
        """Return the processes of the installation, selected by their scripts or by the names of backend and worker."""
        names = (self.settings.backend_process, self.settings.worker_process)
        return [one for one in self.listed() if one["name"] in names or one["script"].startswith(place_app.rstrip("/") + "/")]

    def problems(self, place: Place, parts: Sequence[str]) -> list[Refused]:
        """Return the reasons why these processes could not be stopped and started again; changes nothing."""
        try:
            found = self.ours(place.app)
        except RemediationError as error:
            remedy = "bring it back first: ops.remediation.pm2_control with state=resurrected"
            return [Refused("pm2", f"PM2 cannot be used: {error.message}; {remedy}", said=error.message)]
        refused = []
        for part in (part for part in ("backend", "worker") if part in parts):
            here = [one for one in found if one["name"] == self.process_of(part)]
            wanted = os.path.join(place.app, SCRIPTS[part])
            refused += [self._elsewhere(one, wanted, place.app) for one in here if one["script"] != wanted]
            if not here:
                refused += self._not_startable(part, wanted)
        if place.layout == LINK:
            releases = place.releases + "/"
            refused += [
                self._pinned(one, place) for one in found if one["cwd"].startswith(releases) and one["script"].startswith(place.app + "/")
            ]
        return refused

    def _elsewhere(self, one: Mapping[str, Any], wanted: str, app: str) -> Refused:
        again = self._start_again(one["name"], wanted, app)
        remedy = f"start it from there first ({again}; not while a mail run is open), then run this again"
        message = f"PM2 runs {one['name']} from {one['script']}, not from {wanted}, so it would not start another release; {remedy}"
        return Refused("script", message, process=one["name"], script=one["script"], wanted=wanted, again=again)

    def _pinned(self, one: Mapping[str, Any], place: Place) -> Refused:
        again = self._start_again(one["name"], one["script"], place.app)
        remedy = f"start it from there first ({again}; not while a mail run is open), then run this again"
        message = f"PM2 runs {one['name']} in the folder {one['cwd']} of one release, not in {place.app}; {remedy}"
        return Refused("script", message, process=one["name"], script=one["cwd"], wanted=place.app, again=again)

    def _start_again(self, name: str, script: str, app: str) -> str:
        """Return the commands that start a process from another place, as the right user: pm2 alone would reach another daemon."""
        pm2 = commands.command(user_name(self.uid), self.settings.pm2_home)
        return f"{pm2} delete {quote(name)}; {pm2} start {quote(script)} --name {quote(name)} --cwd {quote(app)}; {pm2} save"

    def _not_startable(self, part: str, script: str) -> list[Refused]:
        """Return the reason why a process that is not in PM2's list could not be started; empty when it could."""
        try:
            Control(self._request(part, script, "started"), check_mode=True)._executable()
        except RemediationError as error:
            return [Refused("pm2", error.message, said=error.message)]
        return []

    # --- stopping and starting

    def stop(self, app: str) -> None:
        """Stop all processes of the installation, the backend last. Tries all of them, then raises ActionFailed for those that failed."""
        backend = self.settings.backend_process
        running = {one["name"] for one in self.ours(app) if one["status"] != "stopped"}
        problems = []
        for name in sorted(running, key=lambda name: (name == backend, name)):
            try:
                control(self._by_name(name, "stopped", STOP_WITHIN), check_mode=False)
            except RemediationError as error:
                problems.append(f"{name}: {error.message}")
        if problems:
            raise ActionFailed("; ".join(problems))

    def start(self, app: str, part: str, since: float = 0.0) -> None:
        """Start the backend and wait until it is healthy, or start the worker and wait until it works. Raises ActionFailed.

        since: epoch seconds; a process that started before is restarted, because it belongs to the other release.
        """
        name = self.process_of(part)
        ends = self._log_ends(app, name)
        state = "restarted" if self._older(app, name, since) else "started"
        control(self._request(part, os.path.join(app, SCRIPTS[part]), state), check_mode=False)
        if self._older(app, name, since):
            raise ActionFailed(f"{name} could not be restarted, so it still runs the other release")
        if part == "backend":
            self._wait(app, name, self._unhealthy, self.settings.health_timeout)
        else:
            self._wait(app, name, lambda: self._silent(app, name, ends), self.settings.worker_within)

    def start_others(self, app: str, names: Sequence[str], since: float = 0.0) -> None:
        """Start the other processes of these names that are in PM2's list. since: see :meth:`start`. Raises ActionFailed."""
        known = {one["name"] for one in self.ours(app)}
        for name in (name for name in names if name in known):
            state = "restarted" if self._older(app, name, since) else "started"
            control(self._by_name(name, state, START_WITHIN), check_mode=False)

    def _older(self, app: str, name: str, since: float) -> bool:
        """Return whether a process of this name runs that started before ``since``; never for 0."""
        here = [one for one in self.ours(app) if one["name"] == name and one["pid"]] if since else []
        return any(one["started_at"] < since for one in here)

    def ill(self, app: str, parts: Sequence[str]) -> str:
        """Return which of these parts is not online or not healthy now, "" when all are."""
        names = [self.process_of(part) for part in ("backend", "worker") if part in parts]
        try:
            absent = [name for name, pids in self._pids(app, names).items() if not pids]
        except RemediationError as error:
            return error.message
        if absent:
            return f"{', '.join(absent)} {'are' if len(absent) > 1 else 'is'} not online"
        for _time in range(UNHEALTHY_FOR_GOOD if "backend" in parts else 0):
            problem = self._unhealthy()
            if not problem:
                return ""
            self.sleep(WATCH_EVERY)
        return problem if "backend" in parts else ""

    def watch(self, app: str, parts: Sequence[str], others: Sequence[str] = ()) -> None:
        """Verify that the processes of these parts stay up under the same pids and that the backend stays healthy. Raises ActionFailed.

        A release may crash some seconds after its start (rule 6 of the architecture).
        """
        known = {one["name"] for one in self.ours(app)}
        names = [self.process_of(part) for part in ("backend", "worker") if part in parts]
        names += [name for name in others if name in known and name not in names]
        end, before, unhealthy = self.clock() + self.settings.settle, self._pids(app, names), 0
        if not all(before.values()):
            raise ActionFailed(self._ended(app, names))
        while True:
            problem = self._unhealthy() if "backend" in parts else ""
            unhealthy = unhealthy + 1 if problem else 0
            now = self._pids(app, names)
            if now != before:
                raise ActionFailed(self._ended(app, names))
            if unhealthy >= UNHEALTHY_FOR_GOOD or (problem and self.clock() >= end + self.settings.health_timeout):
                raise ActionFailed(f"{self.settings.backend_process} became unhealthy: {problem}")
            if self.clock() >= end and not problem:
                return
            self.sleep(min(WATCH_EVERY, max(POLL, end - self.clock())))

    def _pids(self, app: str, names: Sequence[str]) -> dict[str, list[int]]:
        found = [one for one in self.ours(app) if one["name"] in names]
        return {name: sorted(one["pid"] for one in found if one["name"] == name and one["status"] == "online") for name in names}

    def _ended(self, app: str, names: Sequence[str]) -> str:
        """Return a sentence about the process that did not stay up, with the reason from its log."""
        ill = [one for one in self.ours(app) if one["name"] in names and (one["status"] != "online" or one["log_line"])]
        if not ill:
            return f"{' or '.join(names)} ended and was started again by PM2 within {self.settings.settle:g} s"
        return f"{ill[0]['name']} did not stay up for {self.settings.settle:g} s ({ill[0]['status']}){self._last_words(app, ill[0])}"

    def _last_words(self, app: str, one: Mapping[str, Any]) -> str:
        return last_words(one, lambda: self.ours(app), self.sleep)

    def _wait(self, app: str, name: str, problem_of: Callable[[], str], within: float) -> None:
        """Wait until there is no problem. Raises ActionFailed at the time limit, or earlier when the process cannot come up any more."""
        give_up = self.clock() + within
        seen: dict[int, _Seen] = {}
        while True:
            problem = problem_of()
            if not problem:
                return
            trouble = self._trouble(app, name, seen)
            if trouble:
                raise ActionFailed(trouble)
            if self.clock() >= give_up:
                raise ActionFailed(f"{name} runs, but {problem} after {within:g} s")
            self.sleep(POLL)

    def _trouble(self, app: str, name: str, seen: dict[int, _Seen]) -> str:
        """Return why waiting is useless, "" while the process may still come up. Updates ``seen``."""
        here = [one for one in self.ours(app) if one["name"] == name]
        if not here:
            return f"{name} is no longer in PM2's list"
        for one in here:
            known = seen.setdefault(one["pm_id"], _Seen())
            known.pids |= {one["pid"]} if one["pid"] else set()
            known.asleep = known.asleep + 1 if one["status"] == "stopped" else 0
            if one["status"] == "errored":
                return f"{name} does not start, PM2 gave up{self._last_words(app, one)}"
            if known.asleep >= STOPPED_FOR_GOOD:
                return f"{name} ended by itself with exit code {one['exit_code']}{self._last_words(app, one)}"
            if len(known.pids) > MOST_ENDS:
                return f"{name} ends again and again after its start{self._last_words(app, one)}"
        return ""

    # --- health and work

    def _unhealthy(self) -> str:
        url = self.settings.health_url
        if not url:
            return ""
        outcome = call(lambda: health(url), HEALTH_TRY + 1)
        problem = outcome.error.message if outcome.error else outcome.value
        return f"{mask(url)} is not healthy: {problem}" if problem else ""

    def _log_ends(self, app: str, name: str) -> dict[str, int]:
        """Return the present size of each log of a process in bytes."""
        paths = [one["out_log"] for one in self.ours(app) if one["name"] == name and one["out_log"]]
        uid = self.uid
        outcome = call(lambda: {path: _size(path) for path in paths}, 5.0, user=lambda: uid)
        return dict(outcome.value or {})

    def _silent(self, app: str, name: str, ends: Mapping[str, int]) -> str:
        """Return what a worker lacks to count as working, "" when it has written its sign or where none can be read."""
        here = [one for one in self.ours(app) if one["name"] == name]
        if not any(one["status"] == "online" for one in here):
            return f"{name} is not online"
        sign, uid = self.settings.worker_sign, self.uid
        paths = [one["out_log"] for one in here if one["out_log"] and one["out_log"] != os.devnull]
        if not sign or not paths:
            return ""
        outcome = call(lambda: any(re.search(sign, _since(path, ends.get(path, 0))) for path in paths), 5.0, user=lambda: uid)
        return "" if outcome.value else f"its log has no line with {sign!r}"

    # --- requests to PM2

    def _by_name(self, name: str, state: str, deadline: float) -> Request:
        settings = self.settings
        return Request(
            pm2_home=settings.pm2_home,
            state=state,
            name=name,
            user=settings.user,
            wait_stable=0.0,
            pm2_executable=settings.pm2_executable,
            path_prefix=settings.path_prefix,
            deadline=deadline,
            answer_within=UNHEALTHY_FOR_GOOD * pm2_rpc.ANSWER_WITHIN,
        )

    def _request(self, part: str, script: str, state: str) -> Request:
        app = script[: -len(SCRIPTS[part]) - 1]
        return replace(self._by_name(self.process_of(part), state, START_WITHIN), script=script, cwd=app)


def _folders(pm2_home: str) -> dict[int, str]:
    """Return the working directory of each process by its number in PM2's list."""
    entries = pm2_rpc.call(pm2_home, "getMonitorData", {})
    found = {}
    for entry in entries if isinstance(entries, list) else []:
        env = entry.get("pm2_env") if isinstance(entry, dict) else None
        if isinstance(env, dict) and isinstance(env.get("pm_id"), int) and isinstance(env.get("pm_cwd"), str):
            found[env["pm_id"]] = env["pm_cwd"]
    return found


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _since(path: str, end: int) -> str:
    """Return the text that was written to a log after its old end; the whole log where it is shorter now, so was replaced."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        size = os.fstat(descriptor).st_size
        begin = max(end if size >= end else 0, size - LOG_TAIL)
        return os.pread(descriptor, size - begin, begin).decode("utf-8", "replace")
    except OSError:
        return ""
    finally:
        os.close(descriptor)
