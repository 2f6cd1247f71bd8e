# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read nginx: is its master alive, what do its configuration and its error log say, who holds its ports. Changes nothing.

A reload with a bad configuration keeps the old one serving, and only error.log tells. ``nginx -t`` says ok although a
port is taken. error.log carries local time without a zone, so its last line is compared with when the file was written.
Times are epoch seconds, sizes are bytes.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import socket
import struct
import tempfile
import time
from calendar import timegm
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..._core.children import Program, run, user_name
from ..._core.errors import CannotRead, WrongQuestion
from ..._core.masking import mask
from ..._shared.http_client import get
from . import conf as _nginx_conf

PROGRAM_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/usr/local/nginx/sbin", "/usr/bin", "/opt/nginx/sbin")
VERSION_WITHIN = 3.0  # seconds for nginx -V
TEST_WITHIN = 6.0  # seconds for nginx -t: names of upstreams are looked up
LOG_TAIL = 1024 * 1024
MAX_EVENTS = 5000
HOLDERS_WITHIN = 2.0  # seconds to look through /proc for who holds a port
STATUS_WITHIN = 2.0

_MASTER, _WORKER, _LEAVING = "nginx: master process", "nginx: worker process", "is shutting down"
_LINE = re.compile(
    r"^(2[0-9]{3})/(0[1-9]|1[0-2])/([0-3][0-9]) ([0-9]{2}):([0-9]{2}):([0-9]{2}) \[(\w+)\] ([0-9]{1,10})#[0-9]+: (?:\*[0-9]+ )?(.*)$"
)
_SAID = re.compile(r"\[(emerg|alert|crit|error|warn)\] (?:\d+#\d+: )?(.*?)(?: in (\S+):(\d+))?$")
# What a line means; the first that fits. 502 and 504 as the gateway answered.
_EVENTS = (
    ("504", re.compile(r"upstream timed out \(110")),
    (
        "502",
        re.compile(
            r"connect\(\) failed \(11[1-3]|recv\(\) failed \(104|upstream prematurely closed|no live upstreams|connect\(\) to unix:.* failed"
        ),
    ),
    ("worker_died", re.compile(r"worker process \d+ exited on signal (?!15\b|3\b)\d+")),
    ("told_to_end", re.compile(r"signal (?:3|15) \((?:SIGQUIT|SIGTERM)\) received")),
    ("started", re.compile(r"^start worker processes$")),
    ("reloaded", re.compile(r"^reconfiguring$")),
)
_PATH_REMEDY = "give the path of nginx.conf on this host"


# --- where things are


def layout(executable: str | None, conf: str | None, prefix: str | None) -> dict[str, Any]:
    """Return what this nginx was built with, overridden by what is given.

    ``program version prefix conf pid_file error_log without`` (temporary paths of modules that are left out).
    Raises WrongQuestion for a configuration that is not there, CannotRead when there is no nginx.
    """
    program = _program(executable)
    built = _built_with(program)
    prefix = prefix or built.get("prefix", "/usr/local/nginx")
    conf = os.path.join(prefix, conf or built.get("conf-path", "conf/nginx.conf"))
    if not os.path.lexists(conf):
        raise WrongQuestion("conf", conf, "does not exist on this host, or may not be seen", _PATH_REMEDY)
    without = [f"{name}_temp_path" for name in ("proxy", "fastcgi", "uwsgi", "scgi") if f"without-http_{name}_module" in built]
    return {
        "program": program,
        "version": built.get("version", ""),
        "prefix": prefix,
        "conf": conf,
        "default_conf": os.path.join(prefix, built.get("conf-path", "conf/nginx.conf")),
        "pid_file": built.get("pid-path", "logs/nginx.pid"),
        "error_log": built.get("error-log-path", "logs/error.log"),
        "without": without,
    }


def _program(executable: str | None) -> str:
    wanted = executable or "nginx"
    found = shutil.which(wanted) or next(
        (one for one in (f"{folder}/{wanted}" for folder in PROGRAM_FOLDERS) if os.access(one, os.X_OK)), None
    )
    if found:
        return found
    if executable:
        raise WrongQuestion("executable", executable, "is not a program on this host", "give the path of nginx, usually /usr/sbin/nginx")
    raise CannotRead("there is no program nginx on this host; give its path as executable")


