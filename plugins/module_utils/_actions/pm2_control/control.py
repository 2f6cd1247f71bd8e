# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring processes of PM2 into a state, and verify that they stay in it (manual 2, section 3).

Restart, stop and delete go through the daemon's socket, by number, so that PM2 cannot read a name as an option. The command line
does what the socket cannot: first start, save, reload, resurrect. PM2 itself reports success when an application crashes at once;
this module requires that each process stays up for a while and that the health check answers. Everything runs as the owner of the
PM2_HOME. Times are seconds.
"""

from __future__ import annotations

import os
import pwd
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import partial
from shlex import quote
from typing import Any

from ..._core.children import Program, call, run, user_name
from ..._core.errors import ActionFailed, CannotRead, NeedsUser, RemediationError, WrongQuestion
from ..._core.masking import mask
from ..._shared import pm2_list, pm2_rpc
from ..._shared.health import HEALTH_TRY, health
from . import dumps, orphans, processes
from .request import (
    OWN_VARIABLES,
    Request,
    owners,
    read_env_file,
    refuse_mixed,
    remove,
    starts,
    validate,
    write_ecosystem,
)

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
POLL = 0.25
SETTLE = 15.0  # allowed in addition to wait_stable, until a process stays up
STOPPED_FOR_GOOD = 3  # readings in a row that find a process stopped
MOST_ENDS = 3  # a process that ends more often after an action fails it without further waiting
ORPHANS_END = 4.0
SOCKET_GRACE = 15.0
RELOAD_LOCK = 35.0  # PM2 releases the lock of another reload after 30 s
IN_MOTION = ("launching", "stopping", "waiting restart", "one-launch-status")


@dataclass
class Result:
    """The actions that were taken, or would be in check mode, and the processes before and after.

    processes: dictionaries with ``name pm_id pid status restarts uptime_ms exec_mode``. before, after: one line for each process.
    """

    changed: bool = False
    actions: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    processes: list[dict[str, Any]] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return the keys that the module always returns."""
        return {"changed": self.changed, "actions": self.actions, "processes": self.processes}

    def diff(self) -> dict[str, str]:
        """Return before and after in Ansible's form."""
        return {"before": "".join(f"{line}\n" for line in self.before), "after": "".join(f"{line}\n" for line in self.after)}


@dataclass
class Step:
    """One action: its label and the function that does it."""

    label: str
    do: Callable[[], object]


