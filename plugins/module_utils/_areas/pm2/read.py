# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Talk to a PM2 daemon through its socket, and read the files of a PM2_HOME. Never starts a daemon.

Every PM2 command starts a daemon when none runs, and hangs when it hangs; the socket does neither. Secrets stand
twice in PM2's own list and in its dumps, so only named fields are taken from them. Works with PM2 5, 6 and 7.
Everything here runs as the owner of the PM2_HOME, in a child with a deadline. Times are epoch seconds (only
``created_at`` stays in PM2's milliseconds: it is an identity more than a time), sizes are bytes.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import json
import math
import os
import pwd
import re
import shlex
import signal
import socket
import stat
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..._core.children import call as bounded
from ..._core.children import user_name
from ..._core.errors import CannotRead, NeedsUser, WrongQuestion
from ..._core.masking import mask, strip_ansi
from . import log as _pm2_log

UP, STOPPED, KILLED, DENIED, HUNG = "up", "stopped", "killed", "denied", "hung"
ANSWER_WITHIN = 5.0  # seconds a daemon may take to answer
MAX_FRAME = 16 * 1024 * 1024
MAX_DUMP = 16 * 1024 * 1024
DAEMON_LOG_TAIL = 1024 * 1024
ERROR_LOG_TAIL = 16 * 1024
MAX_EVENTS = 4000
MAX_TEXT = 200  # characters of a name and the like
MAX_PATH = 4096
MAX_NUMBER = 2**53  # what JavaScript counts to
MAX_REASONS = 12  # processes whose error log is read
REASONS_WITHIN = 1.5  # seconds for all error logs together: they may lie on a dead mount
FRESH_REASON = 3.0  # seconds that the last word in an error log may be older than the last start
DEFAULT_UNIT_DIRECTORY = "/etc/systemd/system"

_HOME_REMEDY = "give the PM2_HOME of the user that runs the applications, usually /home/<user>/.pm2"


class DaemonAway(CannotRead):
    """The daemon gave no answer; ``details["state"]`` is stopped, killed, denied or hung."""


class Refused(CannotRead):
    """The daemon answered with an error of its own."""


# --- whose daemon


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


# --- the daemon's socket


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


# --- source pm2.list


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


# --- what /proc knows


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


# --- why an application ended


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
        reason = _pm2_log.reason(text, not_before, any_line=any_line)
        if reason:
            return reason
    return ""


def tail(path: str, size: int) -> tuple[str, float]:
    """Return the end of a regular file as text, and its modification time; ("", 0.0) when it cannot be read."""
    if not path or path == os.devnull:
        return "", 0.0
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return "", 0.0
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            return "", 0.0
        data = os.pread(descriptor, size, max(0, found.st_size - size))
    except OSError:
        return "", 0.0
    finally:
        os.close(descriptor)
    if found.st_size > size:
        data = data.partition(b"\n")[2]
    return data.decode("utf-8", "replace"), found.st_mtime


# --- source pm2.log


def read_daemon_log(pm2_home: str, **_others: Any) -> dict[str, Any]:
    """Return the events of the end of pm2.log: ``present``, ``since`` (time of the oldest event read), ``events``.

    See :func:`_pm2_log.parse_events` for an event. A log that was rotated lately is read together with what it
    was rotated to. An absent log has no events; the memory of the last run has to do then.
    """
    path = os.path.join(pm2_home, "pm2.log")
    text, modified = tail(path, DAEMON_LOG_TAIL)
    events = _pm2_log.parse_events(text, modified) if text else []
    if len(text) < DAEMON_LOG_TAIL // 2:
        older, then = tail(_rotated(pm2_home), DAEMON_LOG_TAIL)
        events = (_pm2_log.parse_events(older, then) if older else []) + events
    events = events[-MAX_EVENTS:]
    times = [event["time"] for event in events if event["time"] is not None]
    return {"present": bool(modified), "since": min(times) if times else None, "last_write": modified or None, "events": events}


def _rotated(pm2_home: str) -> str:
    """Return the newest readable file that pm2.log was rotated to (logrotate, pm2-logrotate), "" for none."""
    home = glob.escape(pm2_home)
    names = [name for pattern in ("pm2.log.*", "pm2.log-*", "pm2__*.log") for name in glob.glob(os.path.join(home, pattern))]
    dated = []
    for name in names:
        if not name.endswith((".gz", ".bz2", ".xz", ".zst")):
            try:
                dated.append((os.stat(name).st_mtime, name))
            except OSError:
                continue
    return max(dated)[1] if dated else ""


# --- source pm2.dump


def read_dump(pm2_home: str, **_others: Any) -> dict[str, Any]:
    """Return what a reboot would bring back: ``dump`` and ``backup`` (dump.pm2, dump.pm2.bak).

    Each: ``path present problem`` ("" or why its content is of no use) ``kind`` (file, link or other) ``mode``
    ("0644", "" unless it is a file) ``owner`` ``exposed``
    (other users can really read it: the folders above let them through) ``saved_at`` (epoch seconds)
    ``entries`` (``name script exec_mode status module``, one for each instance).
    """
    path = os.path.join(pm2_home, "dump.pm2")
    return {"dump": _dump(path), "backup": _dump(path + ".bak")}


def _dump(path: str) -> dict[str, Any]:
    known: dict[str, Any] = {"path": path, "present": False, "problem": "", "kind": "", "mode": "", "owner": ""}
    known.update(exposed=False, saved_at=None, entries=[])
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return known
    except OSError as error:
        return {**known, "present": True, "problem": f"cannot be looked at ({error.strerror})"}
    known.update(present=True, kind=_kind(found.st_mode), owner=user_name(found.st_uid), saved_at=found.st_mtime)
    if known["kind"] != "file":
        # What a link leads to may be anybody's file: nothing is read through it, and no mode is asked for.
        return {**known, "problem": "is a symbolic link" if known["kind"] == "link" else "is not a regular file"}
    known.update(
        mode=f"{stat.S_IMODE(found.st_mode):04o}",
        exposed=bool(found.st_mode & stat.S_IROTH) and reachable_by_others(path),
    )
    try:
        known["entries"] = [_dump_entry(entry) for entry in load_dump(path)]
    except CannotRead as error:
        known["problem"] = error.message
    return known


def _kind(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "link"
    return "file" if stat.S_ISREG(mode) else "other"


def load_dump(path: str) -> list[dict[str, Any]]:
    """Return the raw entries of a dump, secrets and all; raises CannotRead. Follows no link and waits for no pipe."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise CannotRead(f"cannot be read ({error.strerror})") from error
    with open(descriptor, encoding="utf-8", errors="replace") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise CannotRead("is not a regular file")
        if found.st_size > MAX_DUMP:
            raise CannotRead(f"has {found.st_size} bytes, over {MAX_DUMP}")
        try:
            saved = json.load(file)
        except OSError as error:
            raise CannotRead(f"cannot be read ({error.strerror})") from error
        except (ValueError, RecursionError) as error:
            raise CannotRead("is not JSON") from error
    if not isinstance(saved, list):
        raise CannotRead("is not a list of processes")
    return [entry for entry in saved if isinstance(entry, dict)]


def _dump_entry(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": _text(entry.get("name")),
        "script": _text(entry.get("pm_exec_path"), MAX_PATH),
        "exec_mode": _mode(entry.get("exec_mode")),
        "status": _text(entry.get("status")),
        "module": bool(entry.get("pmx_module")),
    }


def reachable_by_others(path: str) -> bool:
    """Whether every folder above a file lets other users through; a 0644 file in a 0700 home is out of reach."""
    folder = os.path.dirname(os.path.realpath(path))
    while True:
        try:
            if not os.stat(folder).st_mode & stat.S_IXOTH:
                return False
        except OSError:
            return False
        if folder == "/":
            return True
        folder = os.path.dirname(folder)


# --- source pm2.startup


def read_startup(pm2_home: str, user: str | None = None, unit_dir: str | None = None) -> dict[str, Any]:
    """Return the boot unit that serves a PM2_HOME (manual 2, section 3: ``pm2 startup``), without systemctl.

    ``present path enabled masked user pm2_home home_matches path_dirs command command_exists resurrects node_found`` and
    ``expected`` (name of the unit that ``pm2 startup`` writes) ``wanted_user wanted_home unit_dir_present``.
    The wanted user is the owner of the PM2_HOME, whoever started the daemon that runs now. Only PM2_HOME and PATH
    are taken from the unit's environment. Root reads the unit, which a strict umask keeps from others; what the unit names
    is looked at as its user would. Raises NeedsUser for any third user, CannotRead for a unit that may not be read.
    """
    uid = owner(pm2_home, user)
    if os.geteuid() not in (0, uid):
        raise NeedsUser(user_name(uid), f"this belongs to {user_name(uid)} and the run is {user_name(os.geteuid())}")
    directory = unit_dir or DEFAULT_UNIT_DIRECTORY
    wanted_user = user or user_name(os.stat(pm2_home).st_uid)
    expected = f"pm2-{wanted_user}.service"
    known: dict[str, Any] = {
        "expected": expected,
        "unit_dir": directory,
        "unit_dir_present": os.path.isdir(directory),
        "wanted_user": wanted_user,
        "wanted_home": pm2_home,
        "present": False,
    }
    name = _unit_name(directory, expected, pm2_home)
    if not name:
        return known
    path = os.path.join(directory, name)
    if os.path.exists(path) and not os.access(path, os.R_OK, effective_ids=True):
        raise CannotRead(f"{path} may not be read by {user_name(os.geteuid())}; run the check as root, or: chmod 644 {path}")
    unit = _unit(path)
    unit.update(_reachable(unit, uid))
    same = _serves(unit["pm2_home"], pm2_home)
    return {**known, "present": True, "path": path, "enabled": _enabled(directory, name), **unit, "home_matches": same}


def _serves(unit_home: str, pm2_home: str) -> bool:
    return bool(unit_home) and os.path.realpath(unit_home) == os.path.realpath(pm2_home)


def _unit_name(directory: str, expected: str, pm2_home: str) -> str:
    """Return the usual unit, else another one that serves this PM2_HOME (``pm2 startup --service-name``)."""
    if os.path.lexists(os.path.join(directory, expected)):
        return expected
    for path in sorted(glob.glob(os.path.join(glob.escape(directory), "*.service")))[:500]:
        if "resurrect" in tail(path, 65536)[0] and _serves(_unit(path)["pm2_home"], pm2_home):
            return os.path.basename(path)
    return ""


def _enabled(directory: str, name: str) -> bool:
    links = (os.path.join(glob.escape(directory), f"*.{kind}", glob.escape(name)) for kind in ("wants", "requires"))
    return any(glob.glob(pattern) or _dangling(pattern) for pattern in links)


def _dangling(pattern: str) -> bool:
    # glob follows links in its last part: a link that was made in an image and points elsewhere counts as well.
    folders = glob.glob(os.path.dirname(pattern))
    return any(os.path.islink(os.path.join(folder, os.path.basename(pattern))) for folder in folders)


def _unit(path: str) -> dict[str, Any]:
    masked = os.path.realpath(path) == os.devnull
    settings = _unit_settings(path)
    run_as = settings.get("User", [""])[-1]
    environment = _unit_environment(settings)
    home = environment.get("PM2_HOME") or _default_pm2_home(run_as)
    path_dirs = [folder for folder in environment.get("PATH", os.defpath).split(os.pathsep) if folder]
    words = _words(next((line for line in reversed(settings.get("ExecStart", [])) if line), ""))
    command = words[0].lstrip("-@:+!") if words else ""
    return {
        "masked": masked,
        "user": run_as or "root",
        "pm2_home": home,
        "path_dirs": path_dirs,
        "command": command,
        "resurrects": "resurrect" in words,
    }


def _reachable(unit: Mapping[str, Any], uid: int) -> dict[str, bool]:
    """Return ``command_exists node_found``: whether the unit's user may run its command, and a node in its PATH."""

    def may_run(path: str) -> bool:
        return os.access(path, os.X_OK, effective_ids=True)

    with _seen_by(uid):
        node_found = any(may_run(os.path.join(folder, "node")) for folder in unit["path_dirs"])
        return {"command_exists": bool(unit["command"]) and may_run(unit["command"]), "node_found": node_found}


@contextlib.contextmanager
def _seen_by(uid: int) -> Iterator[None]:
    """Have files judged as a user sees them: to root all is open."""
    if os.geteuid() != 0 or uid == 0:
        yield
        return
    entry, group, groups = pwd.getpwuid(uid), os.getegid(), os.getgroups()
    os.initgroups(entry.pw_name, entry.pw_gid)
    os.setegid(entry.pw_gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


def _default_pm2_home(run_as: str) -> str:
    try:
        return os.path.join(pwd.getpwnam(run_as or "root").pw_dir, ".pm2")
    except KeyError:
        return ""


def _unit_settings(path: str) -> dict[str, list[str]]:
    """Return the [Service] settings of a unit and its drop-ins; an empty assignment clears, as in systemd."""
    settings: dict[str, list[str]] = {}
    for name in [path, *sorted(glob.glob(os.path.join(glob.escape(path) + ".d", "*.conf")))]:
        section = ""
        for line in re.sub(r"\\\n", " ", tail(name, 65536)[0]).split("\n"):
            line = line.strip()
            if line.startswith("["):
                section = line
            key, separator, value = line.partition("=")
            if section != "[Service]" or not separator or line[0] in "#;":
                continue
            if value.strip():
                settings.setdefault(key.strip(), []).append(value.strip())
            else:
                settings[key.strip()] = []
    return settings


def _unit_environment(settings: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return PM2_HOME and PATH, and nothing else: the rest may hold secrets."""
    assignments = []
    for name in settings.get("EnvironmentFile", []):
        assignments += [word for line in tail(name.lstrip("-"), 65536)[0].split("\n") for word in _words(line)[:1]]
    from_files = _wanted_variables(assignments)
    direct = _wanted_variables(word for value in settings.get("Environment", []) for word in _words(value))
    return {**direct, **from_files}


def _wanted_variables(assignments: Any) -> dict[str, str]:
    pairs = (assignment.partition("=") for assignment in assignments)
    return {key: value for key, _equals, value in pairs if key in ("PM2_HOME", "PATH")}


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()
