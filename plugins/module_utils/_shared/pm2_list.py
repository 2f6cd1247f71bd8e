# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read PM2's list of processes from the daemon's socket. Never starts a daemon.

PM2 stores secrets twice in each entry of its list, so only named fields are taken. Works with PM2 5, 6 and 7. The readers run as
the owner of the PM2_HOME, in a child with a deadline. Times are epoch seconds, except ``created_at``, which stays in PM2's
milliseconds because it serves as an identity. Sizes are bytes.
"""

from __future__ import annotations

import contextlib
import math
import os
import pwd
import socket
import stat
import struct
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from .._core.children import call as bounded
from .._core.children import user_name
from .._core.errors import CannotRead, NeedsUser, WrongQuestion
from . import last_words
from .pm2_orphans import Orphan, read_orphans
from .pm2_rpc import ANSWER_WITHIN, KILLED, STOPPED, UP, DaemonAway, ask, connect, nearest_owner, plain_text, socket_path
from .proc import oom_kill_count, state_of, uid_of
from .text_files import reachable_by_others, tail

ERROR_LOG_TAIL = 16 * 1024  # bytes
MAX_PATH = 4096  # characters
MAX_NUMBER = 2**53  # the largest whole number that JavaScript counts exactly
MAX_REASONS = 12  # processes whose error log is read
REASONS_WITHIN = 1.5  # seconds for all error logs together, which may be on a dead mount
FRESH_REASON = 3.0  # seconds by which the last line of an error log may be older than the last start
END_OF_TIME = 1e11  # epoch seconds; a later time is not a time
NO_DAEMON = {"stopped": "pm2.daemon_down", "killed": "pm2.daemon_down", "hung": "pm2.daemon_hung"}  # state of the daemon: its fault
_HOME_REMEDY = "give the PM2_HOME of the user that runs the applications, usually /home/<user>/.pm2"

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
        "description": "The user that runs PM2. Default: the owner of the PM2_HOME.",
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
            "The processes that must run: names, or dictionaries with name and, optionally, instances (the minimum"
            " number) and exec_mode (fork or cluster)."
        ),
    },
}


class Process(TypedDict):
    """One process of PM2's list.

    pid: 0 unless it runs. exec_mode: fork or cluster. module: a module of PM2, not an application.
    created_at: milliseconds; an operator's restart renews it. started_at: epoch seconds.
    restart_delay, kill_timeout, listen_timeout: seconds. cpu: percent. memory, max_memory: bytes.
    uid: the effective user of the running process, None when it does not run. run_as: the user that PM2 was given, "" for none.
    log_line: the reason of the last end from the logs, "" when there is none.
    """

    name: str
    pm_id: int
    pid: int
    status: str
    restarts: int
    unstable_restarts: int
    exit_code: int | None
    exec_mode: str
    script: str
    namespace: str
    autorestart: bool
    module: bool
    created_at: int
    started_at: float
    restart_delay: float
    kill_timeout: float
    listen_timeout: float
    cpu: int
    memory: int
    max_memory: int
    out_log: str
    err_log: str
    uid: int | None
    run_as: str
    log_line: str


class Daemon(TypedDict):
    """The daemon; frozen: a signal stopped it (state T in /proc)."""

    pid: int
    uid: int
    frozen: bool


class SocketMode(TypedDict):
    """The daemon's socket; open: every user of the host can command PM2 through it."""

    path: str
    mode: str
    owner: str
    open: bool


class _Always(TypedDict):
    state: str
    problem: str
    user: str
    read_at: float
    version: str
    processes: list[Process]
    orphans: list[Orphan]
    daemon: Daemon | None
    socket: SocketMode


class Listed(_Always, total=False):
    """PM2's list and the state of the daemon.

    state: up, stopped (clean), killed (left its socket behind), denied, or hung (accepts the connection and does not answer).
    problem: the same in a sentence, "" when it is up. user: the user that the PM2_HOME serves. read_at: epoch seconds.
    orphans: applications that outlived their daemon. keeper: the owner of a daemon that denies access.
    oom_kills: processes that the kernel killed for memory since boot, None where the kernel does not count them.
    """

    keeper: str
    oom_kills: int | None


