# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bounded work: functions in children that can be abandoned, and programs with a time limit.

On a dead mount or behind a stopped peer, signals, threads and ``subprocess`` time limits all block. What
holds is a forked child, a pipe, ``select`` with a deadline, SIGKILL, and not waiting for the child.
Times are seconds, sizes are bytes.
"""

from __future__ import annotations

import codecs
import errno
import fcntl
import json
import os
import pwd
import select
import signal
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from .errors import Busy, Crashed, NeedsUser, RemediationError, TooSlow, WrongQuestion, from_dict
from .times import rfc3339

Key = TypeVar("Key", bound=Hashable)

MAX_ANSWER = 64 * 1024 * 1024
MAX_OUTPUT = 1024 * 1024
CONCURRENT_CHILDREN = 8
REAP_GRACE = 0.2
_LENGTH = struct.Struct("!Q")
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Call:
    """One function to run in a child.

    function: takes nothing, returns something JSON can carry.
    deadline: seconds from the start of the child.
    user: a function that names the user id to become (or None), run in the child (it may touch files); None stays.
    lock: a file that the child keeps locked, so that repeated runs do not pile up stuck children.
    unsigned: the lock is not written to (check mode), so it does not tell who holds it.
    ends_with_caller: the child is killed when this process ends, however that ends; for one that changes something.
    """

    function: Callable[[], Any]
    deadline: float
    user: Callable[[], int | None] | None = None
    lock: str | None = None
    unsigned: bool = False
    ends_with_caller: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of a call: a value, or an error; and how long it took in milliseconds."""

    value: Any = None
    error: RemediationError | None = None
    duration_ms: int = 0

    def get(self) -> Any:
        """Return the value or raise the error."""
        if self.error is not None:
            raise self.error
        return self.value


@dataclass
class _Child:
    pid: int
    pipe: int
    started: float
    deadline: float
    answer: bytearray = field(default_factory=bytearray)


def user_name(uid: int) -> str:
    """Return the name of a user id, or the number as text where the system knows no name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def user_id(option: str, name: str) -> int:
    """Return the id of a user; raises WrongQuestion, which names the option, for one that does not exist here."""
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError as error:
        raise WrongQuestion(option, name, "does not exist on this host", "give the name of the user that the worker runs as") from error


def become(uid: int) -> None:
    """Drop this process to a user for good, with that user's groups and HOME.

    Raises NeedsUser when this process is neither root nor that user.
    """
    if os.geteuid() == uid:
        return
    if os.geteuid() != 0:
        raise NeedsUser(user_name(uid), f"this belongs to {user_name(uid)} and the run is {user_name(os.geteuid())}")
    # That user may be unable to read our code and Python's own, so nothing can be imported afterwards.
    for codec in ("ascii", "latin-1", "utf-8-sig", "utf-16", "idna"):
        codecs.lookup(codec)
    try:
        entry = pwd.getpwuid(uid)
        os.initgroups(entry.pw_name, entry.pw_gid)
        gid, home = entry.pw_gid, entry.pw_dir
    except KeyError:
        os.setgroups([])
        gid, home = uid, "/"
    os.setgid(gid)
    os.setuid(uid)
    os.environ.update({"HOME": home, "USER": user_name(uid), "LOGNAME": user_name(uid)})


def call(function: Callable[[], Any], deadline: float, **options: Any) -> Outcome:
    """Run one function in a bounded child; see :class:`Call` for the options."""
    return call_all({0: Call(function, deadline, **options)})[0]


def call_all(calls: Mapping[Key, Call]) -> dict[Key, Outcome]:
    """Run functions in children of their own, several at once, none longer than its deadline.

    A child that does not answer is killed and abandoned; the others are not harmed. Never raises for what
    happened in a child: every key has an outcome.
    """
    waiting = deque(calls.items())
    running: dict[Key, _Child] = {}
    outcomes: dict[Key, Outcome] = {}
    while waiting or running:
        while waiting and len(running) < CONCURRENT_CHILDREN:
            key, work = waiting.popleft()
            running[key] = _start(work)
        _collect(running)
        for key in [key for key, child in running.items() if _is_over(child)]:
            outcomes[key] = _finish(running.pop(key))
    return {key: outcomes[key] for key in calls}


def _start(work: Call) -> _Child:
    receive, send = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    started = time.monotonic()
    caller = os.getpid()
    pid = os.fork()
    if pid == 0:
        _child(work, send, caller)
    os.close(send)
    os.set_blocking(receive, False)
    return _Child(pid, receive, started, started + work.deadline)


def _child(work: Call, send: int, caller: int) -> None:
    """Be the child: never return, never touch the parent's descriptors, answer as JSON."""
    try:
        os.setsid()
        if work.ends_with_caller:
            _end_with(caller)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
            signal.signal(number, signal.SIG_DFL)
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        os.closerange(3, send)
        os.closerange(send + 1, 4096)
        sys.stdin = sys.stdout = sys.stderr = open(os.devnull, "r+")  # noqa: SIM115 - for the life of this process
        data = _answer(work)
        data = _LENGTH.pack(len(data)) + data
        sent = 0
        while sent < len(data):
            sent += os.write(send, data[sent:])
    finally:
        os._exit(0)


