# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a PM2 daemon through its socket for its list of processes. Never starts a daemon."""

from __future__ import annotations

import contextlib
import glob
import math
import os
import pwd
import signal
import socket
import stat
import struct
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .._core.children import call as bounded
from .._core.children import user_name
from .._core.errors import CannotRead, NeedsUser, WrongQuestion
from . import last_words
from .pm2_rpc import ANSWER_WITHIN, KILLED, STOPPED, UP, DaemonAway, ask, connect, nearest_owner, plain_text, socket_path
from .proc import _oom_kills, state_of, text_of_process, uid_of
from .text_files import reachable_by_others, tail

ERROR_LOG_TAIL = 16 * 1024


MAX_PATH = 4096


MAX_NUMBER = 2**53  # what JavaScript counts to


MAX_REASONS = 12  # processes whose error log is read


REASONS_WITHIN = 1.5  # seconds for all error logs together: they may lie on a dead mount


FRESH_REASON = 3.0  # seconds that the last word in an error log may be older than the last start


_HOME_REMEDY = "give the PM2_HOME of the user that runs the applications, usually /home/<user>/.pm2"


def owner(pm2_home: str, user: str | None = None, **_others: Any) -> int:
    """Return the user id to become: the given user, else the owner of the socket, else of the PM2_HOME.

    Raises WrongQuestion for a PM2_HOME that is no directory or a user that does not exist, NeedsUser where the
    PM2_HOME cannot even be seen.
    """
    try:
        found = os.stat(pm2_home)
    except PermissionError as error:
        keeper = user if user and user != user_name(os.geteuid()) else nearest_owner(pm2_home)
        raise NeedsUser(keeper, f"{pm2_home} cannot be looked into by {user_name(os.geteuid())}") from error
    except (OSError, ValueError) as error:
        raise WrongQuestion("pm2_home", pm2_home, "does not exist on this host", _HOME_REMEDY) from error
    if not stat.S_ISDIR(found.st_mode):
        raise WrongQuestion("pm2_home", pm2_home, "is not a directory", _HOME_REMEDY)
    if user:
        return _user_id(user)
    try:
        return os.lstat(socket_path(pm2_home)).st_uid
    except OSError:
        return found.st_uid


def reader(pm2_home: str, user: str | None = None, **_others: Any) -> int:
    """Return the user id to become for reading: like :func:`owner`, but root asks a daemon as whoever runs it.

    A daemon that somebody started as root in the application's PM2_HOME answers root alone; only so can it be named.
    """
    uid = owner(pm2_home, user)
    if os.geteuid() != 0:
        return uid
    try:
        return os.lstat(socket_path(pm2_home)).st_uid
    except OSError:
        return uid


def _user_id(user: str) -> int:
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError as error:
        remedy = "give the name of the user that runs PM2, or leave it out"
        raise WrongQuestion("user", user, "does not exist on this host", remedy) from error


def read_list(pm2_home: str, user: str | None = None, answer_within: float | None = None) -> dict[str, Any]:
    """Return the state of the daemon and its processes, without ever starting one.

    ``state``: up, stopped (clean), killed (its socket is left behind), denied, hung (connects, no answer within
    ``answer_within`` seconds); ``problem``: the same in a sentence; ``user``: whom the PM2_HOME serves;
    ``keeper``: where it is denied, whose daemon it is; ``socket``: see :func:`_socket_mode`;
    ``daemon``: ``pid uid frozen`` (frozen: stopped by a signal, state T in /proc); ``version``; ``orphans``:
    applications that outlived their daemon; ``processes``: see :func:`_process`. ``oom_kills``: processes that the
    kernel killed for memory since boot, None where it does not count them. ``read_at``: epoch seconds.
    Raises CannotRead when what listens there is not PM2.
    """
    within = ANSWER_WITHIN if answer_within is None else answer_within
    if not (math.isfinite(within) and within > 0):
        raise WrongQuestion(
            "answer_within", answer_within, "is no time to wait", "give more than 0 seconds, less than the check's deadline"
        )
    known: dict[str, Any] = {"user": user or _served(pm2_home), "read_at": time.time(), "problem": "", "version": ""}
    known.update(processes=[], orphans=[], daemon=None, socket=_socket_mode(pm2_home))
    end = time.monotonic() + within
    try:
        with connect(pm2_home, end) as connection:
            known["daemon"] = _listener(connection)
            version = ask(connection, end, "getVersion", {})
            entries = ask(connection, end, "getMonitorData", {})
    except DaemonAway as away:
        known.update(state=away.details["state"], problem=away.message, keeper=away.details.get("keeper", ""))
        if known["state"] in (STOPPED, KILLED):
            known["orphans"] = read_orphans(pm2_home)
        return known
    known.update(state=UP, version=plain_text(version), processes=processes(entries))
    known["oom_kills"] = _oom_kills()
    add_reasons(known["processes"])
    return known