def _built_with(program: str) -> dict[str, str]:
    try:
        said = run([program, "-V"], deadline=VERSION_WITHIN)
    except OSError as error:
        raise CannotRead(f"{program} cannot be started: {error.strerror}") from error
    text = said.stderr or said.stdout
    built = {"version": "".join(re.findall(r"^nginx version: \S+?/([\d.]+)", text, re.M)[:1])}
    for name, value in re.findall(r"--([\w-]+)(?:=('[^']*'|\S+))?", text):
        built.setdefault(name, value.strip("'"))
    return built


# --- source nginx.state


def read_state(
    executable: str | None = None,
    conf: str | None = None,
    prefix: str | None = None,
    pid_file: str | None = None,
    error_log: str | None = None,
) -> dict[str, Any]:
    """Return what runs, what the configuration says and what the error log said.

    ``conf prefix program version pid_file read_at booted``; ``systemd`` (it starts this nginx);
    ``master``: None or ``pid started ticks uid workers`` (each ``pid started
    state leaving``); ``files``: number, ``newest`` (path and modified); ``unreadable``; ``ports``: see :func:`_ports`;
    ``log``: see :func:`_log`.
    """
    known = layout(executable, conf, prefix)
    tree = _nginx_conf.read_tree(known["conf"])
    place, level = _nginx_conf.error_log(tree)
    pid_path = os.path.join(known["prefix"], pid_file or tree.value("pid") or known["pid_file"])
    log_path = os.path.join(known["prefix"], error_log or place or known["error_log"])
    master = _master(pid_path, known["conf"], known["default_conf"])
    newest = max(tree.files, key=lambda file: file.modified, default=None)
    return {
        "conf": known["conf"],
        "prefix": known["prefix"],
        "program": known["program"],
        "version": known["version"],
        "pid_file": pid_path,
        "read_at": time.time(),
        "booted": time.time() - time.clock_gettime(time.CLOCK_BOOTTIME),
        "systemd": os.path.isdir("/run/systemd/system") and known["conf"] == known["default_conf"],
        "master": master,
        "files": len(tree.files),
        "newest": {"path": newest.path, "modified": newest.modified} if newest else None,
        "unreadable": dict(list(tree.unreadable.items())[:5]),
        "ports": _ports(_nginx_conf.listens(tree), master),
        "log": {"level": level, **_log(log_path)},
    }


# --- processes


def _text(path: str, size: int = 65536) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(size)
    except (OSError, ValueError):
        return ""


def _title(pid: int) -> str:
    return _text(f"/proc/{pid}/cmdline").replace("\0", " ").strip()


def _stat(pid: int) -> tuple[str, int, int]:
    """Return state letter, parent and start (clock ticks since boot); ("", 0, 0) when there is no such process."""
    fields = _text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    try:
        return fields[0], int(fields[1]), int(fields[19])
    except (IndexError, ValueError):
        return "", 0, 0