def _end_with(caller: int) -> None:
    """Have the kernel kill this process when the one that started it ends (it forgets that when another user is become)."""
    import ctypes  # few need it, and it costs all of them

    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != caller:  # it ended before that
        os._exit(0)


def _answer(work: Call) -> bytes:
    try:
        uid = work.user() if work.user else None
        if work.lock:
            _hold(work.lock, work.deadline, unsigned=work.unsigned)
        if uid is not None:
            become(uid)
        data = json.dumps({"value": work.function()}).encode()
        if len(data) > MAX_ANSWER:
            raise Crashed(f"the answer has {len(data)} bytes, over {MAX_ANSWER}")
        return data
    except RemediationError as error:
        failure = error
    except BaseException as error:
        failure = Crashed(describe_crash(error))
    return json.dumps({"error": failure.as_dict()}, default=str).encode()


def describe_crash(error: BaseException) -> str:
    """Say what an unexpected error was and where, without its values' surroundings."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f" at {os.path.basename(place.tb_frame.f_code.co_filename)}:{place.tb_lineno}" if place else ""
    return f"{type(error).__name__}: {error}{where}"


def _hold(path: str, deadline: float, *, unsigned: bool) -> None:
    """Lock a file until this process ends; raises Busy when another reader holds it for the whole deadline.

    The descriptor is left open on purpose: the lock must last as long as the process.
    """
    flags = os.O_RDONLY if unsigned else os.O_RDWR | os.O_CREAT
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
    give_up = time.monotonic() + deadline * 0.8
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
        if time.monotonic() >= give_up:
            holder = _signature(descriptor)
            raise Busy(f"an earlier read of the same source has not ended ({holder}); no second one was started", holder=holder)
        time.sleep(0.05)
    if not unsigned:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} since {rfc3339(time.time())}".encode(), 0)


def _signature(descriptor: int) -> str:
    """Return who has signed a lock; "unknown" where that process has gone, since one that does not sign holds it then."""
    text = os.pread(descriptor, 200, 0).decode(errors="replace").strip()
    words = text.split()
    return text if len(words) > 1 and os.path.exists(f"/proc/{words[1]}") else "unknown"


def _collect(running: Mapping[Any, _Child]) -> None:
    """Wait for answers until the nearest deadline at most."""
    left = min(child.deadline for child in running.values()) - time.monotonic()
    by_pipe = {child.pipe: child for child in running.values()}
    ready, _unused, _unused = select.select(list(by_pipe), [], [], max(0.0, left))
    for pipe in ready:
        child = by_pipe[pipe]
        data = os.read(pipe, 1 << 20)
        child.answer += data
        if not data or _is_whole(child.answer):
            os.close(pipe)
            child.pipe = -1


def _is_whole(answer: bytearray) -> bool:
    """Whether all of an answer is here; something that the child left behind may keep the pipe open."""
    return len(answer) >= _LENGTH.size and len(answer) >= _LENGTH.size + _LENGTH.unpack_from(answer)[0]


def _is_over(child: _Child) -> bool:
    return child.pipe < 0 or time.monotonic() >= child.deadline


def _finish(child: _Child) -> Outcome:
    took = round((time.monotonic() - child.started) * 1000)
    late = child.pipe >= 0
    if late:
        os.close(child.pipe)
    _kill_group(child.pid)
    _reap(child.pid)
    if late:
        limit = round(child.deadline - child.started, 1)
        return Outcome(error=TooSlow(f"no answer within {limit:g} s", deadline=limit), duration_ms=took)
    try:
        answer = json.loads(child.answer[_LENGTH.size :])
    except ValueError:
        return Outcome(error=Crashed("the reading process ended without an answer (killed, or out of memory)"), duration_ms=took)
    if "error" in answer:
        return Outcome(error=from_dict(answer["error"]), duration_ms=took)
    return Outcome(value=answer["value"], duration_ms=took)


def _kill_group(pid: int) -> None:
    # The child is the leader of a session of its own; what it started shares the group.
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue


def _reap(pid: int) -> None:
    """Collect the child if it ends soon; one stuck in the kernel is left to init."""
    give_up = time.monotonic() + REAP_GRACE
    while time.monotonic() < give_up:
        try:
            if os.waitpid(pid, os.WNOHANG)[0] == pid:
                return
        except ChildProcessError:
            return
        time.sleep(0.002)


@dataclass(frozen=True)
class Program:
    """The end of a program: exit code (None when it was killed at its deadline), its output as text."""

    code: int | None
    stdout: str
    stderr: str
    duration_ms: int

    @property
    def timed_out(self) -> bool:
        """Whether the program was killed at its deadline."""
        return self.code is None


def run(
    argv: Sequence[str],
    *,
    deadline: float,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    uid: int | None = None,
    max_output: int = MAX_OUTPUT,
    umask: int | None = None,
) -> Program:
    """Run a program without a shell; at the deadline its whole process group is killed.

    env: the complete environment (``LC_ALL=C`` is added); None means a minimal one with the caller's PATH.
    uid: the user to run as; needs root when it is another one (raises NeedsUser otherwise).
    max_output: the program's output beyond this is thrown away, not kept.
    umask: for files that it makes; None keeps the caller's.
    Raises OSError when the program cannot be started at all.
    """
    environment = dict(env) if env is not None else {"PATH": os.environ.get("PATH", os.defpath)}
    environment.setdefault("LC_ALL", "C")
    started = time.monotonic()
    process = subprocess.Popen(
        list(argv),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        cwd=cwd or "/",
        start_new_session=True,
        umask=-1 if umask is None else umask,
        **_identity(uid),
    )
    output, ended = _read_output(process, started + deadline, max_output)
    if not ended:
        _kill_group(process.pid)
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()
    try:
        code = process.wait(timeout=REAP_GRACE if not ended else max(0.1, started + deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        _kill_group(process.pid)
        code, ended = None, False
    texts = [bytes(part).decode("utf-8", "replace") for part in output]
    return Program(code if ended else None, texts[0], texts[1], round((time.monotonic() - started) * 1000))


def _identity(uid: int | None) -> dict[str, Any]:
    if uid is None or uid == os.geteuid():
        return {}
    if os.geteuid() != 0:
        raise NeedsUser(user_name(uid), f"this must run as {user_name(uid)} and the run is {user_name(os.geteuid())}")
    try:
        entry = pwd.getpwuid(uid)
        return {"user": uid, "group": entry.pw_gid, "extra_groups": os.getgrouplist(entry.pw_name, entry.pw_gid)}
    except KeyError:
        return {"user": uid, "group": uid, "extra_groups": []}


def _read_output(process: subprocess.Popen[bytes], deadline: float, limit: int) -> tuple[list[bytearray], bool]:
    """Read both streams until the program itself has ended.

    A daemon that the program leaves behind may keep the pipes open, so the end of the program counts, not
    the end of the pipes.
    """
    output = [bytearray(), bytearray()]
    streams = {pipe.fileno(): kept for pipe, kept in zip((process.stdout, process.stderr), output) if pipe is not None}
    while True:
        exited = process.poll() is not None
        ready, _unused, _unused = select.select(list(streams), [], [], 0 if exited else min(0.05, max(0.0, deadline - time.monotonic())))
        for descriptor in ready:
            data = os.read(descriptor, 65536)
            if not data:
                del streams[descriptor]
            else:
                kept = streams[descriptor]
                kept += data[: max(0, limit - len(kept))]
        if exited and (not ready or time.monotonic() >= deadline):
            return output, True
        if not streams and not exited:
            try:
                process.wait(timeout=max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                return output, False
            return output, True
        if time.monotonic() >= deadline and not exited:
            return output, False