def _served(pm2_home: str) -> str:
    """Return whom a PM2_HOME serves: the user that reads it, but its owner where root reads what root runs there."""
    uid = os.geteuid()
    if uid == 0:
        with contextlib.suppress(OSError):
            uid = os.stat(pm2_home).st_uid
    return user_name(uid)


def _socket_mode(pm2_home: str) -> dict[str, Any]:
    """Return ``path mode owner open`` of the socket; open: every user of the host may command PM2 through it."""
    path = socket_path(pm2_home)
    try:
        found = os.lstat(path)
    except OSError:
        return {"path": path, "mode": "", "owner": "", "open": False}
    is_open = stat.S_ISSOCK(found.st_mode) and bool(found.st_mode & stat.S_IWOTH) and reachable_by_others(path)
    return {"path": path, "mode": f"{stat.S_IMODE(found.st_mode):04o}", "owner": user_name(found.st_uid), "open": is_open}


def processes(entries: Any) -> list[dict[str, Any]]:
    """Return the named fields of PM2's own list; raises CannotRead when it is none."""
    if not isinstance(entries, list):
        raise CannotRead("PM2's answer is not a list of processes")
    return [_process(entry) for entry in entries if isinstance(entry, dict)]


def _process(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return one process, named fields only.

    ``name pm_id pid status restarts unstable_restarts exit_code exec_mode (fork or cluster) script namespace
    autorestart module`` (a PM2 module, no application) ``created_at`` (ms, also of the last restart by hand)
    ``started_at`` (epoch seconds) ``restart_delay kill_timeout listen_timeout`` (seconds) ``cpu`` (%)
    ``memory max_memory`` (bytes) ``out_log err_log uid`` (of the running process, else None) ``run_as`` (what PM2
    was told) ``log_line``.
    """
    env = entry.get("pm2_env")
    env = env if isinstance(env, dict) else {}
    monit = entry.get("monit")
    monit = monit if isinstance(monit, dict) else {}
    status = plain_text(env.get("status"))
    pid = _number(entry.get("pid")) if status in ("online", "launching", "stopping") else 0
    return {
        "name": plain_text(entry.get("name") or env.get("name")),
        "pm_id": _number(entry.get("pm_id", env.get("pm_id")), -1),
        "pid": pid,
        "status": status,
        "restarts": _number(env.get("restart_time")),
        "unstable_restarts": _number(env.get("unstable_restarts")),
        "exit_code": _number(env["exit_code"]) if isinstance(env.get("exit_code"), int) else None,
        "exec_mode": exec_mode_of(env.get("exec_mode")),
        "script": plain_text(env.get("pm_exec_path"), MAX_PATH),
        "namespace": plain_text(env.get("namespace")),
        "autorestart": str(env.get("autorestart", True)).lower() != "false",
        "module": bool(env.get("pmx_module")),
        "created_at": _number(env.get("created_at")),
        "started_at": _number(env.get("pm_uptime")) / 1000,
        "restart_delay": max(_number(env.get("restart_delay")), _number(env.get("prev_restart_delay"))) / 1000,
        "kill_timeout": _number(env.get("kill_timeout")) / 1000,
        "listen_timeout": _number(env.get("listen_timeout")) / 1000,
        "cpu": _number(monit.get("cpu")),
        "memory": _number(monit.get("memory")),
        "max_memory": _number(env.get("max_memory_restart")),
        "out_log": plain_text(env.get("pm_out_log_path"), MAX_PATH),
        "err_log": plain_text(env.get("pm_err_log_path"), MAX_PATH),
        "uid": uid_of(pid) if pid else None,
        "run_as": plain_text(env.get("uid")) if isinstance(env.get("uid"), (int, str)) else "",
        "log_line": "",
    }


def _number(value: Any, default: int = 0) -> int:
    """Return a whole number; PM2 writes some of them as text or null, and a number beyond all sense is none."""
    try:
        number = default if isinstance(value, bool) else int(value)
    except (TypeError, ValueError, OverflowError):
        return default
    return number if abs(number) <= MAX_NUMBER else default


def asleep(status: str) -> bool:
    """Whether a process of PM2's list with this status is one that need not be saved as running."""
    return status in ("stopped", "errored")


def saved_asleep(running: Sequence[Mapping[str, Any]], kept: Sequence[Mapping[str, Any]]) -> bool:
    """Whether more instances of one name are saved as stopped (a reboot leaves them so) than are asleep now."""
    return sum(entry["status"] == "stopped" for entry in kept) > sum(asleep(entry["status"]) for entry in running)


def exec_mode_of(value: Any) -> str:
    return plain_text(value).replace("_mode", "") or "fork"


def _listener(connection: socket.socket) -> dict[str, Any]:
    """Return who listens on a socket; the kernel tells, so it works for a daemon that hangs."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, _gid = struct.unpack("3i", credentials)
    return {"pid": pid, "uid": uid, "frozen": state_of(pid) in ("T", "t")}


def read_orphans(pm2_home: str) -> list[dict[str, Any]]:
    """Return applications of this PM2_HOME that still run without a daemon: a resurrect would start them twice."""
    found = []
    home = os.path.abspath(pm2_home)
    for path in sorted(glob.glob(os.path.join(glob.escape(home), "pids", "*.pid")))[:200]:
        try:
            with open(path, encoding="ascii", errors="replace") as file:
                pid = int(file.read(32).strip() or 0)
        except (OSError, ValueError):
            continue
        environment = text_of_process(pid, "environ").split("\0") if pid > 1 and state_of(pid) not in ("", "Z") else []
        if any(_same_file(variable[12:], path) for variable in environment if variable.startswith("pm_pid_path=")):
            names = [variable[5:] for variable in environment if variable.startswith("name=")]
            found.append({"name": plain_text(names[0]) if names else "", "pid": pid})
    return found


def _same_file(one: str, other: str) -> bool:
    """Whether two paths lead to one place: a PM2_HOME may be reached through a link."""
    if os.path.basename(one.rstrip("/")) != os.path.basename(other.rstrip("/")):
        return False
    return os.path.realpath(one) == os.path.realpath(other)


def end_orphans(pm2_home: str, patience: float) -> list[dict[str, Any]]:
    """End applications that outlived their daemon: as PM2 does, SIGINT first, SIGKILL after ``patience`` seconds.

    Returns those that are still there.
    """
    for number in (signal.SIGINT, signal.SIGKILL):
        for orphan in read_orphans(pm2_home):
            with contextlib.suppress(ProcessLookupError):
                os.kill(orphan["pid"], number)
        give_up = time.monotonic() + (patience if number == signal.SIGINT else 1.0)
        while read_orphans(pm2_home):
            if time.monotonic() >= give_up:
                break
            time.sleep(0.1)
    return read_orphans(pm2_home)


def add_reasons(listed: Sequence[dict[str, Any]]) -> None:
    """Put the line that says why into each process that ended at least once.

    Error logs are read in a child of their own: on a dead mount they must not take the list with them.
    """
    ill = [process for process in listed if process["status"] != "online" or process["restarts"] > 0][:MAX_REASONS]
    if not ill:
        return
    reasons = bounded(lambda: [_reason(process) for process in ill], REASONS_WITHIN).value or []
    for process, reason in zip(ill, reasons):
        process["log_line"] = reason


def _reason(process: Mapping[str, Any]) -> str:
    """Return the last reason in the logs of a process, unless it is older than its last run."""
    not_before = process["started_at"] - process["restart_delay"] - FRESH_REASON if process["started_at"] else 0.0
    for path, any_line in ((process["err_log"], True), (process["out_log"], False)):
        text, modified = tail(path, ERROR_LOG_TAIL)
        if not text or modified < not_before:
            continue
        reason = last_words.reason(text, not_before, any_line=any_line)
        if reason:
            return reason
    return ""


END_OF_TIME = 1e11  # epoch seconds; what is later is no time


HOME_PARAMETERS: dict[str, dict[str, Any]] = {
    "pm2_home": {
        "type": "path",
        "required": True,
        "variable": "stack_pm2_home",
        "description": "The PM2_HOME of the user that runs the applications, usually /home/<user>/.pm2.",
    },
    "user": {
        "type": "str",
        "variable": "stack_pm2_user",
        "description": "The user that runs PM2; the owner of the PM2_HOME when not given.",
    },
}


LIST_PARAMETERS: dict[str, dict[str, Any]] = {
    **HOME_PARAMETERS,
    "answer_within": {
        "type": "float",
        "default": 3.0,
        "description": "Seconds that the PM2 daemon may take to answer before it counts as hung; less than the deadline of the check.",
    },
}


WANTED_PARAMETERS: dict[str, dict[str, Any]] = {
    "processes": {
        "type": "list",
        "elements": "raw",
        "default": ["backend", "worker"],
        "variable": "stack_pm2_processes",
        "description": (
            "The processes that must run: names, or dictionaries with name and optionally instances (the least number)"
            " and exec_mode (fork or cluster)."
        ),
    },
}


NO_DAEMON = {"stopped": "pm2.daemon_down", "killed": "pm2.daemon_down", "hung": "pm2.daemon_hung"}


@dataclass(frozen=True)
class Wanted:
    """A process that must run: its name, the least number of instances, and its mode ("" for any)."""

    name: str
    instances: int = 1
    exec_mode: str = ""


def wanted(parameters: Mapping[str, Any]) -> list[Wanted]:
    """Return the processes that must run; raises WrongQuestion for an entry that is none."""
    found = [_wanted(number, entry) for number, entry in enumerate(parameters.get("processes") or [])]
    if not found:
        raise WrongQuestion(
            "processes", parameters.get("processes"), "names no process", "name those that must run, or leave the check out"
        )
    for name, times in Counter(one.name for one in found).items():
        if times > 1:
            raise WrongQuestion("processes", name, "is named more than once", "name each process once; give instances where several run")
    return found


def _wanted(number: int, entry: Any) -> Wanted:
    given = {"name": entry} if isinstance(entry, str) else entry
    remedy = "give a name, or a dictionary with name and optionally instances and exec_mode"
    where = f"processes[{number}]"
    if not isinstance(given, Mapping) or not isinstance(given.get("name"), str) or not given["name"]:
        raise WrongQuestion(where, entry, "names no process", remedy)
    strange = sorted(set(given) - {"name", "instances", "exec_mode"})
    if strange:
        raise WrongQuestion(where, strange, "is not known here", remedy)
    number_given = given.get("instances")
    try:
        instances = 1 if number_given is None else int(number_given)
    except (TypeError, ValueError):
        instances = 0
    if instances < 1:
        raise WrongQuestion(f"{where}.instances", number_given, "is not a number of processes", "give 1 or more")
    mode = str(given.get("exec_mode") or "").replace("_mode", "")
    if mode not in ("", "fork", "cluster"):
        raise WrongQuestion(f"{where}.exec_mode", given["exec_mode"], "is not a mode of PM2", "give fork or cluster")
    return Wanted(given["name"], instances, mode)
