# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring processes of PM2 into a state, and prove that they stay there (manual 2, section 3).

What is known already (restart, stop, delete) goes through the daemon's socket, by number, so that a name cannot be
read as something else. The command line does what the socket cannot: first start, save, reload, resurrect. PM2
itself reports success when an application crashes straight away; here one process must live for a while, and the
health check answer. Everything runs as the owner of the PM2_HOME. Times are seconds.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import pwd
import re
import shutil
import stat
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from shlex import quote
from typing import Any

from . import _pm2
from ._errors import ActionFailed, CannotRead, NeedsUser, RemediationError, WrongQuestion
from ._mask import mask
from ._process import Program, call, run, user_name

STATES = ("started", "stopped", "restarted", "reloaded", "absent", "saved", "resurrected")
_NAMED = ("started", "stopped", "restarted", "reloaded", "absent")
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
POLL = 0.25
SETTLE = 15.0  # beyond wait_stable: what a process may need until it stays up
STOPPED_FOR_GOOD = 3  # times in a row that a process is found stopped
LAUNCHES_WITHIN = 10.0
LONGEST_LAUNCH = 60.0
MOST_ENDS = 3  # after an action, as many ends make it a failure without further waiting
HEALTH_TRY = 5.0
MOST_NAMES = 20  # in one line
ORPHANS_END = 4.0
SOCKET_GRACE = 15.0
SAVED_MODE = 0o600
RELOAD_LOCK = 35.0  # PM2 gives up another reload's lock after 30 s
IN_MOTION = ("launching", "stopping", "waiting restart", "one-launch-status")


@dataclass(frozen=True)
class Request:
    """What is wanted; see the options of the module pm2_control."""

    pm2_home: str
    state: str
    name: str = ""
    user: str | None = None
    script: str | None = None
    ecosystem: str | None = None
    cwd: str | None = None
    args: Sequence[str] = ()
    exec_mode: str = "fork"
    instances: int = 1
    env_file: str | None = None
    update_env: bool = False
    wait_stable: float = 5.0
    health_url: str | None = None
    health_timeout: float = 30.0
    pm2_executable: str = "pm2"
    path_prefix: Sequence[str] = ()
    deadline: float = 120.0
    orphans: str = "refuse"
    answer_within: float = _pm2.ANSWER_WITHIN


@dataclass
class Result:
    """What was (or in check mode would be) done, and the processes it is about, before and after.

    processes: dictionaries with ``name pm_id pid status restarts uptime_ms exec_mode``. before, after: a line each.
    """

    changed: bool = False
    actions: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    processes: list[dict[str, Any]] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return the part that the module returns in any case."""
        return {"changed": self.changed, "actions": self.actions, "processes": self.processes}

    def diff(self) -> dict[str, str]:
        """Return before and after in Ansible's form."""
        return {"before": "".join(f"{line}\n" for line in self.before), "after": "".join(f"{line}\n" for line in self.after)}


@dataclass
class Step:
    """One action: what it is called, and what does it."""

    label: str
    do: Callable[[], None]


