# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rhythm of a worker's own log, and what its silence means.

Manual 2, section 5: "Processing job" again and again is normal, "Scheduler" says that jobs are made. How often is usual
differs from site to site, so the recent gaps between such lines tell, not a fixed time. Durations are seconds, times
epoch seconds; evidence has RFC 3339 in UTC.
"""

from __future__ import annotations

import glob
import math
import os
import time
import zlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any
from zoneinfo import ZoneInfo

from ..._core.finding import Finding, ok, unknown
from ..._core.masking import strip_ansi
from ..._core.source import Asked
from ..._shared import pm2_list, proc, text_files
from ..._shared.commands import command
from ..._shared.logs.records import Clock, clock_of
from .faults import fault

TAILS = (1024 * 1024, 8 * 1024 * 1024)  # bytes of a log that are read; more when the first hold no line of interest
MAX_UNPACKED = 32 * 1024 * 1024
MAX_LINES = 2000  # of a kind
FEW_GAPS = 3  # fewer tell no rhythm
BUNCH = 1.0  # seconds; lines closer together belong to one round
USUAL_SHARE = 0.9  # so much of the gaps is not longer than the usual one
STARTING = 0.8  # seconds between two looks at a process that may just be starting
LOOKS = 3
LINE_HEAD = 200  # characters of a line in which its date stands
CHECK = "worker.rhythm"

PARAMETERS: dict[str, dict[str, Any]] = {
    "pm2_home": {
        "type": "path",
        "required": True,
        "description": "The PM2_HOME of the user that runs the applications, usually /home/<user>/.pm2.",
    },
    "user": {"type": "str", "description": "The user that runs PM2; the owner of the PM2_HOME when not given."},
    "answer_within": {
        "type": "float",
        "default": 3.0,
        "description": "Seconds that the PM2 daemon may take to answer before it counts as hung.",
    },
    "process": {"type": "str", "default": "worker", "description": "The name of the worker in PM2's list."},
    "work": {
        "type": "dict",
        "description": "What waits and runs: the evidence of logsdb.work. Without it a silent worker cannot be told from an idle one.",
    },
    "job_text": {"type": "str", "default": "Processing job", "description": "What the worker writes when it takes a job."},
    "scheduler_text": {"type": "str", "default": "Scheduler", "description": "What the lines of the scheduler have in them."},
    "times": {"type": "float", "default": 5.0, "description": "How many times the usual interval a silence may last."},
    "least_silence": {"type": "int", "default": 300, "description": "Seconds of silence that are never too long."},
    "longest_wait": {
        "type": "int",
        "default": 3600,
        "description": "Seconds of silence that are too long for waiting work however rarely the worker usually takes a job.",
    },
    "scheduler_interval": {
        "type": "float",
        "description": "Seconds between two rounds of the scheduler, where its lines are too few to tell (SCHEDULER_INTERVAL is in milliseconds).",
    },
}
SOURCE_PARAMETERS = ("pm2_home", "user", "answer_within", "process", "job_text", "scheduler_text")
_NOT_ONLINE = {
    "stopped": "pm2.stopped",
    "stopping": "pm2.stopped",
    "errored": "pm2.errored",
    "waiting restart": "pm2.restart_loop",
    "launching": "pm2.restart_loop",
}
_NO_DAEMON = {"stopped": "pm2.daemon_down", "killed": "pm2.daemon_down", "hung": "pm2.daemon_hung"}


# --- source worker.rhythm


def read(
    pm2_home: str,
    user: str | None = None,
    answer_within: float | None = None,
    process: str = "worker",
    job_text: str = "Processing job",
    scheduler_text: str = "Scheduler",
) -> dict[str, Any]:
    """Return the state of the worker and the rhythm of its lines.

    ``state problem user`` as of pm2.list; ``status`` of the process, "" when it is not listed; ``pid started_at frozen``
    (stopped by a signal); ``logs``; ``since`` (time of the oldest line read, None when no line has a date);
    ``written`` (when a log was last written); ``jobs`` and ``scheduler``: see :func:`rhythm`.
    Raises what :func:`_pm2.read_list` raises.
    """
    listed = _settled(pm2_home, user, answer_within, process)
    found: dict[str, Any] = {"state": listed["state"], "problem": listed["problem"], "user": listed["user"], "status": ""}
    entries = [entry for entry in listed["processes"] if entry["name"] == process and not entry["module"]]
    if not entries:
        return found
    running = [entry for entry in entries if entry["status"] == "online"] or entries
    found.update(
        status=running[0]["status"],
        pid=running[0]["pid"],
        started_at=max(entry["started_at"] for entry in running),
        frozen=all(proc.state_of(entry["pid"]) in ("T", "t") for entry in running if entry["pid"]) and bool(running[0]["pid"]),
    )
    logs = _paths(running)
    clock = _clock(logs, running[0]["pid"])
    found.update(logs=logs, **_rhythms(logs, clock, job_text, scheduler_text))
    return found


def _settled(pm2_home: str, user: str | None, answer_within: float | None, process: str) -> dict[str, Any]:
    """Return PM2's list, looked at again while the process may just be starting: PM2 shows it as stopped in between."""
    for _look in range(LOOKS):
        listed = pm2_list.read_list(pm2_home, user, answer_within)
        named = [entry for entry in listed["processes"] if entry["name"] == process]
        if not named or any(entry["status"] in ("online", "errored") or not entry["autorestart"] for entry in named):
            break
        time.sleep(STARTING)
    return listed