def _started(ticks: int) -> float:
    return time.time() - (time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"))


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _master(pid_file: str, conf: str, default_conf: str) -> dict[str, Any] | None:
    """Return the living master: the one that the pid file names, else one that was started with this configuration."""
    named = _text(pid_file, 64).strip()
    candidates = [int(named)] if named.isdigit() and len(named) < 10 else []
    pid = next((one for one in candidates if _is_master(one)), None)
    if pid is None:
        pid = next((one for one in _pids() if _is_master(one) and _serves(_title(one), conf, default_conf)), None)
    if pid is None:
        return None
    state, _parent, ticks = _stat(pid)
    children = [(one, _stat(one)) for one in _pids()]
    workers = [_worker(one, about) for one, about in children if about[1] == pid and _title(one).startswith(_WORKER)]
    return {
        "pid": pid,
        "ticks": ticks,
        "started": _started(ticks),
        "state": state,
        "uid": _uid(pid),
        "named": bool(candidates) and candidates[0] == pid,
        "workers": workers,
    }


def _uid(pid: int) -> int:
    """Return the effective user id of a process, -1 when it is gone."""
    match = re.search(r"^Uid:\s+\d+\s+(\d+)", _text(f"/proc/{pid}/status"), re.M)
    return int(match.group(1)) if match else -1


def _is_master(pid: int) -> bool:
    return _title(pid).startswith(_MASTER) and _stat(pid)[0] not in ("", "Z", "X")


def _serves(title: str, conf: str, default_conf: str) -> bool:
    match = re.search(r" -c ?(\S+)", title)
    return (match.group(1) if match else default_conf) == conf


def _worker(pid: int, about: tuple[str, int, int]) -> dict[str, Any]:
    return {"pid": pid, "state": about[0], "started": _started(about[2]), "leaving": _LEAVING in _title(pid)}


# --- ports


def _ports(wanted: Sequence[tuple[str, int]], master: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Return for each address and port of the configuration who listens there.

    An entry: ``address port here`` (whether this host has the address) ``held`` ("" nobody, ours, other), ``holder``:
    None or ``uid user pid program`` (pid 0 and program ""
    where this user may not see it).
    """
    if not wanted:
        return []
    sockets = [one for one in _listening() if one["port"] in {port for _address, port in wanted}]
    ours = _inodes([master["pid"], *(worker["pid"] for worker in master["workers"])]) if master else None
    found = []
    for address, port in wanted:
        here = [one for one in sockets if one["port"] == port and _overlap(address, one)]
        mine = [one for one in here if master and _is_ours(one, master, ours)]
        entry: dict[str, Any] = {"address": address, "port": port, "here": _is_local(address), "holder": None}
        entry["held"] = "ours" if mine else "other" if here else ""
        if here and not mine:
            entry["holder"] = _holder(here[0])
        found.append(entry)
    return found


def _is_local(address: str) -> bool:
    """Whether this host has an address; asked with a datagram socket, which nobody sees."""
    if not re.fullmatch(r"[0-9a-fA-F:.]+", address):
        return True
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError as error:
            return error.errno != errno.EADDRNOTAVAIL
    return True


def _is_ours(one: Mapping[str, Any], master: Mapping[str, Any], ours: set[int] | None) -> bool:
    """Whether a socket is this nginx's; where its files may not be seen, the user that opened it must do."""
    return one["inode"] in ours if ours else one["uid"] == master["uid"]


def _overlap(address: str, listening: Mapping[str, Any]) -> bool:
    return not address or not listening["address"] or address == listening["address"] or (address == "::" and listening["six"])


def _listening() -> list[dict[str, Any]]:
    """Return the listening TCP sockets of this network: ``address`` ("" for all), ``port uid inode six``."""
    found = []
    for name in ("tcp", "tcp6"):
        for line in _text(f"/proc/net/{name}", 4 * 1024 * 1024).splitlines()[1:]:
            fields = line.split()
            if len(fields) < 10 or fields[3] != "0A":
                continue
            place, _colon, port = fields[1].rpartition(":")
            address = _ip(place)
            found.append({"address": address, "port": int(port, 16), "uid": int(fields[7]), "inode": int(fields[9]), "six": name == "tcp6"})
    return found


def _ip(text: str) -> str:
    """Return the address of /proc/net/tcp (words in the machine's byte order), "" for every address."""
    words = struct.pack(f"={len(text) // 8}I", *(int(text[at : at + 8], 16) for at in range(0, len(text), 8)))
    if not any(words):
        return ""
    return socket.inet_ntop(socket.AF_INET6 if len(words) == 16 else socket.AF_INET, words)


def _inodes(pids: Iterable[int]) -> set[int] | None:
    """Return the sockets that processes hold, None where this user may not see them."""
    found: set[int] = set()
    seen = False
    for pid in pids:
        try:
            names = os.listdir(f"/proc/{pid}/fd")
        except OSError:
            continue
        seen = True
        for name in names:
            match = re.match(r"socket:\[(\d+)\]", _link(f"/proc/{pid}/fd/{name}"))
            if match:
                found.add(int(match.group(1)))
    return found if seen else None


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _holder(listening: Mapping[str, Any]) -> dict[str, Any]:
    end = time.monotonic() + HOLDERS_WITHIN
    holder = {"uid": listening["uid"], "user": user_name(listening["uid"]), "pid": 0, "program": ""}
    for pid in _pids():
        if time.monotonic() > end:
            break
        if listening["inode"] in (_inodes([pid]) or ()):
            return {**holder, "pid": pid, "program": _named(pid)}
    return holder


def _named(pid: int) -> str:
    """Return the program of a process and the script that it runs; other arguments may be secrets."""
    words = _text(f"/proc/{pid}/cmdline").split("\0")
    name = os.path.basename(words[0].split(" ")[0]) or _text(f"/proc/{pid}/comm").strip()
    script = next((word for word in words[1:3] if word.startswith("/") and os.path.isfile(word)), "")
    return mask(f"{name} {script}".strip(), limit=160)


# --- error.log


def _log(path: str) -> dict[str, Any]:
    """Return what the end of the error log says: ``path present readable inode size events``, also of the file before it.

    An event: ``kind`` (502, 504, emerg, worker_died, told_to_end, started, reloaded), ``time`` (epoch, None when unknown), ``inode
    at`` (file and offset), ``pid``; ``text`` (masked) of an emerg or a dead worker.
    """
    log: dict[str, Any] = {"path": path, "present": False, "readable": True, "inode": 0, "size": 0, "events": []}
    if path in ("stderr", "/dev/stderr", "/dev/null") or path.startswith(("syslog:", "memory:")) or path.endswith("/stderr"):
        return {**log, "readable": False, "problem": "it is not kept in a file"}
    for name in (f"{path}.1", path):
        try:
            with open(name, "rb") as file:
                about = os.fstat(file.fileno())
                start = max(0, about.st_size - LOG_TAIL)
                file.seek(start)
                data = file.read(LOG_TAIL)
        except (OSError, ValueError) as error:
            if name == path and not isinstance(error, FileNotFoundError):
                log.update(readable=False, problem=getattr(error, "strerror", None) or str(error))
            continue
        if name == path:
            log.update(present=True, inode=about.st_ino, size=about.st_size)
        log["events"] += log_events(data, start, about.st_ino, about.st_mtime)
    log["events"] = log["events"][-MAX_EVENTS:]
    return log


def log_events(data: bytes, start: int, inode: int, modified: float) -> list[dict[str, Any]]:
    """Return the events of a piece of an error log that begins at an offset; modified: when it was last written."""
    events: list[dict[str, Any]] = []
    at, last = start, None
    for raw in data.split(b"\n"):
        match = _LINE.match(raw.decode("utf-8", "replace"))
        if match:
            moment = timegm((*(int(match.group(number)) for number in range(1, 7)), 0, 0, 0))
            last = moment
            kind = _kind(match.group(7), match.group(9))
            if kind:
                event = {"kind": kind, "time": moment, "inode": inode, "at": at, "pid": int(match.group(8))}
                if kind in ("emerg", "worker_died"):
                    event["text"] = mask(match.group(9), limit=300)
                events.append(event)
        at += len(raw) + 1
    zone = _zone(last, modified)
    for event in events[-MAX_EVENTS:]:
        event["time"] = None if zone is None else event["time"] - zone
    return events[-MAX_EVENTS:]


def _kind(level: str, text: str) -> str:
    if level == "emerg":
        return "emerg"
    return next((kind for kind, pattern in _EVENTS if pattern.search(text)), "")


def _zone(last: int | None, modified: float) -> int | None:
    """Return how far the log's clock is ahead of UTC: its last line was written when the file was. Quarters of an hour."""
    if last is None:
        return None
    zone = round((last - modified) / 900) * 900
    if abs(zone) > 15 * 3600 or abs(last - modified - zone) > 120:
        return -time.timezone
    return zone


# --- source nginx.test


def config_owner(conf: str | None = None, prefix: str | None = None, **_others: Any) -> int:
    """Return the user id to become for a test: who may write the configuration may name programs to load in it."""
    if os.geteuid() != 0 or not conf:
        return os.geteuid()
    try:
        return os.stat(os.path.join(prefix or "/", conf)).st_uid
    except OSError:
        return os.geteuid()


def read_test(executable: str | None = None, conf: str | None = None, prefix: str | None = None) -> dict[str, Any]:
    """Let nginx test a copy of the configuration whose pid file, logs and folders lead nowhere.

    Returns ``good`` (nginx would take it), ``denied`` (this user may not judge), ``parsed`` (syntax is ok), ``message``, ``file``, ``line`` (0 when it named
    none), ``warnings``, ``conf``. Its ports are not opened either, not even for a moment as ``nginx -t`` does: see ``ports`` of the state.
    Raises CannotRead when nginx gives no answer.
    """
    known = layout(executable, conf, prefix)
    tree = _nginx_conf.read_tree(known["conf"])
    folder = tempfile.mkdtemp(prefix="ops-nginx-")
    try:
        names = _nginx_conf.write_copy(tree, folder, dict.fromkeys(known["without"]))
        said = _test(known, folder)
    except OSError as error:
        raise CannotRead(f"{known['program']} cannot test {known['conf']}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if said.timed_out:
        raise CannotRead(f"{known['program']} -t did not end within {TEST_WITHIN:g} s; does it look up a name that does not answer?")
    return {"conf": known["conf"], **verdict(said.code, said.stderr, {**names, f"{folder}/0.conf": known["conf"]}, folder)}


def _test(known: Mapping[str, Any], folder: str) -> Program:
    copy = f"{folder}/0.conf"
    if not os.path.exists(copy):
        copy = known["conf"]  # it cannot be read: nginx says why, and opens nothing
    argv = [known["program"], "-t", "-p", f"{known['prefix'].rstrip('/')}/", "-c", copy]
    if _numbers(known["version"]) >= (1, 19, 5):
        argv += ["-e", "stderr"]
    return run(argv, deadline=TEST_WITHIN, max_output=256 * 1024)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d{1,6}", version)[:3])


def verdict(code: int | None, stderr: str, names: Mapping[str, str], folder: str) -> dict[str, Any]:
    """Judge the answer of ``nginx -t``.

    What another user may not open (the pid file of root, a key, a port below 1024) is no fault of the configuration.
    """
    worst: tuple[str, str, int] | None = None
    warnings = []
    for line in stderr.splitlines():
        match = _SAID.search(line)
        if match is None:
            continue
        said = (
            _real(match.group(2), names, folder),
            names.get(match.group(3) or "", match.group(3) or ""),
            int((match.group(4) or "0")[:9]),
        )
        if match.group(1) == "emerg" and worst is None:
            worst = said
        elif match.group(1) == "warn" and len(warnings) < 5 and '"user" directive' not in said[0]:
            warnings.append(mask(said[0], limit=200))
    if code == 0:
        return {"good": True, "denied": False, "parsed": True, "message": "", "file": "", "line": 0, "warnings": warnings}
    message, file, number = worst or (mask(stderr.strip()[-300:]) or f"nginx -t ended with {code}", "", 0)
    denied = bool(re.search(r"\((?:1|13): |Permission denied", message)) and os.geteuid() != 0
    parsed = bool(re.search(r"syntax is ok", stderr))
    shown = {"message": mask(message, limit=300), "file": file, "line": number, "warnings": warnings}
    return {"good": False, "denied": denied, "parsed": parsed, **shown}


def _real(text: str, names: Mapping[str, str], folder: str) -> str:
    for copy, path in names.items():
        text = text.replace(copy, path)
    return text.replace(folder, "(copy)")


# --- source nginx.status


def read_status(status_url: str | None = None) -> dict[str, Any]:
    """Return what stub_status tells, {} where none is named: ``active accepted handled requests reading writing waiting``."""
    if not status_url:
        return {}
    answer = get(status_url, within=STATUS_WITHIN, max_body=4096, redirects=0)
    if answer.problem or answer.status != 200:
        raise CannotRead(f"stub_status gives no figures: {answer.detail or f'status {answer.status}'}")
    return parse_status(answer.body.decode("ascii", "replace"))


def parse_status(text: str) -> dict[str, int]:
    """Return the figures of a stub_status page; raises CannotRead for another page."""
    match = re.match(
        r"Active connections: (\d{1,18})\s+server accepts handled requests\s+(\d{1,18}) (\d{1,18}) (\d{1,18})\s+"
        r"Reading: (\d{1,18}) Writing: (\d{1,18}) Waiting: (\d{1,18})",
        text,
    )
    if match is None:
        raise CannotRead("the page of stub_status is none")
    return dict(zip(("active", "accepted", "handled", "requests", "reading", "writing", "waiting"), map(int, match.groups())))
