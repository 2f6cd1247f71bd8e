# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the rhythm of the worker: how often its logs have a line about a job and about the scheduler.

Durations are seconds, times are epoch seconds.
"""

from __future__ import annotations

import glob
import math
import os
import time
import zlib
from collections.abc import Sequence
from datetime import datetime
from typing import TypedDict
from zoneinfo import ZoneInfo

from ..._core.masking import strip_ansi
from ..._core.source import Source
from ..._shared import pm2_list, proc, text_files
from ..._shared.logs.dates import Clock, clock_of

TAILS = (1024 * 1024, 8 * 1024 * 1024)  # bytes of a log that are read; the second when the first hold no line of interest
MAX_UNPACKED = 32 * 1024 * 1024
MAX_LINES = 2000  # of a kind
FEW_GAPS = 3  # fewer show no rhythm
BUNCH = 1.0  # seconds; lines closer together belong to one round
USUAL_SHARE = 0.9  # share of the gaps that are not longer than the usual one
STARTING = 0.8  # seconds before PM2's list is read again while the process may be starting
LOOKS = 3
LINE_HEAD = 200  # characters of a line that may contain its date


class Rhythm(TypedDict):
    """The rhythm of the lines of one kind.

    undated: lines without a date. last: time of the last line. gaps: number of intervals. usual: the usual interval, None
    when the intervals are too few.
    """

    count: int
    undated: int
    last: float | None
    gaps: int
    usual: float | None


class Rhythms(TypedDict):
    """The rhythms of a worker's logs.

    since: time of the oldest line that was read, None when no line has a date. written: time of the last write to a log.
    """

    since: float | None
    written: float | None
    jobs: Rhythm
    scheduler: Rhythm


class WorkerState(TypedDict):
    """PM2's state (as in pm2.list), and the worker's status, "" when PM2 does not list it."""

    state: str
    problem: str
    user: str
    status: str


class WorkerRhythm(WorkerState, Rhythms, total=False):
    """The rhythms of a worker that PM2 lists; a worker that it does not list has only :class:`WorkerState`. frozen: stopped by a signal."""

    pid: int
    started_at: float
    frozen: bool
    logs: list[str]


def read_rhythm(
    pm2_home: str,
    user: str | None = None,
    answer_within: float | None = None,
    process: str = "worker",
    job_text: str = "Processing job",
    scheduler_text: str = "Scheduler",
) -> WorkerState | WorkerRhythm:
    """Return the state of the worker and the rhythms of its logs. Raises the errors of :func:`pm2_list.read_list`."""
    listed = _settled(pm2_home, user, answer_within, process)
    known: WorkerState = {"state": listed["state"], "problem": listed["problem"], "user": listed["user"], "status": ""}
    entries = [entry for entry in listed["processes"] if entry["name"] == process and not entry["module"]]
    if not entries:
        return known
    running = [entry for entry in entries if entry["status"] == "online"] or entries
    logs = _paths(running)
    found: WorkerRhythm = {
        **known,
        "status": running[0]["status"],
        "pid": running[0]["pid"],
        "started_at": max(entry["started_at"] for entry in running),
        "frozen": all(proc.state_of(entry["pid"]) in ("T", "t") for entry in running if entry["pid"]) and bool(running[0]["pid"]),
        "logs": logs,
        **_rhythms(logs, _clock(logs, running[0]["pid"]), job_text, scheduler_text),
    }
    return found


def _settled(pm2_home: str, user: str | None, answer_within: float | None, process: str) -> pm2_list.Listed:
    """Return PM2's list; read it again while the process may be starting, which PM2 shows as stopped."""
    for _look in range(LOOKS):
        listed = pm2_list.read_list(pm2_home, user, answer_within)
        named = [entry for entry in listed["processes"] if entry["name"] == process]
        if not named or any(entry["status"] in ("online", "errored") or not entry["autorestart"] for entry in named):
            break
        time.sleep(STARTING)
    return listed


def _paths(entries: Sequence[pm2_list.Process]) -> list[str]:
    found = [path for entry in entries for path in (entry["out_log"], entry["err_log"])]
    return [path for path in dict.fromkeys(found) if path and path != os.devnull]


def _clock(paths: Sequence[str], pid: int) -> Clock:
    """Return the clock of the logs: by the time of a file, else by the zone of the process, else by this host's zone."""
    for path in paths:
        text, modified = text_files.tail(path, 16 * 1024)
        clock = clock_of(text, modified) if text else None
        if clock is not None:
            return clock
    zone = next((value[3:] for value in _environment(pid) if value.startswith("TZ=")), "")
    try:
        offset = datetime.now(ZoneInfo(zone)).utcoffset()
    except (KeyError, ValueError, OSError):
        return Clock()
    return Clock("", -offset.total_seconds() if offset is not None else None)


def _environment(pid: int) -> list[str]:
    try:
        with open(f"/proc/{int(pid)}/environ", encoding="utf-8", errors="replace") as file:
            return file.read(65536).split("\0")
    except OSError:
        return []


