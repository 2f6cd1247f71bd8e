# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a PM2 daemon through its socket for its list of processes. Never starts a daemon."""

from __future__ import annotations

import contextlib
import errno
import glob
import json
import math
import os
import pwd
import re
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
from .._core.masking import mask, strip_ansi
from . import last_words
from .text_files import reachable_by_others, tail

ANSWER_WITHIN = 5.0  # seconds a daemon may take to answer


MAX_FRAME = 16 * 1024 * 1024


ERROR_LOG_TAIL = 16 * 1024


MAX_TEXT = 200  # characters of a name and the like


MAX_PATH = 4096


MAX_NUMBER = 2**53  # what JavaScript counts to


MAX_REASONS = 12  # processes whose error log is read


REASONS_WITHIN = 1.5  # seconds for all error logs together: they may lie on a dead mount


FRESH_REASON = 3.0  # seconds that the last word in an error log may be older than the last start


_HOME_REMEDY = "give the PM2_HOME of the user that runs the applications, usually /home/<user>/.pm2"


class DaemonAway(CannotRead):
    """The daemon gave no answer; ``details["state"]`` is stopped, killed, denied or hung."""


class Refused(CannotRead):
    """The daemon answered with an error of its own."""


def owner(pm2_home: str, user: str | None = None, **_others: Any) -> int:
    """Return the user id to become: the given user, else the owner of the socket, else of the PM2_HOME.

    Raises WrongQuestion for a PM2_HOME that is no directory or a user that does not exist, NeedsUser where the
    PM2_HOME cannot even be seen.
    """
    try:
        found = os.stat(pm2_home)
    except PermissionError as error:
        keeper = user if user and user != user_name(os.geteuid()) else _keeper(pm2_home)
        raise NeedsUser(keeper, f"{pm2_home} cannot be looked into by {user_name(os.geteuid())}") from error
    except (OSError, ValueError) as error:
        raise WrongQuestion("pm2_home", pm2_home, "does not exist on this host", _HOME_REMEDY) from error
    if not stat.S_ISDIR(found.st_mode):
        raise WrongQuestion("pm2_home", pm2_home, "is not a directory", _HOME_REMEDY)
    if user:
        return _user_id(user)
    try:
        return os.lstat(_socket_path(pm2_home)).st_uid
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
        return os.lstat(_socket_path(pm2_home)).st_uid
    except OSError:
        return uid


def _user_id(user: str) -> int:
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError as error:
        remedy = "give the name of the user that runs PM2, or leave it out"
        raise WrongQuestion("user", user, "does not exist on this host", remedy) from error


def _keeper(path: str) -> str:
    """Return the owner of the nearest folder above a path that can be seen."""
    while True:
        path = os.path.dirname(path) or "/"
        try:
            return user_name(os.stat(path).st_uid)
        except PermissionError:
            continue
        except OSError:
            return "root"


def _socket_path(pm2_home: str) -> str:
    return os.path.join(pm2_home, "rpc.sock")


def call(pm2_home: str, method: str, *arguments: Any, within: float = ANSWER_WITHIN) -> Any:
    """Call one method of the daemon and return the first value of its answer.

    The daemon speaks axon-rpc; the framing is the same in PM2 5, 6 and 7. within: seconds, connecting included.
    Raises DaemonAway when there is no daemon or no answer, Refused when it answers with an error, CannotRead
    when what answers is not PM2.
    """
    end = time.monotonic() + within
    with _connect(pm2_home, end) as connection:
        return _ask(connection, end, method, *arguments)


def _connect(pm2_home: str, end: float) -> socket.socket:
    path = _socket_path(pm2_home)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(max(0.05, end - time.monotonic()))
        connection.connect(path)
    except OSError as error:
        connection.close()
        raise _away(path, error) from error
    return connection


