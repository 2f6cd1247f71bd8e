# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FIXME: say what this file holds."""

from __future__ import annotations

import os
import re
import time
from calendar import timegm
from typing import Any

from ..._core.masking import mask

LOG_TAIL = 1024 * 1024


MAX_EVENTS = 5000


_LINE = re.compile(
    r"^(2[0-9]{3})/(0[1-9]|1[0-2])/([0-3][0-9]) ([0-9]{2}):([0-9]{2}):([0-9]{2}) \[(\w+)\] ([0-9]{1,10})#[0-9]+: (?:\*[0-9]+ )?(.*)$"
)


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


def read_log(path: str) -> dict[str, Any]:
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