class Control:
    """One request in progress: the owner, the list as it was read first, the time that is left."""

    def __init__(self, request: Request, *, check_mode: bool) -> None:
        """Take a request; nothing is read or changed yet."""
        self.request = request
        self.check_mode = check_mode
        self.end = time.monotonic() + request.deadline
        self.result = Result()
        self.uid = -1
        self.listed: dict[str, Any] = {}

    # --- the whole request

    def go(self) -> Result:
        """Plan, act unless in check mode, verify. Raises RemediationError; ``result`` then holds the actions so far."""
        validate(self.request)
        self.uid = self._owner()
        self.listed = self._list()
        steps, predicted = getattr(self, f"_plan_{self.request.state}")()
        self.result.actions = [step.label for step in steps]
        self.result.before = processes.lines(self._of_interest(self.listed["processes"]))
        if self.check_mode:
            self.result.changed = bool(steps)
            self.result.after = processes.lines(predicted) if steps else self.result.before
            self.result.processes = processes.shown(self._of_interest(self.listed["processes"]))
            return self.result
        self._act(steps)
        self._verify(predicted)
        self._read_again()
        return self.result

    def _act(self, steps: Sequence[Step]) -> None:
        self.result.actions = []
        for step in steps:
            self.result.actions.append(step.label)
            self.result.changed = True
            try:
                step.do()
            except RemediationError:
                self._read_again()
                raise

    def _read_again(self) -> None:
        """Put the current processes into the result; keep the former ones where the list cannot be read."""
        try:
            now = self._list()["processes"]
        except RemediationError:
            return
        self.result.processes = processes.shown(self._of_interest(now))
        self.result.after = processes.lines(self._of_interest(now))

    # --- reading

    def _owner(self) -> int:
        request = self.request
        if request.user and request.state == "started" and starts(request) and not os.path.lexists(request.pm2_home):
            return pm2_list.owner(os.path.dirname(request.pm2_home.rstrip("/")) or "/", request.user)
        uid, home_uid, socket_uid = call(lambda: owners(request), self._left(5.0)).get()
        refuse_mixed(request, uid, home_uid, socket_uid)
        return int(uid)

    def _list(self) -> dict[str, Any]:
        request = self.request
        if not os.path.lexists(request.pm2_home):
            return {"state": pm2_rpc.STOPPED, "problem": "no PM2 daemon runs", "processes": [], "orphans": [], "daemon": None}
        within = min(request.answer_within, max(0.5, self._left(request.answer_within)))
        listed = self._as_owner(lambda: pm2_list.read_list(request.pm2_home, request.user, within), 2 * within + 3)
        if listed["state"] == pm2_rpc.DENIED:
            raise NeedsUser(listed.get("keeper") or user_name(self.uid), listed["problem"])
        if listed["state"] == pm2_rpc.HUNG:
            raise ActionFailed(
                f"{listed['problem']}; let it go on or end it first (sudo kill -CONT or kill -9 {processes.daemon_pid(listed)}), then resurrect"
            )
        return listed

    def _as_owner(self, function: Callable[[], Any], within: float) -> Any:
        return call(function, within, user=lambda: self.uid).get()

    def _left(self, most: float) -> float:
        """Return the seconds left before the deadline, at most ``most``. Raises ActionFailed when the deadline has passed."""
        left = self.end - time.monotonic()
        if left <= 0:
            raise ActionFailed(f"not finished within the deadline of {self.request.deadline:g} s; give a longer deadline or see what hangs")
        return min(left, most)

    def _of_interest(self, listed: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return the processes that the request names, without PM2's own modules."""
        request = self.request
        everything = request.state in ("saved", "resurrected") or request.name == "all"
        return [dict(one) for one in listed if not one["module"] and (everything or one["name"] == request.name)]

    def _up(self) -> bool:
        return bool(self.listed["state"] == pm2_rpc.UP)

    # --- plans: the steps, and the processes that must run afterwards

    def _plan_started(self) -> tuple[list[Step], list[dict[str, Any]]]:
        found = self._of_interest(self.listed["processes"])
        if not found:
            return self._first_start()
        steps = [self._start(one) for one in found if one["status"] != "online" and not processes.just_launched(one)]
        return steps, [{**one, "status": "online"} for one in found]

    def _first_start(self) -> tuple[list[Step], list[dict[str, Any]]]:
        request = self.request
        self._refuse_orphans()
        if not starts(request):
            raise self._not_listed("give script or ecosystem to start it for the first time")
        if not self._up():
            self.result.warnings.append(
                "no PM2 daemon ran: this starts one with this application only; state=resurrected brings back what is saved"
            )
        self._check_files()
        what = request.script or f"{request.ecosystem}"
        names = "all applications" if request.name == "all" else request.name
        if request.name == "all":
            predicted = [processes.future("(all of the file)", "fork")]
        else:
            predicted = [processes.future(request.name, request.exec_mode) for _number in range(request.instances)]
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
        if not self._of_interest(self.listed["processes"]) and starts(self.request):
            return self._first_start()
        found = self._known()
        if self.request.update_env:
            return self._by_command("restart", found)
        return [self._restart(one) for one in found], [processes.again(one) for one in found]

    def _plan_reloaded(self) -> tuple[list[Step], list[dict[str, Any]]]:
        if not self._of_interest(self.listed["processes"]) and starts(self.request):
            return self._first_start()
        return self._by_command("reload", self._known())

    def _plan_saved(self) -> tuple[list[Step], list[dict[str, Any]]]:
        files = self._dumps()
        dumps.refuse_strange_dump(files)
        running = self._of_interest(self.listed["processes"])
        if not self._up():
            raise ActionFailed(f"{self.listed['problem']}, so there is nothing to save; state=resurrected brings back what is saved")
        if not running:
            if files["dump"]["entries"]:
                raise ActionFailed(
                    "PM2's list is empty and dump.pm2 is not: saving would forget"
                    f" {processes.names(files['dump']['entries'])}; bring them back with state=resurrected, or delete dump.pm2 by hand"
                )
            return [], []
        steps = []
        if files["dump"]["fingerprint"] != self._fingerprint_of_list() or dumps.saved_asleep(running, files["dump"]["entries"]):
            self._refuse_foreign_dump(files)
            steps.append(Step(f"save {processes.names(running)}", self._save))
            self._warn_of_sleepers(running, files["dump"]["entries"])
        loose = dumps.loose(files)
        if loose or steps:
            self._refuse_foreign_dump(files)
            tighten = Step(f"set mode 0600 on {', '.join(loose) or 'dump.pm2'}", self._tighten)
            steps += [tighten] if loose else []
        return steps, running

    def _plan_resurrected(self) -> tuple[list[Step], list[dict[str, Any]]]:
        ending = self._end_orphans()
        files = self._dumps()
        dumps.refuse_strange_dump(files)
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
        fewer = dumps.fewer(running, source["entries"])
        awake = [processes.future(entry["name"], entry["exec_mode"]) for entry in wanted if entry["status"] != "stopped"]
        self._executable()
        steps = (
            [*ending, Step(f"resurrect {processes.names(wanted)} from {os.path.basename(source['path'])}", self._resurrect)]
            if wanted
            else []
        )
        for name, (one, number) in fewer.items():
            # PM2's resurrect compares names: it leaves a name alone of which some instances run.
            steps.append(self._command_step(f"scale {name} to {number}", ["scale", name, str(number)]))
            more = number - sum(other["name"] == name for other in running)
            awake += [processes.future(name, one["exec_mode"]) for _number in range(more)]
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
            steps = [self._command_step(f"{verb} {processes.label(one)}", [verb, str(one["pm_id"]), *update]) for one in found]
            if verb == "reload" and len(found) > 1:
                steps = [self._verified(step, one, found[number + 1 :]) for number, (step, one) in enumerate(zip(steps, found))]
        return steps, [processes.again(one) for one in found]

    def _verified(self, step: Step, one: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> Step:
        """Return a step that also verifies this instance before the next one is reloaded, so that a version that crashes stops only one."""

        def do() -> None:
            step.do()
            try:
                self._verify_running([one], only=one["pm_id"])
            except ActionFailed as error:
                left = f"; not reloaded and still running: {', '.join(processes.label(other) for other in others)}" if others else ""
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
        """Refuse to start an application twice: applications can outlive a daemon that was killed.

        Applications that write to their log find the pipe broken and end by themselves, so wait ORPHANS_END seconds first.
        """
        give_up = time.monotonic() + ORPHANS_END
        while self.listed.get("orphans") and time.monotonic() < give_up:
            time.sleep(POLL)
            self.listed = self._list()
        if self.listed.get("orphans"):
            raise ActionFailed(
                f"PM2 is gone but its applications still run: {processes.orphans(self.listed)}; they would run twice: end them first"
                " (kill <pid>), or resurrect with orphans=end when no work of theirs is open"
            )

    def _end_orphans(self) -> list[Step]:
        if self.request.orphans != "end" or not self.listed.get("orphans"):
            self._refuse_orphans()
            return []
        home = self.request.pm2_home

        def do() -> None:
            left = self._as_owner(lambda: orphans.end_orphans(home, ORPHANS_END), self._left(ORPHANS_END + 5))
            if left:
                raise ActionFailed(f"these processes do not end: {processes.orphans({'orphans': left})}")

        return [Step(f"end {processes.orphans(self.listed)}", do)]

    def _warn_of_sleepers(self, running: Sequence[Mapping[str, Any]], kept: Sequence[Mapping[str, Any]]) -> None:
        awake = {entry["name"] for entry in kept if entry["status"] != "stopped"}
        for name in sorted({one["name"] for one in running if one["status"] == "stopped" and one["name"] in awake}):
            self.result.warnings.append(f"{name} is stopped and is now saved so: a reboot will not start it")

    # --- steps through the socket

    def _start(self, one: Mapping[str, Any]) -> Step:
        def do() -> None:
            if one["status"] in IN_MOTION:
                self._call("stopProcessId", one["pm_id"], one)
            self._call("restartProcessId", {"id": one["pm_id"], "env": {}}, one)

        return Step(f"start {processes.label(one)}", do)

    def _restart(self, one: Mapping[str, Any]) -> Step:
        def do() -> None:
            if one["status"] == "waiting restart":
                self._call("stopProcessId", one["pm_id"], one)
            self._call("restartProcessId", {"id": one["pm_id"], "env": {}}, one)

        return Step(f"restart {processes.label(one)}", do)

    def _stop(self, one: Mapping[str, Any]) -> Step:
        return Step(f"stop {processes.label(one)}", lambda: self._call("stopProcessId", one["pm_id"], one))

    def _delete(self, one: Mapping[str, Any]) -> Step:
        return Step(f"delete {processes.label(one)}", lambda: self._call("deleteProcessId", one["pm_id"], one))

    def _call(self, method: str, argument: Any, one: Mapping[str, Any]) -> None:
        """Call a method of the daemon for one process.

        PM2 5 and 6 never answer when a cluster worker dies before it is up. That is no failure here: the list shows the outcome.
        """
        within = self._left(SOCKET_GRACE + one.get("kill_timeout", 0.0) + one.get("listen_timeout", 0.0))
        home = self.request.pm2_home

        def call_daemon() -> str:
            try:
                pm2_rpc.call(home, method, argument, within=within)
            except pm2_rpc.DaemonAway as away:
                if away.details["state"] != pm2_rpc.HUNG:
                    raise
            return ""

        try:
            self._as_owner(call_daemon, within + 2)
        except CannotRead as error:
            raise ActionFailed(error.message) from error

    # --- steps through the command line

    def _command_step(self, label: str, arguments: Sequence[str]) -> Step:
        self._executable()
        return Step(label, lambda: self._command(arguments))

    def _executable(self) -> str:
        """Return the path of pm2. Raises WrongQuestion when it does not exist, in check mode as well."""
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
        """Return the complete environment of a command, so that no variable of the caller gets into an application."""
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
        if self.request.env_file and (self.request.update_env or self.request.state == "started" or starts(self.request)):
            environment.update(self._variables())
        return environment

    def _variables(self) -> dict[str, str]:
        path = self.request.env_file or ""
        try:
            variables = self._as_owner(lambda: read_env_file(path), self._left(5.0))
        except CannotRead as error:
            raise WrongQuestion("env_file", path, error.message, f"give a file that {user_name(self.uid)} may read") from error
        own = sorted(name for name in variables if OWN_VARIABLES.match(name))
        if own:
            # pm2 reads the variables from its own environment, and these would change the behaviour of pm2 itself.
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
            raise ActionFailed(f"pm2 {arguments[0]} failed: {processes.complaint(program)}")
        return program

    def _try_command(self, arguments: Sequence[str], umask: int) -> Program:
        argv = [self._executable(), *arguments]
        try:
            return run(argv, deadline=self._left(self.request.deadline), env=self._environment(), uid=self.uid, umask=umask)
        except OSError as error:
            raise ActionFailed(f"{argv[0]} cannot be run as {user_name(self.uid)}: {error.strerror}") from error

    def _check_files(self) -> None:
        """Refuse files that do not exist or cannot be read, before anything is changed."""
        self._executable()
        request = self.request
        for option in ("script", "ecosystem", "env_file", "cwd"):
            path = getattr(request, option)
            if path and not self._as_owner(partial(os.access, path, os.R_OK), self._left(5.0)):
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
            path = self._as_owner(lambda: write_ecosystem(request), self._left(5.0))
            try:
                self._command(["start", path])
            finally:
                self._as_owner(lambda: remove(path), 5.0)

    def _resurrect(self) -> None:
        home = self.request.pm2_home
        self._as_owner(lambda: dumps.keep_broken_dump(home), self._left(5.0))
        self._command(["resurrect"])

    def _save(self) -> None:
        self._command(["save"], umask=0o077)
        self._tighten()
        if self._dumps()["dump"]["fingerprint"] != self._fingerprint_of_list():
            raise ActionFailed("pm2 save ended well, but dump.pm2 does not hold what runs; is the disk full, or the file another user's?")

    # --- dumps

    def _dumps(self) -> dict[str, Any]:
        home = self.request.pm2_home
        return self._as_owner(lambda: dumps.read_dumps(home), self._left(10.0))

    def _fingerprint_of_list(self) -> str:
        home, within = self.request.pm2_home, self.request.answer_within
        return str(self._as_owner(lambda: dumps.fingerprint(dumps.entries_of_list(home, within)), self._left(within + 2)))

    def _refuse_foreign_dump(self, files: Mapping[str, Any]) -> None:
        for file in files.values():
            if file["present"] and file["owner"] != user_name(self.uid):
                raise ActionFailed(
                    f"{file['path']} belongs to {file['owner']}, so {user_name(self.uid)} cannot save;"
                    f" give it back first: chown -h {quote(user_name(self.uid))} {quote(file['path'])}"
                )

    def _tighten(self) -> None:
        home = self.request.pm2_home
        self._as_owner(lambda: dumps.tighten_dumps(home), self._left(5.0))
        left = dumps.loose(self._dumps())
        if left:
            raise ActionFailed(f"{', '.join(left)} can still be read by others after its mode was set to 0600; is the file another user's?")

    # --- verification

    def _verify(self, predicted: Sequence[Mapping[str, Any]]) -> None:
        state = self.request.state
        if state in ("stopped", "absent"):
            self._verify_gone(state)
        elif state != "saved":
            self._verify_running(predicted)
            self._verify_health()

    def _verify_gone(self, state: str) -> None:
        give_up = time.monotonic() + SETTLE
        while True:
            left = self._of_interest(self._list()["processes"])
            wrong = [one for one in left if state == "absent" or one["status"] != "stopped"]
            if not wrong:
                return
            if time.monotonic() >= give_up:
                self._read_again()
                raise ActionFailed(f"{processes.label(wrong[0])} is still {wrong[0]['status']}, not {state}")
            time.sleep(POLL)

    def _verify_running(self, predicted: Sequence[Mapping[str, Any]], only: int | None = None) -> None:
        """Wait until each process, or only the one with this number, has been up for ``wait_stable`` under one pid. Raises ActionFailed."""
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
            short = "" if everything and now else processes.short(judged, {} if everything else needed)
            trouble = self._trouble(judged, seen, asleep)
            waiting = [one for one in judged if not processes.stable(one, self.request.wait_stable)]
            if not short and not waiting and (judged or not needed):
                return
            if trouble or time.monotonic() >= limit:
                self._read_again()
                raise ActionFailed(trouble or short or processes.unstable(waiting[0], self.request.wait_stable))
            time.sleep(POLL)

    def _trouble(self, judged: Sequence[Mapping[str, Any]], seen: dict[int, set[int]], asleep: dict[int, int]) -> str:
        """Return why waiting is useless: PM2 gave up, the process ended, or it ends again and again. "" while it may still come up.

        seen: the pids of each process so far. asleep: readings in a row that found each process stopped. This method updates both.
        """
        for one in judged:
            if one["pid"]:
                seen.setdefault(one["pm_id"], set()).add(one["pid"])
            if one["status"] == "errored":
                return f"{processes.label(one)} does not start, PM2 gave up{self._last_words(one)}"
            # PM2 also shows "stopped" for a moment between an end and the next start.
            asleep[one["pm_id"]] = asleep.get(one["pm_id"], 0) + 1 if one["status"] == "stopped" else 0
            if asleep[one["pm_id"]] >= STOPPED_FOR_GOOD:
                return f"{processes.label(one)} ended by itself with exit code {one['exit_code']}{self._last_words(one)}"
            if len(seen.get(one["pm_id"], ())) > MOST_ENDS:
                return f"{processes.label(one)} ends again and again after its start{self._last_words(one)}"
        return ""

    def _last_words(self, one: Mapping[str, Any]) -> str:
        return processes.last_words(one, lambda: self._list()["processes"], time.sleep)

    def _verify_health(self) -> None:
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
                self._read_again()
                said = problem.error.message if problem.error else problem.value
                raise ActionFailed(f"{self.request.name} runs, but {mask(url)} is not healthy: {said}")
            time.sleep(POLL * 2)
        after = self._of_interest(self._list()["processes"])
        ended = [one for one in after if before.get(one["pm_id"]) != one["pid"]]
        if ended:
            self._read_again()
            raise ActionFailed(processes.unstable(ended[0], self.request.wait_stable))


def control(request: Request, *, check_mode: bool) -> Result:
    """Carry out the request. Raises RemediationError; its ``details["partial"]`` is the result so far."""
    work = Control(request, check_mode=check_mode)
    try:
        return work.go()
    except RemediationError as error:
        error.details["partial"] = work.result
        raise