class Control:
    """One request on its way: the owner, the list as it was, the time that is left."""

    def __init__(self, request: Request, *, check_mode: bool) -> None:
        """Take a request; nothing is read or changed yet."""
        self.request = request
        self.check_mode = check_mode
        self.end = time.monotonic() + request.deadline
        self.result = Result()
        self.uid = -1
        self.listed: dict[str, Any] = {}

    # --- the way

    def go(self) -> Result:
        """Plan, act unless in check mode, prove. Raises RemediationError; ``result`` then holds what was done."""
        _validate(self.request)
        self.uid = self._owner()
        self.listed = self._list()
        steps, predicted = getattr(self, f"_plan_{self.request.state}")()
        self.result.actions = [step.label for step in steps]
        self.result.before = _lines(self._of_interest(self.listed["processes"]))
        if self.check_mode:
            self.result.changed = bool(steps)
            self.result.after = _lines(predicted) if steps else self.result.before
            self.result.processes = _shown(self._of_interest(self.listed["processes"]))
            return self.result
        self._act(steps)
        self._prove(predicted)
        self._look_again()
        return self.result

    def _act(self, steps: Sequence[Step]) -> None:
        self.result.actions = []
        for step in steps:
            self.result.actions.append(step.label)
            self.result.changed = True
            try:
                step.do()
            except RemediationError:
                self._look_again()
                raise

    def _look_again(self) -> None:
        """Put the processes as they are now into the result; what cannot be read leaves the old ones."""
        try:
            now = self._list()["processes"]
        except RemediationError:
            return
        self.result.processes = _shown(self._of_interest(now))
        self.result.after = _lines(self._of_interest(now))

    # --- reading

    def _owner(self) -> int:
        request = self.request
        if request.user and request.state == "started" and _starts(request) and not os.path.lexists(request.pm2_home):
            return _pm2.owner(os.path.dirname(request.pm2_home.rstrip("/")) or "/", request.user)
        uid, home_uid, socket_uid = call(lambda: _owners(request), self._left(5.0)).get()
        _refuse_mixed(request, uid, home_uid, socket_uid)
        return int(uid)

    def _list(self) -> dict[str, Any]:
        request = self.request
        if not os.path.lexists(request.pm2_home):
            return {"state": _pm2.STOPPED, "problem": "no PM2 daemon runs", "processes": [], "orphans": [], "daemon": None}
        within = min(request.answer_within, max(0.5, self._left(request.answer_within)))
        listed = self._as_owner(lambda: _pm2.read_list(request.pm2_home, request.user, within), 2 * within + 3)
        if listed["state"] == _pm2.DENIED:
            raise NeedsUser(listed.get("keeper") or user_name(self.uid), listed["problem"])
        if listed["state"] == _pm2.HUNG:
            raise ActionFailed(
                f"{listed['problem']}; let it go on or end it first (sudo kill -CONT or kill -9 {_daemon_pid(listed)}), then resurrect"
            )
        return listed

    def _as_owner(self, function: Callable[[], Any], within: float) -> Any:
        return call(function, within, user=lambda: self.uid).get()

    def _left(self, most: float) -> float:
        """Return the time left, at most so much; raises ActionFailed when it is over."""
        left = self.end - time.monotonic()
        if left <= 0:
            raise ActionFailed(f"not finished within the deadline of {self.request.deadline:g} s; give a longer deadline or see what hangs")
        return min(left, most)

    def _of_interest(self, processes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return the processes that the request is about; PM2's own modules never are."""
        request = self.request
        everything = request.state in ("saved", "resurrected") or request.name == "all"
        return [dict(one) for one in processes if not one["module"] and (everything or one["name"] == request.name)]

    def _up(self) -> bool:
        return bool(self.listed["state"] == _pm2.UP)

    # --- plans: what has to be done, and the processes that should run afterwards

    def _plan_started(self) -> tuple[list[Step], list[dict[str, Any]]]:
        found = self._of_interest(self.listed["processes"])
        if not found:
            return self._first_start()
        steps = [self._start(one) for one in found if one["status"] != "online" and not _just_launched(one)]
        return steps, [{**one, "status": "online"} for one in found]

    def _first_start(self) -> tuple[list[Step], list[dict[str, Any]]]:
        request = self.request
        self._refuse_orphans()
        if not _starts(request):
            raise self._not_listed("give script or ecosystem to start it for the first time")
        if not self._up():
            self.result.warnings.append(
                "no PM2 daemon ran: this starts one with this application only; state=resurrected brings back what is saved"
            )
        self._check_files()
        what = request.script or f"{request.ecosystem}"
        names = "all applications" if request.name == "all" else request.name
        if request.name == "all":
            predicted = [_future("(all of the file)", "fork")]
        else:
            predicted = [_future(request.name, request.exec_mode) for _number in range(request.instances)]
        return [Step(f"start {names} from {what}", self._start_from_file)], predicted

    def _plan_stopped(self) -> tuple[list[Step], list[dict[str, Any]]]:
        if not self._up():
            self._refuse_orphans()
            return [], []
        found = self._of_interest(self.listed["processes"])
        if not found and self.request.name != "all":
            raise self._not_listed("use state=absent if it may be missing")
        steps = [self._stop(one) for one in found if one["status"] != "stopped"]
        return steps, [{**one, "status": "stopped", "pid": 0} for one in found]

    def _plan_absent(self) -> tuple[list[Step], list[dict[str, Any]]]:
        if not self._up():
            self._refuse_orphans()
        return [self._delete(one) for one in self._of_interest(self.listed["processes"])], []

    def _plan_restarted(self) -> tuple[list[Step], list[dict[str, Any]]]:
        if not self._of_interest(self.listed["processes"]) and _starts(self.request):
            return self._first_start()
        found = self._known()
        if self.request.update_env:
            return self._by_command("restart", found)
        return [self._restart(one) for one in found], [_again(one) for one in found]

    def _plan_reloaded(self) -> tuple[list[Step], list[dict[str, Any]]]:
        if not self._of_interest(self.listed["processes"]) and _starts(self.request):
            return self._first_start()
        return self._by_command("reload", self._known())

    def _plan_saved(self) -> tuple[list[Step], list[dict[str, Any]]]:
        files = self._dumps()
        _refuse_strange_dump(files)
        running = self._of_interest(self.listed["processes"])
        if not self._up():
            raise ActionFailed(f"{self.listed['problem']}, so there is nothing to save; state=resurrected brings back what is saved")
        if not running:
            if files["dump"]["entries"]:
                raise ActionFailed(
                    "PM2's list is empty and dump.pm2 is not: saving would forget"
                    f" {_names(files['dump']['entries'])}; bring them back with state=resurrected, or delete dump.pm2 by hand"
                )
            return [], []
        steps = []
        if files["dump"]["fingerprint"] != self._fingerprint_of_list() or _saved_asleep(running, files["dump"]["entries"]):
            self._refuse_foreign_dump(files)
            steps.append(Step(f"save {_names(running)}", self._save))
            self._warn_of_sleepers(running, files["dump"]["entries"])
        loose = _loose(files)
        if loose or steps:
            self._refuse_foreign_dump(files)
            tighten = Step(f"set mode 0600 on {', '.join(loose) or 'dump.pm2'}", self._tighten)
            steps += [tighten] if loose else []
        return steps, running

    def _plan_resurrected(self) -> tuple[list[Step], list[dict[str, Any]]]:
        ending = self._end_orphans()
        files = self._dumps()
        _refuse_strange_dump(files)
        source = next((file for file in (files["dump"], files["backup"]) if file["entries"]), None)
        if source is None:
            problem = files["dump"]["problem"] or "does not exist or is empty"
            raise ActionFailed(
                f"{files['dump']['path']} {problem}, so there is nothing to resurrect; start the applications with state=started"
                " and script or ecosystem, then state=saved"
            )
        present = {one["name"] for one in self.listed["processes"]}
        wanted = [entry for entry in source["entries"] if entry["name"] not in present]
        running = self._of_interest(self.listed["processes"])
        fewer = _fewer(running, source["entries"])
        awake = [_future(entry["name"], entry["exec_mode"]) for entry in wanted if entry["status"] != "stopped"]
        self._executable()
        steps = [*ending, Step(f"resurrect {_names(wanted)} from {os.path.basename(source['path'])}", self._resurrect)] if wanted else []
        for name, (one, number) in fewer.items():
            # PM2's resurrect compares names: it leaves a name alone of which some instances run.
            steps.append(self._command_step(f"scale {name} to {number}", ["scale", name, str(number)]))
            more = number - sum(other["name"] == name for other in running)
            awake += [_future(name, one["exec_mode"]) for _number in range(more)]
        return steps, [one for one in running if one["status"] == "online"] + awake if steps else []

    def _by_command(self, verb: str, found: Sequence[dict[str, Any]]) -> tuple[list[Step], list[dict[str, Any]]]:
        request = self.request
        if request.env_file and request.update_env:
            self._variables()
        if request.ecosystem and request.update_env:
            self._check_files()
            only = [] if request.name == "all" else ["--only", request.name]
            steps = [
                self._command_step(f"{verb} {request.name} from {request.ecosystem}", [verb, request.ecosystem, *only, "--update-env"])
            ]
        else:
            update = ["--update-env"] if request.update_env else []
            steps = [self._command_step(f"{verb} {_label(one)}", [verb, str(one["pm_id"]), *update]) for one in found]
            if verb == "reload" and len(found) > 1:
                steps = [self._with_proof(step, one, found[number + 1 :]) for number, (step, one) in enumerate(zip(steps, found))]
        return steps, [_again(one) for one in found]

    def _with_proof(self, step: Step, one: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> Step:
        """Reload the next instance only when this one lives: a version that crashes shall not take all of them down."""

        def do() -> None:
            step.do()
            try:
                self._prove_running([one], only=one["pm_id"])
            except ActionFailed as error:
                left = f"; not reloaded and still running: {', '.join(_label(other) for other in others)}" if others else ""
                raise ActionFailed(error.message + left) from error

        return Step(step.label, do)

    def _known(self) -> list[dict[str, Any]]:
        found = self._of_interest(self.listed["processes"])
        if not found:
            raise self._not_listed("start it first with state=started and script or ecosystem")
        return found

    def _not_listed(self, remedy: str) -> RemediationError:
        request = self.request
        if not self._up():
            return ActionFailed(
                f"{self.listed['problem']}, so {request.name} cannot be {request.state}; state=resurrected brings back what is saved"
            )
        names = sorted({one["name"] for one in self.listed["processes"] if not one["module"]})
        close = get_close_matches(request.name, names, n=1)
        hint = f"did you mean {close[0]}?" if close else remedy
        return WrongQuestion("name", request.name, f"is not in PM2's list ({', '.join(names[:10]) or 'empty'})", hint)

    def _refuse_orphans(self) -> None:
        """Refuse to start anything twice: applications can outlive a daemon that was killed.

        Those that write to their log soon find the pipe broken and end; they are given a moment.
        """
        give_up = time.monotonic() + ORPHANS_END
        while self.listed.get("orphans") and time.monotonic() < give_up:
            time.sleep(POLL)
            self.listed = self._list()
        if self.listed.get("orphans"):
            raise ActionFailed(
                f"PM2 is gone but its applications still run: {_orphans(self.listed)}; they would run twice: end them first"
                " (kill <pid>), or resurrect with orphans=end when no work of theirs is open"
            )

    def _end_orphans(self) -> list[Step]:
        if self.request.orphans != "end" or not self.listed.get("orphans"):
            self._refuse_orphans()
            return []
        home = self.request.pm2_home

        def do() -> None:
            left = self._as_owner(lambda: _pm2.end_orphans(home, ORPHANS_END), self._left(ORPHANS_END + 5))
            if left:
                raise ActionFailed(f"these processes do not end: {_orphans({'orphans': left})}")

        return [Step(f"end {_orphans(self.listed)}", do)]

    def _warn_of_sleepers(self, running: Sequence[Mapping[str, Any]], kept: Sequence[Mapping[str, Any]]) -> None:
        awake = {entry["name"] for entry in kept if entry["status"] != "stopped"}
        for name in sorted({one["name"] for one in running if one["status"] == "stopped" and one["name"] in awake}):
            self.result.warnings.append(f"{name} is stopped and is now saved so: a reboot will not start it")

    # --- steps through the socket

    def _start(self, one: Mapping[str, Any]) -> Step:
        def do() -> None:
            if one["status"] in IN_MOTION:
                self._tell("stopProcessId", one["pm_id"], one)
            self._tell("restartProcessId", {"id": one["pm_id"], "env": {}}, one)

        return Step(f"start {_label(one)}", do)

    def _restart(self, one: Mapping[str, Any]) -> Step:
        def do() -> None:
            if one["status"] == "waiting restart":
                self._tell("stopProcessId", one["pm_id"], one)
            self._tell("restartProcessId", {"id": one["pm_id"], "env": {}}, one)

        return Step(f"restart {_label(one)}", do)

    def _stop(self, one: Mapping[str, Any]) -> Step:
        return Step(f"stop {_label(one)}", lambda: self._tell("stopProcessId", one["pm_id"], one))

    def _delete(self, one: Mapping[str, Any]) -> Step:
        return Step(f"delete {_label(one)}", lambda: self._tell("deleteProcessId", one["pm_id"], one))

    def _tell(self, method: str, argument: Any, one: Mapping[str, Any]) -> None:
        """Call the daemon about one process.

        PM2 5 and 6 never answer when a cluster worker dies before it is up; what became of it, the list tells.
        """
        within = self._left(SOCKET_GRACE + one.get("kill_timeout", 0.0) + one.get("listen_timeout", 0.0))
        home = self.request.pm2_home

        def tell() -> str:
            try:
                _pm2.call(home, method, argument, within=within)
            except _pm2.DaemonAway as away:
                if away.details["state"] != _pm2.HUNG:
                    raise
            return ""

        try:
            self._as_owner(tell, within + 2)
        except CannotRead as error:
            raise ActionFailed(error.message) from error

    # --- steps through the command line

    def _command_step(self, label: str, arguments: Sequence[str]) -> Step:
        self._executable()
        return Step(label, lambda: self._command(arguments))

    def _executable(self) -> str:
        """Return the program; raises WrongQuestion when it is not there (in check mode as well)."""
        found = shutil.which(self.request.pm2_executable, path=self._path())
        if not found:
            given = self.request.pm2_executable
            raise WrongQuestion(
                "pm2_executable", given, f"is not found in {self._path()}", "give its full path, or its folder in path_prefix"
            )
        return found

    def _path(self) -> str:
        beside = [os.path.dirname(self.request.pm2_executable)] if "/" in self.request.pm2_executable else []
        return os.pathsep.join([*self.request.path_prefix, *beside, SYSTEM_PATH])

    def _environment(self) -> dict[str, str]:
        """Return the whole environment of a command: nothing of the caller's gets into an application."""
        try:
            home = pwd.getpwuid(self.uid).pw_dir
        except KeyError:
            home = "/"
        name = user_name(self.uid)
        environment = {
            "PATH": self._path(),
            "HOME": home,
            "USER": name,
            "LOGNAME": name,
            "LC_ALL": "C.UTF-8",
            "PM2_HOME": self.request.pm2_home,
        }
        if self.request.env_file and (self.request.update_env or self.request.state == "started" or _starts(self.request)):
            environment.update(self._variables())
        return environment

    def _variables(self) -> dict[str, str]:
        path = self.request.env_file or ""
        try:
            variables = self._as_owner(lambda: _read_env_file(path), self._left(5.0))
        except CannotRead as error:
            raise WrongQuestion("env_file", path, error.message, f"give a file that {user_name(self.uid)} may read") from error
        own = sorted(name for name in variables if _OWN_VARIABLES.match(name))
        if own:
            # pm2 takes the variables from its own environment, and these would change what pm2 itself does.
            raise WrongQuestion(
                "env_file", path, f"sets {', '.join(own[:5])}", "set these in an ecosystem file, under env of the application"
            )
        return dict(variables)

    def _command(self, arguments: Sequence[str], umask: int = 0o022) -> Program:
        program = self._try_command(arguments, umask)
        give_up = time.monotonic() + RELOAD_LOCK
        while program.code and "already in progress" in program.stdout + program.stderr and time.monotonic() < give_up:
            time.sleep(1.0)
            program = self._try_command(arguments, umask)
        if program.timed_out:
            raise ActionFailed(f"pm2 {arguments[0]} did not end within the deadline of {self.request.deadline:g} s")
        if program.code:
            raise ActionFailed(f"pm2 {arguments[0]} failed: {_complaint(program)}")
        return program

    def _try_command(self, arguments: Sequence[str], umask: int) -> Program:
        argv = [self._executable(), *arguments]
        try:
            return run(argv, deadline=self._left(self.request.deadline), env=self._environment(), uid=self.uid, umask=umask)
        except OSError as error:
            raise ActionFailed(f"{argv[0]} cannot be run as {user_name(self.uid)}: {error.strerror}") from error

    def _check_files(self) -> None:
        """Refuse files that are not there before anything is changed."""
        self._executable()
        request = self.request
        for option in ("script", "ecosystem", "env_file", "cwd"):
            path = getattr(request, option)
            if path and not self._as_owner(lambda path=path: os.access(path, os.R_OK), self._left(5.0)):
                raise WrongQuestion(
                    option, path, f"does not exist or {user_name(self.uid)} may not read it", "give the path of a readable file"
                )
        if request.env_file:
            self._variables()

    def _start_from_file(self) -> None:
        request = self.request
        if request.ecosystem:
            only = [] if request.name == "all" else ["--only", request.name]
            self._command(["start", request.ecosystem, *only])
        else:
            path = self._as_owner(lambda: _write_ecosystem(request), self._left(5.0))
            try:
                self._command(["start", path])
            finally:
                self._as_owner(lambda: _remove(path), 5.0)

    def _resurrect(self) -> None:
        home = self.request.pm2_home
        self._as_owner(lambda: _keep_broken_dump(home), self._left(5.0))
        self._command(["resurrect"])

    def _save(self) -> None:
        self._command(["save"], umask=0o077)
        self._tighten()
        if self._dumps()["dump"]["fingerprint"] != self._fingerprint_of_list():
            raise ActionFailed("pm2 save ended well, but dump.pm2 does not hold what runs; is the disk full, or the file another user's?")

    # --- dumps

    def _dumps(self) -> dict[str, Any]:
        home = self.request.pm2_home
        return self._as_owner(lambda: _read_dumps(home), self._left(10.0))

    def _fingerprint_of_list(self) -> str:
        home, within = self.request.pm2_home, self.request.answer_within
        return str(self._as_owner(lambda: _fingerprint(_entries_of_list(home, within)), self._left(within + 2)))

    def _refuse_foreign_dump(self, files: Mapping[str, Any]) -> None:
        for file in files.values():
            if file["present"] and file["owner"] != user_name(self.uid):
                raise ActionFailed(
                    f"{file['path']} belongs to {file['owner']}, so {user_name(self.uid)} cannot save;"
                    f" give it back first: chown -h {quote(user_name(self.uid))} {quote(file['path'])}"
                )

    def _tighten(self) -> None:
        home = self.request.pm2_home
        self._as_owner(lambda: _tighten_dumps(home), self._left(5.0))
        left = _loose(self._dumps())
        if left:
            raise ActionFailed(f"{', '.join(left)} can still be read by others after its mode was set to 0600; is the file another user's?")

    # --- proof

    def _prove(self, predicted: Sequence[Mapping[str, Any]]) -> None:
        state = self.request.state
        if state in ("stopped", "absent"):
            self._prove_gone(state)
        elif state != "saved":
            self._prove_running(predicted)
            self._prove_health()

    def _prove_gone(self, state: str) -> None:
        give_up = time.monotonic() + SETTLE
        while True:
            left = self._of_interest(self._list()["processes"])
            wrong = [one for one in left if state == "absent" or one["status"] != "stopped"]
            if not wrong:
                return
            if time.monotonic() >= give_up:
                self._look_again()
                raise ActionFailed(f"{_label(wrong[0])} is still {wrong[0]['status']}, not {state}")
            time.sleep(POLL)

    def _prove_running(self, predicted: Sequence[Mapping[str, Any]], only: int | None = None) -> None:
        """Wait until each process (or only the one of this number) has lived for ``wait_stable`` under one and the same pid."""
        needed: dict[str, int] = {}
        for one in predicted:
            needed[one["name"]] = needed.get(one["name"], 0) + 1
        everything = self.request.name == "all" and not self.result.before
        limit = time.monotonic() + self._left(self.request.wait_stable + SETTLE)
        seen: dict[int, set[int]] = {}
        asleep: dict[int, int] = {}
        while True:
            now = self._of_interest(self._list()["processes"])
            judged = [one for one in now if (everything or one["name"] in needed) and only in (None, one["pm_id"])]
            short = "" if everything and now else _short(judged, {} if everything else needed)
            trouble = self._trouble(judged, seen, asleep)
            waiting = [one for one in judged if not _stable(one, self.request.wait_stable)]
            if not short and not waiting and (judged or not needed):
                return
            if trouble or time.monotonic() >= limit:
                self._look_again()
                raise ActionFailed(trouble or short or _unstable(waiting[0], self.request.wait_stable))
            time.sleep(POLL)

    def _trouble(self, judged: Sequence[Mapping[str, Any]], seen: dict[int, set[int]], asleep: dict[int, int]) -> str:
        """Return why waiting longer is of no use: PM2 gave up, or the process ended for good, or again and again.

        seen: the pids of each process so far; asleep: how often in a row each was found stopped. Both are kept here.
        """
        for one in judged:
            if one["pid"]:
                seen.setdefault(one["pm_id"], set()).add(one["pid"])
            why = f": {one['log_line']}" if one["log_line"] else ""
            if one["status"] == "errored":
                return f"{_label(one)} does not start, PM2 gave up{why}"
            # PM2 shows "stopped" for a moment between an end and the next start as well.
            asleep[one["pm_id"]] = asleep.get(one["pm_id"], 0) + 1 if one["status"] == "stopped" else 0
            if asleep[one["pm_id"]] >= STOPPED_FOR_GOOD:
                return f"{_label(one)} ended by itself with exit code {one['exit_code']}{why}"
            if len(seen.get(one["pm_id"], ())) > MOST_ENDS:
                return f"{_label(one)} ends again and again after its start{why}"
        return ""

    def _prove_health(self) -> None:
        url = self.request.health_url
        if not url:
            return
        give_up = time.monotonic() + self._left(self.request.health_timeout)
        before = {one["pm_id"]: one["pid"] for one in self._of_interest(self._list()["processes"])}
        while True:
            problem = call(lambda: health(url), HEALTH_TRY + 1)
            if problem.error is None and not problem.value:
                break
            if time.monotonic() >= give_up:
                self._look_again()
                said = problem.error.message if problem.error else problem.value
                raise ActionFailed(f"{self.request.name} runs, but {mask(url)} is not healthy: {said}")
            time.sleep(POLL * 2)
        after = self._of_interest(self._list()["processes"])
        ended = [one for one in after if before.get(one["pm_id"]) != one["pid"]]
        if ended:
            self._look_again()
            raise ActionFailed(_unstable(ended[0], self.request.wait_stable))


# --- validation


def _validate(request: Request) -> None:
    if request.state in _NAMED and not request.name:
        raise WrongQuestion("name", request.name, f"is needed for state={request.state}", "give the name of a process, or all")
    if request.script and request.ecosystem:
        raise WrongQuestion("script", request.script, "is given together with ecosystem", "give one of the two")
    if request.script and request.name == "all":
        raise WrongQuestion("name", "all", "cannot be the name of one script", "give the name that the process shall have")
    if request.update_env and not (request.env_file or request.ecosystem):
        raise WrongQuestion("update_env", True, "has nothing to update from", "give env_file or ecosystem")
    for option in ("script", "ecosystem", "env_file", "cwd", "pm2_home"):
        path = getattr(request, option)
        if path and not os.path.isabs(path):
            raise WrongQuestion(option, path, "is not an absolute path", "give the full path on the host")
    if request.ecosystem and not re.search(r"\.(?:json|ya?ml|config\.(?:js|cjs|mjs))$", request.ecosystem):
        raise WrongQuestion("ecosystem", request.ecosystem, "is no file that PM2 takes for one", "name it *.config.js, *.json or *.yml")
    if request.instances < 1:
        raise WrongQuestion("instances", request.instances, "is not a number of processes", "give 1 or more")
    for option in ("wait_stable", "health_timeout", "deadline"):
        seconds = getattr(request, option)
        if not (math.isfinite(seconds) and seconds >= 0):
            raise WrongQuestion(option, seconds, "is no time to wait", "give a number of seconds, 0 or more")
    if request.health_url is not None:
        _validate_url(request.health_url)
    if request.deadline <= request.wait_stable:
        raise WrongQuestion("deadline", request.deadline, f"is not longer than wait_stable ({request.wait_stable:g})", "give a longer one")


def _validate_url(url: str) -> None:
    try:
        parts = urllib.parse.urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and url.isprintable() and " " not in url
    except ValueError:
        good = False
    if not good:
        raise WrongQuestion("health_url", mask(url), "is not the address of a page", "give http://host:port/path")


def _starts(request: Request) -> bool:
    return bool(request.script or request.ecosystem)


def _owners(request: Request) -> tuple[int, int, int]:
    """Return the user ids to become, of the PM2_HOME, and of the daemon's socket (-1 for none)."""
    uid = _pm2.owner(request.pm2_home, request.user)
    try:
        socket_uid = os.lstat(os.path.join(request.pm2_home, "rpc.sock")).st_uid
    except OSError:
        socket_uid = -1
    return uid, os.stat(request.pm2_home).st_uid, socket_uid


def _refuse_mixed(request: Request, uid: int, home_uid: int, socket_uid: int) -> None:
    """Refuse to act as one user in another's PM2_HOME: what root leaves there, its owner cannot use any more."""
    home, keeper, runner = request.pm2_home, user_name(home_uid), user_name(socket_uid)
    if socket_uid == 0 != home_uid:
        raise ActionFailed(
            f"a PM2 daemon of root runs in the PM2_HOME of {keeper}; end it first (sudo env PM2_HOME={quote(home)} pm2 kill),"
            f" give the files back (sudo chown -hR {quote(keeper)}: {quote(home)}), then state=resurrected"
        )
    if socket_uid not in (-1, home_uid) and not request.user:
        problem = f"is not given, and a PM2 daemon of {runner} runs in the PM2_HOME of {keeper}"
        raise WrongQuestion("user", request.user, problem, f"give {runner} if that is meant to be so, else end that daemon first")
    if uid == 0 and home_uid != 0:
        raise WrongQuestion(
            "user", request.user, f"would leave files of root in the PM2_HOME of {keeper}", f"leave it out, or give {keeper}"
        )


# --- run as the owner


def _write_ecosystem(request: Request) -> str:
    """Write the description of one application to a file that only its owner reads, and return its path."""
    application = {
        "name": request.name,
        "script": request.script,
        "cwd": request.cwd or os.path.dirname(request.script or "") or "/",
        "args": list(request.args),
        "exec_mode": request.exec_mode,
        "instances": request.instances,
    }
    if request.exec_mode == "fork" and request.instances == 1:
        del application["instances"]
    os.makedirs(request.pm2_home, mode=0o700, exist_ok=True)
    handle, path = tempfile.mkstemp(dir=request.pm2_home, prefix="start-", suffix=".json")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump({"apps": [application]}, file)
    return path


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


def _read_env_file(path: str) -> dict[str, str]:
    """Return the KEY=VALUE lines of a file; values never leave the host."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = file.read(1 << 20).splitlines()
    except OSError as error:
        raise CannotRead(f"cannot be read ({error.strerror})") from error
    variables = {}
    for line in lines:
        match = re.match(r"\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*?)\s*$", line)
        if match:
            value = match.group(2)
            quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
            variables[match.group(1)] = value[1:-1] if quoted else value
    return variables


def _keep_broken_dump(home: str) -> None:
    """Keep a copy of a dump that is no JSON: PM2 deletes it when it resurrects from the backup."""
    path = os.path.join(home, "dump.pm2")
    found = _pm2.read_dump(home)["dump"]
    if found["present"] and found["problem"] and found["kind"] == "file":
        handle, copy = tempfile.mkstemp(dir=home, prefix="dump.pm2.broken-")
        with open(path, "rb") as source, os.fdopen(handle, "wb") as target:
            shutil.copyfileobj(source, target)
        os.replace(copy, path + ".broken")


def _tighten_dumps(home: str) -> None:
    """Set mode 0600 on the dumps themselves, never on what a link leads to."""
    for name in ("dump.pm2", "dump.pm2.bak"):
        try:
            descriptor = os.open(os.path.join(home, name), os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.chmod(f"/proc/self/fd/{descriptor}", SAVED_MODE)
        except PermissionError as error:
            raise CannotRead(f"the mode of {os.path.join(home, name)} cannot be set ({error.strerror})") from error
        finally:
            os.close(descriptor)


def _refuse_strange_dump(files: Mapping[str, Any]) -> None:
    """Refuse to let PM2 write through a link or wait for a pipe. No command is advised that would follow the link."""
    for file in files.values():
        if file["present"] and file["kind"] in ("link", "other"):
            raise ActionFailed(
                f"{file['path']} {file['problem']}, where PM2 itself writes a plain file; find out who put it there,"
                f" and take it away: rm {quote(file['path'])}"
            )


def _loose(files: Mapping[str, Any]) -> list[str]:
    return [file["path"] for file in files.values() if file["kind"] == "file" and int(file["mode"], 8) & 0o077]


def _saved_asleep(running: Sequence[Mapping[str, Any]], kept: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a reboot would leave something stopped that runs now; the same rule as pm2.dump_differs."""
    asleep = {entry["name"] for entry in kept if entry["status"] == "stopped"}
    for name in asleep & {one["name"] for one in running}:
        now, then = ([one for one in some if one["name"] == name] for some in (running, kept))
        if _pm2.saved_asleep(now, then):
            return True
    return False


def _read_dumps(home: str) -> dict[str, Any]:
    """Return what :func:`_pm2.read_dump` does, without modules, and a fingerprint of each dump's content."""
    files = _pm2.read_dump(home)
    for file in files.values():
        file["fingerprint"] = _fingerprint(_pm2.load_dump(file["path"])) if file["entries"] else ""
        file["entries"] = [entry for entry in file["entries"] if not entry["module"]]
    return files


def _entries_of_list(home: str, within: float) -> list[dict[str, Any]]:
    listed = _pm2.call(home, "getMonitorData", {}, within=within)
    return [entry["pm2_env"] for entry in listed if isinstance(entry, dict) and isinstance(entry.get("pm2_env"), dict)]


_COMPARED = (
    "name", "pm_exec_path", "exec_mode", "args", "pm_cwd", "exec_interpreter", "node_args", "namespace", "autorestart", "cron_restart",
    "max_memory_restart", "max_restarts", "min_uptime", "kill_timeout", "restart_delay", "exp_backoff_restart_delay", "watch",
)  # fmt: skip
_OWN_VARIABLES = re.compile(
    r"(?:PM2_.*|pm_.*|PATH|HOME|USER|LOGNAME|SHELL|ENV|BASH_ENV|IFS|PWD|NODE_OPTIONS|NODE_PATH|NODE_REPL_.*|NODE_CHANNEL_.*"
    r"|NODE_APP_INSTANCE|NODE_V8_COVERAGE|NODE_UNIQUE_ID|OPENSSL_CONF|SSLKEYLOGFILE|LD_.*|GCONV_PATH|LOCPATH|MALLOC_.*|KEYMETRICS_.*)$",
    re.I,
)
_VOLATILE = ("unique_id", "PM2_USAGE", "PM2_INTERACTOR_PROCESSING", "PWD", "OLDPWD", "_", "SHLVL")


def _fingerprint(entries: Sequence[Mapping[str, Any]]) -> str:
    """Return a hash of what a resurrect would bring back: applications, their settings and environment.

    The environment holds secrets, so the hash is keyed with something that never leaves this run.
    """
    lines = []
    for entry in entries:
        if not entry.get("pmx_module"):
            environment = entry.get("env") if isinstance(entry.get("env"), dict) else {}
            kept = {key: value for key, value in environment.items() if key not in _VOLATILE}
            lines.append(json.dumps([{key: entry.get(key) for key in _COMPARED}, kept], sort_keys=True, default=str))
    return _keyed("\n".join(sorted(lines)))


_KEY = os.urandom(16)


def _keyed(text: str) -> str:
    return hashlib.blake2b(text.encode(), key=_KEY, digest_size=16).hexdigest()


# --- health


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_arguments: Any) -> None:
        return None


def health(url: str) -> str:
    """Return "" when a health page answers 2xx and, where it is JSON with a status, says ok; else what it said."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())
    try:
        with opener.open(url, timeout=HEALTH_TRY) as answer:
            code, body = answer.status, answer.read(65536)
    except urllib.error.HTTPError as error:
        return f"it answers {error.code}"
    except (OSError, ValueError) as error:
        return mask(f"no answer ({getattr(error, 'reason', None) or error})")
    if not 200 <= code < 300:
        return f"it answers {code}"
    try:
        said = json.loads(body)
    except ValueError:
        return ""
    if isinstance(said, dict) and "status" in said and str(said["status"]).lower() != "ok":
        return mask(f"its status is {said['status']}")
    return ""


# --- words


def _shown(processes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    now = time.time()
    return [
        {
            "name": one["name"],
            "pm_id": one["pm_id"],
            "pid": one["pid"],
            "status": one["status"],
            "restarts": one["restarts"],
            "uptime_ms": max(0, round((now - one["started_at"]) * 1000)) if one["status"] == "online" and one["started_at"] else 0,
            "exec_mode": one["exec_mode"],
        }
        for one in processes
    ]


def _lines(processes: Sequence[Mapping[str, Any]]) -> list[str]:
    return sorted(f"{_label(one)}: {one['status']}, {one['exec_mode']}, pid {one['pid']}" for one in processes)


def _label(one: Mapping[str, Any]) -> str:
    return f"{one['name']} ({one['pm_id']})"


def _fewer(running: Sequence[Mapping[str, Any]], kept: Sequence[Mapping[str, Any]]) -> dict[str, tuple[Mapping[str, Any], int]]:
    """Return {name: (one that runs, number)} of those that run in fewer instances than are saved as running."""
    saved = Counter(entry["name"] for entry in kept if entry["status"] != "stopped")
    here = Counter(one["name"] for one in running)
    # A name that the command line would take for an option is left alone.
    return {
        one["name"]: (one, saved[one["name"]])
        for one in running
        if here[one["name"]] < saved[one["name"]] and not one["name"].startswith("-")
    }


def _future(name: str, mode: str) -> dict[str, Any]:
    return {"name": name, "pm_id": "new", "status": "online", "exec_mode": mode, "pid": "new"}


def _again(one: Mapping[str, Any]) -> dict[str, Any]:
    return {**one, "status": "online", "pid": "new"}


def _names(entries: Sequence[Mapping[str, Any]]) -> str:
    names = sorted({entry["name"] for entry in entries})
    return ", ".join(names if len(names) <= MOST_NAMES else [*names[:MOST_NAMES], f"and {len(names) - MOST_NAMES} more"])


def _orphans(listed: Mapping[str, Any]) -> str:
    return ", ".join(f"{one['name']} (process {one['pid']})" for one in listed["orphans"])


def _daemon_pid(listed: Mapping[str, Any]) -> Any:
    return (listed.get("daemon") or {}).get("pid", "<its pid>")


def _short(judged: Sequence[Mapping[str, Any]], needed: Mapping[str, int]) -> str:
    for name, number in needed.items():
        there = sum(one["name"] == name for one in judged)
        if there < number:
            return f"{name}: {there} of {number} processes are in PM2's list"
    return ""


def _just_launched(one: Mapping[str, Any]) -> bool:
    """Whether a process was started a moment ago and may still become ready; one that never does is started anew."""
    allowed = min(max(LAUNCHES_WITHIN, one["listen_timeout"]), LONGEST_LAUNCH)
    return one["status"] == "launching" and 0 <= time.time() - one["started_at"] < allowed


def _stable(one: Mapping[str, Any], wait: float) -> bool:
    return bool(one["status"] == "online" and _pm2.state_of(one["pid"]) not in ("", "Z") and time.time() - one["started_at"] >= wait)


def _unstable(one: Mapping[str, Any], wait: float) -> str:
    why = f": {one['log_line']}" if one["log_line"] else ""
    return f"{_label(one)} is {one['status']} and did not stay up for {wait:g} s under one pid{why}"


def _complaint(program: Program) -> str:
    """Return what a command complained about, masked: its error lines, else its last one."""
    lines = [line.strip() for line in mask(program.stderr + "\n" + program.stdout, limit=8000).split("\n") if line.strip()]
    if program.code == 127 or any("env: " in line and "node" in line for line in lines):
        return "node is not found; give its folder in path_prefix"
    errors = [line for line in lines if "ERROR" in line or re.match(r"\w*Error\b", line)]
    return mask(" ".join((errors or lines[-1:] or [f"exit code {program.code}"])[:3]))


def control(request: Request, *, check_mode: bool) -> Result:
    """Do what is asked. Raises RemediationError; its ``details["partial"]`` is what was done until then."""
    work = Control(request, check_mode=check_mode)
    try:
        return work.go()
    except RemediationError as error:
        error.details["partial"] = work.result
        raise
