# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read logs: which files, from where on, over every kind of rotation, fast and in bounded memory.

The host's own grep makes the first pass; Python looks at the lines that it finds and around them. Where there is no
usable grep, Python makes that pass too, at some 20 MB a second. Paths come from PM2's list, never from a guess.
A cursor is inode, offset and a fingerprint of the beginning of a file. Times are epoch seconds, sizes are bytes.
"""

from __future__ import annotations

import contextlib
import glob
import gzip
import hashlib
import os
import resource
import select
import shutil
import stat
import subprocess
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, BinaryIO

from ..._core.children import user_name
from ..._core.errors import WrongQuestion
from .. import pm2_list, pm2_rpc, text_files
from .records import RECORD_SPAN, Clock, Collector, Group, clock_of, merged
from .signatures import LITERALS, extended_regex
from .verdict import is_over

MEGABYTE = 1024 * 1024
HEAD = 1024  # bytes of the beginning of a file that tell it from another one
TAIL = 8192
PIECE = MEGABYTE
GREP_MEMORY = 256 * MEGABYTE
MAX_FILES = 60
MAX_ROTATED = 4
MAX_CURSORS = 500
MAX_GROUPS = 200
FORGET_AFTER = 30 * 86400
IDLE_AFTER = 8 * 86400  # a file that nothing was written to for so long is not opened
STILL_WRITING = 5.0  # seconds after which a last line without an end counts as whole
FIRST_READ_MB, READ_MB, WITHIN = 50, 1024, 6.0
PACKED = (".gz",)
_NEEDLES = tuple(literal.encode() for literal in LITERALS)
_VERSION = 1


@dataclass(frozen=True)
class Limits:
    """How much may be read: bytes of a file seen for the first time (from its end), bytes of any file, and until when."""

    first: int
    more: int
    until: float


@dataclass
class Progress:
    """What became of one file."""

    path: str
    process: str = ""
    size: int = 0
    read: int = 0
    skipped: int = 0  # bytes that were too many
    truncated: bool = False  # it became smaller, or was exchanged, since the last run
    rotated: list[str] = field(default_factory=list)
    behind: bool = False  # the time was over before its end
    lost: bool = False  # the rest of its former content is gone
    problem: str = ""
    records: int = 0


# --- which files


def application_logs(pm2_home: str, app_dir: str | None, within: float, modules: bool = False) -> dict[str, Any]:
    """Return PM2's applications with their log files: ``state problem processes``.

    Each process (by name, all instances together): ``entries`` (``pid status started_at created_at restarts`` each),
    ``paths``, ``outputs`` (those of them that get no errors), ``unlogged`` (PM2 throws its output away). app_dir: its folders ``<name>/logs/*.log`` are added.
    """
    known: dict[str, Any] = {"state": pm2_rpc.UP, "problem": "", "processes": {}}
    try:
        listed = pm2_list.processes(pm2_rpc.call(pm2_home, "getMonitorData", {}, within=within))
    except pm2_rpc.DaemonAway as away:
        return {**known, "state": away.details["state"], "problem": away.message}
    for entry in listed:
        if entry["module"] and not modules:
            continue
        about = known["processes"].setdefault(entry["name"], {"entries": [], "paths": [], "outputs": [], "unlogged": False})
        about["entries"].append({name: entry[name] for name in ("pid", "status", "started_at", "created_at", "restarts")})
        for path in (entry["err_log"], entry["out_log"]):
            if path == os.devnull or not path:
                about["unlogged"] = True
            elif path not in about["paths"]:
                about["paths"].append(path)
        if entry["out_log"] not in ("", entry["err_log"]):
            about["outputs"].append(entry["out_log"])
    for name, about in known["processes"].items():
        if app_dir and "/" not in name:
            folder = os.path.join(glob.escape(app_dir), glob.escape(name), "logs")
            about["paths"] += [path for path in _newest(glob.glob(os.path.join(folder, "*.log"))) if path not in about["paths"]]
    return known


def _newest(paths: Sequence[str]) -> list[str]:
    dated = []
    for path in paths:
        with contextlib.suppress(OSError):
            dated.append((os.stat(path).st_mtime, path))
    return [path for _modified, path in sorted(dated, reverse=True)[:MAX_FILES]]


def expand(paths: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return the files that paths and patterns name, newest first, and what is left out, with the reason.

    Raises WrongQuestion for a path that is not absolute.
    """
    found: list[str] = []
    left: dict[str, str] = {}
    for path in paths:
        if not os.path.isabs(path):
            raise WrongQuestion("paths", path, "is not an absolute path", "give the whole path of a log, or a pattern")
        names = glob.glob(path) if glob.has_magic(path) else [path]
        logs = [name for name in names if not name.endswith(PACKED)]
        if not logs:
            left[path] = "is packed, and read with the log that it was rotated from" if names else "no file matches this pattern"
        if len(logs) > MAX_FILES:
            left[path] = f"{len(logs)} files match, the newest {MAX_FILES} are read"
        found += [name for name in _newest(logs) or logs if name not in found]
    left.update(dict.fromkeys(found[MAX_FILES:], f"is beyond the {MAX_FILES} files that are read"))
    return found[:MAX_FILES], left


# --- source log.applications


def read_applications(
    pm2_home: str,
    user: str | None = None,
    app_dir: str | None = None,
    first_read_mb: int | None = None,
    quiet: int | None = None,
    answer_within: float | None = None,
    memory: Any = None,
    limits: Limits | None = None,
    modules: bool = False,
    now: float | None = None,
) -> dict[str, Any]:
    """Read what is new in the logs of PM2's applications and add it to what is known.

    Returns ``state problem user`` (of PM2, see :func:`pm2_list.read_list`), ``processes``: by name ``entries groups
    (by key, see :class:`_log_text.Group`) new files outputs unlogged``, ``read_at``, and ``memory`` for the next run.
    modules: PM2's own modules too.
    """
    now = time.time() if now is None else now
    remembered = usable(memory)
    listed = application_logs(pm2_home, app_dir, answer_within or 3.0, modules)
    answer = {**listed, "user": user or user_name(os.geteuid()), "read_at": now, "memory": remembered}
    if listed["state"] != pm2_rpc.UP:
        return answer
    limits = limits or Limits((first_read_mb or FIRST_READ_MB) * MEGABYTE, READ_MB * MEGABYTE, time.monotonic() + WITHIN)
    kept: dict[str, Any] = {"version": _VERSION, "files": {}, "clocks": {}, "groups": {}}
    for name, about in listed["processes"].items():
        told = read_process(name, about["paths"], about["entries"], remembered, kept, limits, now, float(quiet or 86400))
        about.update(told)
        del about["paths"]
    answer["memory"] = with_absent(kept, remembered, now)
    return answer


def with_absent(kept: dict[str, Any], remembered: Mapping[str, Any], now: float) -> dict[str, Any]:
    """Add what was known of processes that are not in PM2's list now: they come back, and their logs are read on."""
    here = set(kept["groups"])
    for part in ("clocks", "groups"):
        kept[part].update({name: value for name, value in remembered[part].items() if name not in here})
    for path, cursor in list(remembered["files"].items())[:MAX_CURSORS]:
        at = cursor.get("at") if isinstance(cursor, dict) else None
        if path not in kept["files"] and isinstance(at, (int, float)) and now - at < FORGET_AFTER:
            kept["files"][path] = cursor
    return kept


def usable(memory: Any) -> dict[str, Any]:
    """Return what a former run kept, or an empty memory where it is of no use."""
    parts = ("files", "clocks", "groups")
    if isinstance(memory, dict) and memory.get("version") == _VERSION and all(isinstance(memory.get(part), dict) for part in parts):
        return memory
    return {"version": _VERSION, "files": {}, "clocks": {}, "groups": {}}


def read_process(
    name: str,
    paths: Sequence[str],
    entries: Sequence[Mapping[str, Any]],
    remembered: Mapping[str, Any],
    kept: dict[str, Any],
    limits: Limits,
    now: float,
    quiet: float,
) -> dict[str, Any]:
    """Read the logs of one process; what the next run needs goes into ``kept``. Returns ``groups new files``."""
    clock = _clock(paths, remembered["clocks"].get(name))
    if clock != Clock():
        kept["clocks"][name] = {"order": clock.order, "offset": clock.offset}
    found: list[tuple[str, Group]] = []
    files = []
    for path in paths[:MAX_FILES]:
        progress, cursor, groups = read_file(path, remembered["files"], clock, limits, now)
        progress.process = name
        files.append(asdict(progress))
        if cursor is not None:
            kept["files"][path] = cursor
        found += groups
    new = merged(found)
    counts = {key: group.count for key, group in new.items()}
    old = [(key, group) for key, group in _groups(remembered["groups"].get(name)) if _still(group, entries, now, quiet)]
    whole = merged([*old, *((key, group) for key, group in new.items())])
    newest = sorted(whole.items(), key=lambda item: -(item[1].last or 0))[:MAX_GROUPS]
    as_dicts = {key: group.as_dict() for key, group in newest}
    kept["groups"][name] = as_dicts
    return {"groups": as_dicts, "new": counts, "files": files}


def _groups(remembered: Any) -> list[tuple[str, Group]]:
    """Return groups as a former run kept them; what is damaged is left out."""
    if not isinstance(remembered, dict):
        return []
    found = []
    for key, entry in remembered.items():
        with contextlib.suppress(TypeError):
            group = Group(**entry)
            if isinstance(group.count, int) and all(isinstance(one, dict) for one in (group.details, group.causes, group.domains)):
                found.append((str(key), group))
    return found


def _still(group: Group, entries: Sequence[Mapping[str, Any]], now: float, quiet: float) -> bool:
    return now - (group.last or 0) < FORGET_AFTER and not is_over(group.as_dict(), entries, now, quiet)


def _clock(paths: Sequence[str], remembered: Any) -> Clock:
    """Return the clock of a process: the first of its logs that tells it, else what was known before."""
    for path in reversed(paths):  # the out log is written more often
        text, modified = text_files.tail(path, TAIL)
        clock = clock_of(text, modified) if text else None
        if clock is not None:
            return clock
    if isinstance(remembered, dict) and isinstance(remembered.get("offset"), (int, float, type(None))):
        return Clock(str(remembered.get("order") or ""), remembered.get("offset"))
    return Clock()


# --- one file, from where on


def read_file(
    path: str, cursors: Mapping[str, Any], clock: Clock, limits: Limits, now: float
) -> tuple[Progress, dict[str, Any] | None, list[tuple[str, Group]]]:
    """Read what is new in a log since its cursor, first what was rotated away meanwhile.

    Returns the progress, the new cursor (the old one where the file cannot be read), and the groups.
    """
    progress = Progress(path)
    before = _cursor(path, cursors)
    found: list[tuple[str, Group]] = []
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        progress.problem = getattr(error, "strerror", None) or str(error)
        if before is not None and isinstance(error, FileNotFoundError):
            found += _rest(path, before, clock, limits, progress)
            return progress, None, found
        return progress, before, found
    try:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            progress.problem = "is not a file"
            return progress, before, found
        progress.size = about.st_size
        start, since = _begin(descriptor, about, before, limits, now, progress)
        if progress.truncated and before is not None:
            found += _rest(path, before, clock, limits, progress)
            since = None
        end = _whole_lines(descriptor, start, about, now)
        collector = Collector(path, clock, about.st_mtime, since, lambda offset: _read_on(descriptor, offset))
        reached = _collect(descriptor, start, end, limits.until, collector)
        progress.read += reached - start
        progress.behind = reached < end
        found += list(collector.finish((lambda offset: _to_end(descriptor, offset, end)) if reached >= end else None).items())
        progress.records += collector.records
        return progress, _mark(descriptor, about, reached), found
    except OSError as error:
        progress.problem = error.strerror or str(error)
        return progress, before, found
    finally:
        os.close(descriptor)


def _cursor(path: str, cursors: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the cursor of a file; that of another path where the file itself was renamed to this one."""
    cursor = cursors.get(path)
    if cursor is None:
        with contextlib.suppress(OSError, ValueError):
            inode = os.stat(path).st_ino
            cursor = next((other for other in cursors.values() if isinstance(other, dict) and other.get("inode") == inode), None)
            if cursor is not None and _fingerprint_of(path, cursor) != cursor.get("head"):
                cursor = None
    right = isinstance(cursor, dict) and all(isinstance(cursor.get(key), int) for key in ("inode", "offset", "head_size"))
    return cursor if right else None


def _mark(descriptor: int, about: os.stat_result, offset: int) -> dict[str, Any]:
    size = min(HEAD, offset)
    head = hashlib.sha256(os.pread(descriptor, size, 0)).hexdigest()[:16]
    return {"inode": about.st_ino, "offset": offset, "head": head, "head_size": size, "at": about.st_mtime}


def _begin(
    descriptor: int, about: os.stat_result, before: Mapping[str, Any] | None, limits: Limits, now: float, progress: Progress
) -> tuple[int, float | None]:
    """Return where to begin, and when the file was read before (None: never)."""
    if before is None:
        if now - about.st_mtime > IDLE_AFTER:
            return about.st_size, None
        return _skip(descriptor, 0, about.st_size, limits.first, progress), None
    head = hashlib.sha256(os.pread(descriptor, before["head_size"], 0)).hexdigest()[:16]
    if about.st_ino == before["inode"] and about.st_size >= before["offset"] and head == before.get("head"):
        at = before.get("at")
        since = float(at) if isinstance(at, (int, float)) else None
        return _skip(descriptor, before["offset"], about.st_size, limits.more, progress), since
    progress.truncated = True
    return _skip(descriptor, 0, about.st_size, limits.more, progress), None


def _skip(descriptor: int, start: int, size: int, most: int, progress: Progress) -> int:
    """Return where to begin so that at most ``most`` bytes are read: after the end of a line."""
    if size - start <= most:
        return start
    begin = size - most
    piece = os.pread(descriptor, 65536, begin)
    begin += piece.find(b"\n") + 1
    progress.skipped += begin - start
    return begin


def _whole_lines(descriptor: int, start: int, about: os.stat_result, now: float) -> int:
    """Return the end of the last whole line; a line that nobody has gone on with for a while is whole."""
    end = about.st_size
    if end <= start or now - about.st_mtime > STILL_WRITING:
        return max(start, end)
    begin = max(start, end - PIECE)
    last = os.pread(descriptor, end - begin, begin).rfind(b"\n")
    return begin + last + 1 if last >= 0 else (start if begin == start else end)


def _read_on(descriptor: int, offset: int) -> str:
    """Return the lines behind the one at an offset that belong to its message: up to a stack frame or the next error."""
    lines = os.pread(descriptor, 4096, offset).decode("utf-8", "replace").split("\n")[1:20]
    message = []
    for line in lines:
        if not line.strip() or line.lstrip("\x1b[0123456789;m").startswith(("    at ", "[Nest]", "Error", "Node.js")):
            break
        message.append(line)
    return "\n".join(message)


def _to_end(descriptor: int, offset: int, end: int) -> str:
    """Return what stands between two offsets; a line of dots stands for what is more than one error with its stack may take."""
    text = os.pread(descriptor, min(end - offset, RECORD_SPAN), offset).decode("utf-8", "replace")
    return text if end - offset <= RECORD_SPAN else f"{text}\n..."


# --- what was rotated away


def _rest(path: str, before: Mapping[str, Any], clock: Clock, limits: Limits, progress: Progress) -> list[tuple[str, Group]]:
    """Read the rest of a log's former content where it is now, and the rotated files that are newer than that."""
    if before["offset"] == 0 and before["head_size"] == 0:
        return []
    names = _rotated(path)
    source = next((name for name in names if _is_former(name, before)), None)
    if source is None:
        progress.lost = True
        return []
    found = _read_rotated(source, before["offset"], clock, limits, progress)
    modified = os.stat(source).st_mtime
    family = [name for name in names if name.startswith(path) and name != source and os.stat(name).st_mtime > modified]
    for name in sorted(family, key=lambda one: os.stat(one).st_mtime)[:MAX_ROTATED]:
        found += _read_rotated(name, 0, clock, limits, progress)
    return found


def _rotated(path: str) -> list[str]:
    """Return what a log may have been rotated to, newest first: logrotate's and pm2-logrotate's names."""
    root, extension = os.path.splitext(glob.escape(path))
    patterns = (glob.escape(path) + ".*", glob.escape(path) + "-*", f"{root}__*{extension}*", f"{root}-*{extension}*")
    names = {name for pattern in patterns for name in glob.glob(pattern)}
    return [name for name in _newest(sorted(names)) if name != path]


def _is_former(name: str, before: Mapping[str, Any]) -> bool:
    """Whether a file holds what a log held when its cursor was set."""
    try:
        if name.endswith(PACKED):
            return _fingerprint_of(name, before) == before.get("head")
        about = os.stat(name)
        return about.st_size >= before["offset"] and _fingerprint_of(name, before) == before.get("head")
    except (OSError, EOFError, zlib.error):
        return False


def _fingerprint_of(name: str, before: Mapping[str, Any]) -> str:
    with _opened(name) as file:
        return hashlib.sha256(file.read(before["head_size"])).hexdigest()[:16]


def _opened(name: str) -> BinaryIO:
    if not stat.S_ISREG(os.stat(name).st_mode):
        raise OSError(22, "is not a file")
    return gzip.open(name, "rb") if name.endswith(PACKED) else open(name, "rb")


def _read_rotated(name: str, start: int, clock: Clock, limits: Limits, progress: Progress) -> list[tuple[str, Group]]:
    collector = Collector(name, clock, os.stat(name).st_mtime)
    try:
        with _opened(name) as file:
            if name.endswith(PACKED):
                reached = _scan(_pieces(file, start, limits), start, collector)
            else:
                end = os.fstat(file.fileno()).st_size
                begin = _skip(file.fileno(), start, end, limits.more, progress)
                reached = _collect(file.fileno(), begin, end, limits.until, collector)
                progress.behind = progress.behind or reached < end
    except (OSError, EOFError, zlib.error) as error:
        progress.problem = f"{name}: {getattr(error, 'strerror', None) or error}"
        return []
    progress.rotated.append(name)
    progress.read += max(0, reached - start)
    found = list(collector.finish().items())
    progress.records += collector.records
    return found


def _pieces(file: BinaryIO, start: int, limits: Limits) -> Iterator[bytes]:
    """Yield a packed file from an offset on; what is too much at its end is left out."""
    passed = 0
    while passed < start + limits.more and time.monotonic() < limits.until:
        piece = file.read(PIECE)
        if not piece:
            return
        passed += len(piece)
        if passed > start:
            yield piece[max(0, len(piece) - (passed - start)) :]


# --- the first pass


def _collect(descriptor: int, start: int, end: int, until: float, collector: Collector) -> int:
    """Hand the lines that hold a literal to the collector; returns how far that came."""
    if end <= start:
        return start
    if end - start > PIECE:
        reached, done = _grep(descriptor, start, end, until, collector)
        if done:
            return reached
        start = reached
    return _scan(_file_pieces(descriptor, start, end, until), start, collector)


def _grep(descriptor: int, start: int, end: int, until: float, collector: Collector) -> tuple[int, bool]:
    """Let grep make the pass; returns how far it came, and False when Python has to go on from there."""
    program = shutil.which("grep")
    if not program:
        return start, False
    try:
        file = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        file = os.dup(descriptor)
    try:
        os.lseek(file, start, os.SEEK_SET)
        process = subprocess.Popen(
            [program, "-a", "-b", "-E", "--line-buffered", "-e", extended_regex()],
            stdin=file,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            cwd="/",
        )
    except OSError:
        os.close(file)
        return start, False
    try:
        with contextlib.suppress(OSError, ValueError):
            resource.prlimit(process.pid, resource.RLIMIT_AS, (GREP_MEMORY, GREP_MEMORY))
        reached, whole = _take(process, start, end, until, collector)
        passed = os.lseek(file, 0, os.SEEK_CUR)
    except BaseException:
        process.kill()
        raise
    finally:
        process.stdout.close()
        if process.poll() is None and not _ends_soon(process):
            process.kill()
            process.wait()
        os.close(file)
    if not whole:  # the time is over; what grep read and has not shown yet is read again
        return min(end, max(reached, passed - 4 * MEGABYTE)), True
    return (end, True) if process.returncode in (0, 1) else (reached, reached >= end)


def _ends_soon(process: subprocess.Popen) -> bool:
    try:
        process.wait(timeout=0.2)
    except subprocess.TimeoutExpired:
        return False
    return True


def _take(process: subprocess.Popen, start: int, end: int, until: float, collector: Collector) -> tuple[int, bool]:
    """Read ``offset:line`` from grep; returns the end of the last line, and whether the end was reached."""
    pipe = process.stdout.fileno()
    rest, reached = b"", start
    while True:
        ready, _unused, _unused = select.select([pipe], [], [], max(0.0, until - time.monotonic()))
        if not ready:
            return reached, False
        data = os.read(pipe, 65536)
        if not data:
            return reached, True
        lines = (rest + data).split(b"\n")
        rest = lines.pop()
        if len(rest) > 65536:  # one huge line: its beginning tells all
            rest = rest[:65536]
        for line in lines:
            place, colon, text = line.partition(b":")
            if not colon or not place.isdigit():
                return reached, True
            offset = start + int(place)
            if offset >= end:
                process.kill()
                process.wait()
                process.returncode = 0
                return end, True
            collector.feed(offset, text + b"\n")
            reached = offset + len(text) + 1
        if time.monotonic() >= until:
            return reached, False


def _file_pieces(descriptor: int, start: int, end: int, until: float) -> Iterator[bytes]:
    while start < end and time.monotonic() < until:
        piece = os.pread(descriptor, min(PIECE, end - start), start)
        if not piece:
            return
        start += len(piece)
        yield piece


def _scan(pieces: Iterator[bytes], start: int, collector: Collector) -> int:
    """Make the pass in Python; returns the end of what was looked at."""
    rest = b""
    for piece in pieces:
        data = rest + piece
        whole = data.rfind(b"\n") + 1
        if not whole and len(data) < PIECE:
            rest = data
            continue
        whole = whole or len(data)
        for begin, line in _lines_with_needles(data, whole):
            collector.feed(start + begin, line)
        start += whole
        rest = data[whole:]
    for begin, line in _lines_with_needles(rest, len(rest)):
        collector.feed(start + begin, line)
    return start + len(rest)


def _lines_with_needles(data: bytes, size: int) -> list[tuple[int, bytes]]:
    """Return the lines of a piece that hold a literal, with where they begin."""
    begins = set()
    for needle in _NEEDLES:
        place = data.find(needle, 0, size)
        while place >= 0:
            begins.add(data.rfind(b"\n", 0, place) + 1)
            line_end = data.find(b"\n", place, size)
            place = data.find(needle, line_end, size) if line_end >= 0 else -1
    found = []
    for begin in sorted(begins):
        line_end = data.find(b"\n", begin, size)
        found.append((begin, data[begin : size if line_end < 0 else line_end + 1]))
    return found