def _away(path: str, error: OSError) -> CannotRead:
    # Before Python 3.10 a time that is over is socket.timeout, and that is no TimeoutError.
    if isinstance(error, (TimeoutError, socket.timeout)) or error.errno in (errno.EAGAIN, errno.EINPROGRESS):
        return _hung(path)
    if error.errno == errno.ENOENT:
        return DaemonAway(f"no PM2 daemon runs: {path} does not exist", state=STOPPED)
    if error.errno in (errno.ECONNREFUSED, errno.ECONNRESET, errno.EPIPE):
        return DaemonAway(f"no PM2 daemon runs: nothing listens on {path}, which one left behind", state=KILLED)
    if error.errno in (errno.EACCES, errno.EPERM):
        keeper = _socket_keeper(path)
        whose = f"{path} belongs to {keeper} and" if keeper else path
        return DaemonAway(f"{whose} may not be opened by {user_name(os.geteuid())}", state=DENIED, keeper=keeper)
    return CannotRead(f"{path} cannot be used as PM2's socket: {error.strerror or error}")


def _socket_keeper(path: str) -> str:
    """Return whose socket it is, else whose the first folder is that lets nobody through."""
    try:
        return user_name(os.lstat(path).st_uid)
    except OSError:
        return _keeper(path)


def _hung(path: str) -> DaemonAway:
    return DaemonAway(f"the PM2 daemon behind {path} does not answer", state=HUNG)


def _ask(connection: socket.socket, end: float, method: str, *arguments: Any) -> Any:
    path = str(connection.getpeername())
    request = {"type": "call", "method": method, "args": list(arguments)}
    try:
        connection.settimeout(max(0.05, end - time.monotonic()))
        connection.sendall(pack(b"j:" + json.dumps(request).encode(), b"s:1"))
        answer = _message(connection, end)
    except OSError as error:
        raise _away(path, error) from error
    if not isinstance(answer, dict):
        raise CannotRead(f"what answers on {path} does not speak PM2's protocol: its answer to {method} is no object")
    if "error" in answer:
        raise Refused(f"PM2 refused {method}: {mask(_text(str(answer['error']), 2000))}")
    values = answer.get("args")
    return values[0] if isinstance(values, list) and values else None


def pack(*parts: bytes) -> bytes:
    """Build one frame: a byte with version and count, then each part behind its length (big-endian)."""
    return bytes([0x10 | len(parts)]) + b"".join(struct.pack(">I", len(part)) + part for part in parts)


def _message(connection: socket.socket, end: float) -> Any:
    head = _exactly(connection, 1, end)[0]
    if head >> 4 != 1 or not head & 0x0F:
        raise CannotRead(
            f"what answers on {connection.getpeername()} does not speak PM2's protocol: its answer begins with byte 0x{head:02x}"
        )
    parts = []
    for _number in range(head & 0x0F):
        length = struct.unpack(">I", _exactly(connection, 4, end))[0]
        if length > MAX_FRAME:
            raise CannotRead(f"PM2's answer has {length} bytes, over {MAX_FRAME}")
        parts.append(_exactly(connection, length, end))
    try:
        return json.loads(parts[0][2:]) if parts[0][:2] == b"j:" else None
    except (ValueError, RecursionError) as error:
        raise CannotRead(f"PM2's answer on {connection.getpeername()} is not JSON") from error


def _exactly(connection: socket.socket, size: int, end: float) -> bytes:
    data = bytearray()
    while len(data) < size:
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        piece = connection.recv(min(size - len(data), 1 << 20))
        if not piece:
            raise CannotRead(f"{connection.getpeername()} was closed in the middle of an answer")
        data += piece
    return bytes(data)


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
        with _connect(pm2_home, end) as connection:
            known["daemon"] = _listener(connection)
            version = _ask(connection, end, "getVersion", {})
            entries = _ask(connection, end, "getMonitorData", {})
    except DaemonAway as away:
        known.update(state=away.details["state"], problem=away.message, keeper=away.details.get("keeper", ""))
        if known["state"] in (STOPPED, KILLED):
            known["orphans"] = _orphans(pm2_home)
        return known
    known.update(state=UP, version=_text(version), processes=processes(entries))
    known["oom_kills"] = _oom_kills()
    _add_reasons(known["processes"])
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
    path = _socket_path(pm2_home)
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
    status = _text(env.get("status"))
    pid = _number(entry.get("pid")) if status in ("online", "launching", "stopping") else 0
    return {
        "name": _text(entry.get("name") or env.get("name")),
        "pm_id": _number(entry.get("pm_id", env.get("pm_id")), -1),
        "pid": pid,
        "status": status,
        "restarts": _number(env.get("restart_time")),
        "unstable_restarts": _number(env.get("unstable_restarts")),
        "exit_code": _number(env["exit_code"]) if isinstance(env.get("exit_code"), int) else None,
        "exec_mode": _mode(env.get("exec_mode")),
        "script": _text(env.get("pm_exec_path"), MAX_PATH),
        "namespace": _text(env.get("namespace")),
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
        "out_log": _text(env.get("pm_out_log_path"), MAX_PATH),
        "err_log": _text(env.get("pm_err_log_path"), MAX_PATH),
        "uid": uid_of(pid) if pid else None,
        "run_as": _text(env.get("uid")) if isinstance(env.get("uid"), (int, str)) else "",
        "log_line": "",
    }