def _paths(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    found = [entry[kind] for entry in entries for kind in ("out_log", "err_log")]
    return [path for path in dict.fromkeys(found) if path and path != os.devnull]


def _clock(paths: Sequence[str], pid: int) -> Clock:
    """Return how the dates are to be read: as the time of a file says, else in the zone of the process, else in ours."""
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


def _rhythms(logs: Sequence[str], clock: Clock, job_text: str, scheduler_text: str) -> dict[str, Any]:
    since: list[float] = []
    written = 0.0
    kept: dict[str, list[tuple[float | None, str]]] = {"jobs": [], "scheduler": []}
    for path in logs:
        lines, modified = _lines(path, (job_text, scheduler_text))
        written = max(written, modified)
        oldest = next((moment for moment in (clock.moment(line[:LINE_HEAD]) for line in lines[:50]) if moment is not None), None)
        since += [oldest] if oldest is not None else []
        for name, text in (("jobs", job_text), ("scheduler", scheduler_text)):
            kept[name] += _marked(lines, text, clock)
    return {"since": min(since, default=None), "written": written or None, **{name: rhythm(marks) for name, marks in kept.items()}}


def _lines(path: str, wanted: Sequence[str]) -> tuple[list[str], float]:
    """Return the last lines of a log, together with those of the file that it was rotated to when it is short."""
    text, modified = "", 0.0
    for size in TAILS:
        text, modified = text_files.tail(path, size)
        if len(text) < size // 2 or all(one in text for one in wanted):
            break
    if len(text) < TAILS[0] // 2:
        text = _rotated(path) + text
    return strip_ansi(text).split("\n"), modified


def _rotated(path: str) -> str:
    """Return the end of the newest file that a log was rotated to (logrotate, pm2-logrotate; gzip as well), "" for none."""
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
    """Return the end of a gzip file, "" for one that unpacks to more than MAX_UNPACKED or is damaged."""
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
    """Return time and writer of the lines with a text; a frame of a stack that happens to have it is none."""
    found = [line for line in lines if text in line and line[:1] not in (" ", "\t")][-MAX_LINES:]
    return [(clock.moment(line[:LINE_HEAD]), _writer(line)) for line in found]


def _writer(line: str) -> str:
    """Return what tells one run of the process from the next: Nest writes its pid into each line."""
    head = line[:LINE_HEAD].partition(" - ")[0].rpartition("] ")[2].strip()
    return head if head.isdigit() else ""


def rhythm(marks: Sequence[tuple[float | None, str]]) -> dict[str, Any]:
    """Return ``count`` and ``undated`` lines, ``last`` (time), ``gaps`` (how many) and ``usual`` (seconds, None when they are too few).

    marks: (time, writer) of the lines. A gap over a restart says nothing. The usual one is not the middle: jobs come in
    bunches, and the time between two bunches is what a silence must be compared with.
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
    """Return the gap that nearly all others do not exceed; lines of one bunch tell nothing, nor does one former silence."""
    if len(gaps) < FEW_GAPS:
        return None
    between = sorted(gap for gap in gaps if gap >= BUNCH)
    considered = (between if len(between) >= FEW_GAPS else sorted(gaps))[:-1]
    return considered[math.ceil(len(considered) * USUAL_SHARE) - 1]


# --- worker.rhythm


def check(asked: Asked) -> list[Finding]:
    """Say whether the worker still takes jobs while work waits, and whether its scheduler still makes its rounds."""
    about, name = asked.read(CHECK), asked.parameters["process"]
    if about["state"] != "up":
        return [unknown(CHECK, about["problem"], blocked_by=_NO_DAEMON.get(about["state"], ""), subject=name)]
    if not about["status"]:
        return [unknown(CHECK, f"{name} is not in PM2's list", blocked_by="pm2.missing", subject=name)]
    if about["status"] != "online":
        return [unknown(CHECK, f"{name} does not run ({about['status']})", blocked_by=_NOT_ONLINE.get(about["status"], ""), subject=name)]
    if not about["logs"]:
        return [unknown(CHECK, f"PM2 keeps no log of {name}", subject=name)]
    jobs, scheduler = _jobs(asked, about), _scheduler(asked, about)
    if jobs.code == "worker.stalled":
        return [jobs]
    ill = [finding for finding in (scheduler, jobs) if finding.status != "ok"]
    return ill or [ok(CHECK, name, evidence={"jobs": jobs.evidence, "scheduler": scheduler.evidence})]


def _silence(asked: Asked, about: Mapping[str, Any], kind: str) -> float:
    """Return for how long there was no line of a kind, as far as the log and the start of the process tell."""
    seen = [about[kind]["last"], about["started_at"]]
    if about[kind]["undated"]:
        seen.append(about["written"])  # nothing can be younger than the file
    if about[kind]["last"] is None:
        seen.append(about["since"])
    return max(0.0, asked.now - max((moment for moment in seen if moment is not None), default=asked.now))


def _limit(asked: Asked, usual: float | None) -> float:
    return max(asked.parameters["least_silence"], asked.parameters["times"] * (usual or 0.0))


def _scheduler(asked: Asked, about: Mapping[str, Any]) -> Finding:
    lines, name = about["scheduler"], asked.parameters["process"]
    usual = lines["usual"] if lines["usual"] is not None else asked.parameters.get("scheduler_interval")
    silent, limit = _silence(asked, about, "scheduler"), _limit(asked, usual)
    evidence = {**_measured(lines, usual), "silent_for": round(silent)}
    if silent <= limit:
        return ok(CHECK, name, evidence=evidence)
    if usual is None:
        found = f"{lines['count']} line(s) with {asked.parameters['scheduler_text']!r}"
        why = "they carry no date" if lines["undated"] else "too few to know the usual interval"
        return unknown(CHECK, f"the log of {name} has {found}, {why}; give scheduler_interval, or see LOG_LEVEL", subject=name)
    evidence = {**evidence, **_about(asked, about), "what": asked.parameters["scheduler_text"]}
    return _measure("worker.scheduler_silent", name, silent, limit, evidence)


def _jobs(asked: Asked, about: Mapping[str, Any]) -> Finding:
    lines, name = about["jobs"], asked.parameters["process"]
    limit = min(_limit(asked, lines["usual"]), max(asked.parameters["longest_wait"], asked.parameters["least_silence"]))
    silent = _silence(asked, about, "jobs")
    evidence = {**_measured(lines, lines["usual"]), "silent_for": round(silent)}
    if silent <= limit:
        return ok(CHECK, name, evidence=evidence)
    work = asked.parameters.get("work") or {}
    if not isinstance(work.get("waiting"), int):
        reason = work.get("reason") or "whether work waits is not known (logsdb.work was not asked)"
        since = f"{name} has taken no job for {round(silent)} s"
        return unknown(CHECK, f"{since}, and {reason}", blocked_by=str(work.get("blocked_by") or ""), subject=name)
    evidence["waiting"] = work["waiting"]
    if not work["waiting"] or _age(asked, work.get("waiting_since")) <= limit or _age(asked, work.get("last_activity")) <= limit:
        return ok(CHECK, name, evidence=evidence)
    evidence.update(_about(asked, about), what=asked.parameters["job_text"], waiting_since=work.get("waiting_since"))
    evidence.update(last_activity=work.get("last_activity"), scheduler_silent_for=round(_silence(asked, about, "scheduler")))
    return _measure("worker.stalled", name, silent, limit, evidence)


def _measure(code: str, name: str, silent: float, limit: float, evidence: Mapping[str, Any]) -> Finding:
    kept = {key: value for key, value in evidence.items() if value not in (None, "")}
    return fault(code, CHECK, name, evidence=kept, value=round(silent), threshold=round(limit), unit="s")


def _measured(lines: Mapping[str, Any], usual: float | None) -> dict[str, Any]:
    return {"last": _stamp(lines["last"]), "usual": None if usual is None else round(usual, 1)}


def _about(asked: Asked, about: Mapping[str, Any]) -> dict[str, Any]:
    work = asked.parameters.get("work") or {}
    return {
        "pid": about["pid"],
        "frozen": about["frozen"],
        "log": about["logs"][0],
        "open_runs": work.get("open_runs"),
        "pm2": command(about["user"], asked.parameters["pm2_home"]),
    }


def _age(asked: Asked, stamp: Any) -> float:
    """Return the seconds since a time (RFC 3339) of LogsDB; without one, nothing speaks against the longest."""
    if not isinstance(stamp, str):
        return math.inf
    try:
        return asked.now - datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return math.inf


def _stamp(moment: float | None) -> str | None:
    if moment is None:
        return None
    return datetime.fromtimestamp(moment, tz=timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")