def _rhythms(logs: Sequence[str], clock: Clock, job_text: str, scheduler_text: str) -> Rhythms:
    since: list[float] = []
    written = 0.0
    jobs: list[tuple[float | None, str]] = []
    scheduler: list[tuple[float | None, str]] = []
    for path in logs:
        lines, modified = _lines(path, (job_text, scheduler_text))
        written = max(written, modified)
        oldest = next((moment for moment in (clock.moment(line[:LINE_HEAD]) for line in lines[:50]) if moment is not None), None)
        since += [oldest] if oldest is not None else []
        jobs += _marked(lines, job_text, clock)
        scheduler += _marked(lines, scheduler_text, clock)
    return {"since": min(since, default=None), "written": written or None, "jobs": rhythm(jobs), "scheduler": rhythm(scheduler)}


def _lines(path: str, wanted: Sequence[str]) -> tuple[list[str], float]:
    """Return the last lines of a log and its time of modification; a short log is preceded by the file that it was rotated to."""
    text, modified = "", 0.0
    for size in TAILS:
        text, modified = text_files.tail(path, size)
        if len(text) < size // 2 or all(one in text for one in wanted):
            break
    if len(text) < TAILS[0] // 2:
        text = _rotated(path) + text
    return strip_ansi(text).split("\n"), modified


def _rotated(path: str) -> str:
    """Return the end of the newest file that a log was rotated to (logrotate, pm2-logrotate; also gzip), "" for none."""
    stem, ending = os.path.splitext(path)
    patterns = (
        f"{glob.escape(path)}.*",
        f"{glob.escape(path)}-*",
        f"{glob.escape(stem)}__*{glob.escape(ending)}*",
        f"{glob.escape(stem)}-[0-9]*",
    )
    dated = []
    for name in {name for pattern in patterns for name in glob.glob(pattern)}:
        try:
            dated.append((os.stat(name).st_mtime, name))
        except OSError:
            continue
    newest = max(dated)[1] if dated else ""
    if newest.endswith(".gz"):
        return _unpacked(newest)
    return "" if newest.endswith((".bz2", ".xz", ".zst")) else text_files.tail(newest, TAILS[0])[0]


def _unpacked(path: str) -> str:
    """Return the end of a gzip file, "" when it is damaged or unpacks to more than MAX_UNPACKED."""
    unpacker = zlib.decompressobj(wbits=31)
    total, end = 0, b""
    try:
        with open(path, "rb") as file:
            while piece := file.read(65536):
                part = unpacker.decompress(piece, MAX_UNPACKED)
                total += len(part)
                end = (end + part)[-TAILS[0] :]
                if total > MAX_UNPACKED or unpacker.unconsumed_tail:
                    return ""
    except (OSError, zlib.error):
        return ""
    return end.partition(b"\n")[2].decode("utf-8", "replace") if total > TAILS[0] else end.decode("utf-8", "replace")


def _marked(lines: Sequence[str], text: str, clock: Clock) -> list[tuple[float | None, str]]:
    """Return the time and the writer of each line with a text; indented lines (frames of a stack) do not count."""
    found = [line for line in lines if text in line and line[:1] not in (" ", "\t")][-MAX_LINES:]
    return [(clock.moment(line[:LINE_HEAD]), _writer(line)) for line in found]


def _writer(line: str) -> str:
    """Return the pid that Nest writes into each line, "" for none: it distinguishes one run of the process from the next."""
    head = line[:LINE_HEAD].partition(" - ")[0].rpartition("] ")[2].strip()
    return head if head.isdigit() else ""


def rhythm(marks: Sequence[tuple[float | None, str]]) -> Rhythm:
    """Return the rhythm of some lines, given as (time, writer).

    A gap over a restart does not count. The usual gap is not the median: jobs come in bunches, and a silence must be compared
    with the time between two bunches.
    """
    dated = sorted((moment, writer) for moment, writer in marks if moment is not None)
    gaps = [after[0] - before[0] for before, after in zip(dated, dated[1:]) if before[1] == after[1]]
    return {
        "count": len(marks),
        "undated": len(marks) - len(dated),
        "last": dated[-1][0] if dated else None,
        "gaps": len(gaps),
        "usual": _usual(gaps),
    }


def _usual(gaps: Sequence[float]) -> float | None:
    """Return the gap that nearly all others do not exceed, without the gaps within a bunch and without one former silence."""
    if len(gaps) < FEW_GAPS:
        return None
    between = sorted(gap for gap in gaps if gap >= BUNCH)
    considered = (between if len(between) >= FEW_GAPS else sorted(gaps))[:-1]
    return considered[math.ceil(len(considered) * USUAL_SHARE) - 1]


RHYTHM = Source(
    "worker.rhythm",
    read_rhythm,
    ("pm2_home", "user", "answer_within", "process", "job_text", "scheduler_text"),
    owner=pm2_list.reader,
)