def _text(value: Any, limit: int = MAX_TEXT) -> str:
    """Return a text that can be printed and sent on: no colours, control characters or broken Unicode, and not endless."""
    if value is None or isinstance(value, (dict, list)):
        return ""
    clean = strip_ansi(str(value)[: limit * 4].encode("utf-8", "replace").decode("utf-8"))
    return "".join(letter if letter.isprintable() else "?" for letter in clean)[:limit]


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


def _mode(value: Any) -> str:
    return _text(value).replace("_mode", "") or "fork"


def uid_of(pid: int) -> int | None:
    """Return the effective user id of a process; the owner of /proc/<pid> is root for some, so its status is read."""
    match = re.search(r"^Uid:\s+\d+\s+(\d+)", _proc_text(pid, "status"), re.M)
    return int(match.group(1)) if match else None


def state_of(pid: int) -> str:
    """Return the state letter of a process (R S D T Z ...), "" when there is none."""
    match = re.search(r"^State:\s+(\w)", _proc_text(pid, "status"), re.M)
    return match.group(1) if match else ""


def _proc_text(pid: int, name: str) -> str:
    try:
        with open(f"/proc/{int(pid)}/{name}", encoding="utf-8", errors="replace") as file:
            return file.read(65536)
    except OSError:
        return ""


def _oom_kills() -> int | None:
    try:
        with open("/proc/vmstat", encoding="ascii", errors="replace") as file:
            match = re.search(r"^oom_kill (\d+)$", file.read(65536), re.M)
    except OSError:
        return None
    return int(match.group(1)) if match else None


def _listener(connection: socket.socket) -> dict[str, Any]:
    """Return who listens on a socket; the kernel tells, so it works for a daemon that hangs."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, _gid = struct.unpack("3i", credentials)
    return {"pid": pid, "uid": uid, "frozen": state_of(pid) in ("T", "t")}


def _orphans(pm2_home: str) -> list[dict[str, Any]]:
    """Return applications of this PM2_HOME that still run without a daemon: a resurrect would start them twice."""
    found = []
    home = os.path.abspath(pm2_home)
    for path in sorted(glob.glob(os.path.join(glob.escape(home), "pids", "*.pid")))[:200]:
        try:
            with open(path, encoding="ascii", errors="replace") as file:
                pid = int(file.read(32).strip() or 0)
        except (OSError, ValueError):
            continue
        environment = _proc_text(pid, "environ").split("\0") if pid > 1 and state_of(pid) not in ("", "Z") else []
        if any(_same_file(variable[12:], path) for variable in environment if variable.startswith("pm_pid_path=")):
            names = [variable[5:] for variable in environment if variable.startswith("name=")]
            found.append({"name": _text(names[0]) if names else "", "pid": pid})
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
        for orphan in _orphans(pm2_home):
            with contextlib.suppress(ProcessLookupError):
                os.kill(orphan["pid"], number)
        give_up = time.monotonic() + (patience if number == signal.SIGINT else 1.0)
        while _orphans(pm2_home):
            if time.monotonic() >= give_up:
                break
            time.sleep(0.1)
    return _orphans(pm2_home)


def _add_reasons(listed: Sequence[dict[str, Any]]) -> None:
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


UP, STOPPED, KILLED, DENIED, HUNG = "up", "stopped", "killed", "denied", "hung"


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