def owner(pm2_home: str, user: str | None = None, **_others: Any) -> int:
    """Return the user id to become: the given user, else the owner of the socket, else of the PM2_HOME.

    Raises WrongQuestion for a PM2_HOME that is not a directory or a user that does not exist, NeedsUser when this process may not
    see the PM2_HOME.
    """
    try:
        found = os.stat(pm2_home)
    except PermissionError as error:
        keeper = user if user and user != user_name(os.geteuid()) else nearest_owner(pm2_home)
        raise NeedsUser(keeper, f"{pm2_home} may not be read by {user_name(os.geteuid())}") from error
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
    """Return the user id to become for reading: as :func:`owner`, but root becomes the owner of the daemon's socket.

    A daemon that root started in the application's PM2_HOME answers only root.
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


def read_list(pm2_home: str, user: str | None = None, answer_within: float | None = None) -> Listed:
    """Return the state of the daemon and its processes.

    answer_within: seconds that the daemon may take to answer.
    Raises CannotRead when the program that listens there is not PM2, WrongQuestion for an answer_within of 0 or less.
    """
    within = ANSWER_WITHIN if answer_within is None else answer_within
    if not (math.isfinite(within) and within > 0):
        raise WrongQuestion(
            "answer_within", answer_within, "is no time to wait", "give more than 0 seconds, less than the check's deadline"
        )
    known: Listed = {
        "state": UP,
        "problem": "",
        "user": user or _served(pm2_home),
        "read_at": time.time(),
        "version": "",
        "processes": [],
        "orphans": [],
        "daemon": None,
        "socket": _socket_mode(pm2_home),
    }
    end = time.monotonic() + within
    try:
        with connect(pm2_home, end) as connection:
            known["daemon"] = _listener(connection)
            version = ask(connection, end, "getVersion", {})
            entries = ask(connection, end, "getMonitorData", {})
    except DaemonAway as away:
        known.update({"state": away.details["state"], "problem": away.message, "keeper": away.details.get("keeper", "")})
        if known["state"] in (STOPPED, KILLED):
            known["orphans"] = read_orphans(pm2_home)
        return known
    known.update({"version": plain_text(version), "processes": processes(entries), "oom_kills": oom_kill_count()})
    add_reasons(known["processes"])
    return known


def _served(pm2_home: str) -> str:
    """Return the user that a PM2_HOME serves: the user of this process, or the owner of the PM2_HOME when this process is root."""
    uid = os.geteuid()
    if uid == 0:
        with contextlib.suppress(OSError):
            uid = os.stat(pm2_home).st_uid
    return user_name(uid)


def _socket_mode(pm2_home: str) -> SocketMode:
    path = socket_path(pm2_home)
    try:
        found = os.lstat(path)
    except OSError:
        return {"path": path, "mode": "", "owner": "", "open": False}
    is_open = stat.S_ISSOCK(found.st_mode) and bool(found.st_mode & stat.S_IWOTH) and reachable_by_others(path)
    return {"path": path, "mode": f"{stat.S_IMODE(found.st_mode):04o}", "owner": user_name(found.st_uid), "open": is_open}


def processes(entries: Any) -> list[Process]:
    """Return the named fields of PM2's own list; raises CannotRead when it is not a list."""
    if not isinstance(entries, list):
        raise CannotRead("PM2's answer is not a list of processes")
    return [_process(entry) for entry in entries if isinstance(entry, dict)]


def _process(entry: Mapping[str, Any]) -> Process:
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
    """Return a whole number, the default for any other value or a number that is too large; PM2 writes some numbers as text."""
    try:
        number = default if isinstance(value, bool) else int(value)
    except (TypeError, ValueError, OverflowError):
        return default
    return number if abs(number) <= MAX_NUMBER else default


def exec_mode_of(value: Any) -> str:
    """Return PM2's exec_mode in short: fork or cluster."""
    return plain_text(value).replace("_mode", "") or "fork"


def _listener(connection: socket.socket) -> Daemon:
    """Return the process that listens on a socket, from the kernel: this works for a daemon that hangs, too."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, _gid = struct.unpack("3i", credentials)
    return {"pid": pid, "uid": uid, "frozen": state_of(pid) in ("T", "t")}


def add_reasons(listed: Sequence[Process]) -> None:
    """Set ``log_line`` of each process that ended at least once.

    A child of its own reads the error logs, so that a dead mount under them does not block the list.
    """
    ill = [process for process in listed if process["status"] != "online" or process["restarts"] > 0][:MAX_REASONS]
    if not ill:
        return
    reasons = bounded(lambda: [_reason(process) for process in ill], REASONS_WITHIN).value or []
    for process, reason in zip(ill, reasons):
        process["log_line"] = reason


def _reason(process: Process) -> str:
    """Return the last reason in the logs of a process, "" when it is older than the last run."""
    not_before = process["started_at"] - process["restart_delay"] - FRESH_REASON if process["started_at"] else 0.0
    for path, any_line in ((process["err_log"], True), (process["out_log"], False)):
        text, modified = tail(path, ERROR_LOG_TAIL)
        if not text or modified < not_before:
            continue
        reason = last_words.reason(text, not_before, any_line=any_line)
        if reason:
            return reason
    return ""


def asleep(status: str) -> bool:
    """Whether a process with this status does not count as running when the list is saved."""
    return status in ("stopped", "errored")


def saved_asleep(running: Sequence[Mapping[str, Any]], kept: Sequence[Mapping[str, Any]]) -> bool:
    """Whether more instances of one name are saved as stopped than do not run now; after a reboot they stay stopped."""
    return sum(entry["status"] == "stopped" for entry in kept) > sum(asleep(entry["status"]) for entry in running)


@dataclass(frozen=True)
class Wanted:
    """A process that must run: its name, its minimum number of instances, and its mode ("" for any)."""

    name: str
    instances: int = 1
    exec_mode: str = ""


def wanted(parameters: Mapping[str, Any]) -> list[Wanted]:
    """Return the processes that must run, from the parameter ``processes``; raises WrongQuestion for a malformed entry."""
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
