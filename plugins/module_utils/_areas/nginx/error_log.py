# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the events of nginx's error log.

Its times are local and have no zone, so the last line is compared with the time at which the file was written.
"""

from __future__ import annotations

import os
import re
import time
from calendar import timegm
from typing import TypedDict

from ..._core.masking import mask

LOG_TAIL = 1024 * 1024  # bytes of the end of a log that are read
MAX_EVENTS = 5000
_LINE = re.compile(
    r"^(2[0-9]{3})/(0[1-9]|1[0-2])/([0-3][0-9]) ([0-9]{2}):([0-9]{2}):([0-9]{2}) \[(\w+)\] ([0-9]{1,10})#[0-9]+: (?:\*[0-9]+ )?(.*)$"
)


# The event of a line: the first pattern that matches. 502 and 504 are answers of the gateway.
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


class _Event(TypedDict, total=False):
    text: str  # masked; of an emerg or a dead worker only


class Event(_Event):
    """An event of the error log."""

    kind: str  # 502, 504, emerg, worker_died, told_to_end, started or reloaded
    time: float | None  # epoch seconds, None when the zone is not known
    inode: int  # of the file
    at: int  # offset in the file
    pid: int


class _Log(TypedDict, total=False):
    problem: str  # why it is not readable


class LogFacts(_Log):
    """The end of the error log, with the file that was rotated before it."""

    path: str
    present: bool
    readable: bool
    inode: int
    size: int
    events: list[Event]


def read_log(path: str) -> LogFacts:
    """Return the events at the end of an error log, and of the rotated file before it."""
    log: LogFacts = {"path": path, "present": False, "readable": True, "inode": 0, "size": 0, "events": []}
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
                log["readable"], log["problem"] = False, getattr(error, "strerror", None) or str(error)
            continue
        if name == path:
            log["present"], log["inode"], log["size"] = True, about.st_ino, about.st_size
        log["events"] += log_events(data, start, about.st_ino, about.st_mtime)
    log["events"] = log["events"][-MAX_EVENTS:]
    return log


def log_events(data: bytes, start: int, inode: int, modified: float) -> list[Event]:
    """Return the events of a part of an error log; start: its offset in the file. modified: when the file was last written."""
    events: list[Event] = []
    at = start
    last: int | None = None
    for raw in data.split(b"\n"):
        match = _LINE.match(raw.decode("utf-8", "replace"))
        if match:
            moment = timegm((*(int(match.group(number)) for number in range(1, 7)), 0, 0, 0))
            last = moment
            kind = _kind(match.group(7), match.group(9))
            if kind:
                event: Event = {"kind": kind, "time": moment, "inode": inode, "at": at, "pid": int(match.group(8))}
                if kind in ("emerg", "worker_died"):
                    event["text"] = mask(match.group(9), limit=300)
                events.append(event)
        at += len(raw) + 1
    zone = _zone(last, modified)
    for event in events[-MAX_EVENTS:]:
        event["time"] = None if zone is None or event["time"] is None else event["time"] - zone
    return events[-MAX_EVENTS:]


def _kind(level: str, text: str) -> str:
    if level == "emerg":
        return "emerg"
    return next((kind for kind, pattern in _EVENTS if pattern.search(text)), "")


def _zone(last: int | None, modified: float) -> int | None:
    """Return the seconds that the log's clock is ahead of UTC, in quarters of an hour: the last line was written when the file was."""
    if last is None:
        return None
    zone = round((last - modified) / 900) * 900
    if abs(zone) > 15 * 3600 or abs(last - modified - zone) > 120:
        return -time.timezone
    return zone
