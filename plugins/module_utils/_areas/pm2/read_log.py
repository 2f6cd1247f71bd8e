# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read pm2.log and parse its events.

PM2 5, 6 and 7 write the same events. The timestamps are local time of the daemon without a zone, unless
PM2_LOG_DATE_FORMAT sets another format.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Sequence
from typing import Any, TypedDict

from ..._core.masking import strip_ansi
from ..._core.source import Source
from ..._shared.logs.dates import QUARTER, WIDEST_ZONE, leading_iso, leading_time
from ..._shared.pm2_list import reader
from ..._shared.text_files import tail

DAEMON_LOG_TAIL = 1024 * 1024  # bytes
MAX_EVENTS = 4000
_SAME_MOMENT = 90  # seconds between the last line of a log and the file's own time
_EVENTS = (
    (
        "exited",
        re.compile(r"App \[(?P<name>.*):(?P<pm_id>[^:\]]+)\] exited with code \[(?P<code>[^\]]*)\] via signal \[(?P<signal>[^\]]*)\]"),
    ),
    ("stopping", re.compile(r"Stopping app:(?P<name>.*) id:(?P<pm_id>\S+)")),
    ("starting", re.compile(r"App \[(?P<name>.*):(?P<pm_id>[^:\]]+)\] starting in -")),
    ("online", re.compile(r"App \[(?P<name>.*):(?P<pm_id>[^:\]]+)\] online")),
    ("gave_up", re.compile(r"Script (?P<script>.*) had too many unstable restarts \((?P<count>\d+)\)\. Stopped")),
    (
        "memory_restart",
        re.compile(
            r"Process (?P<pm_id>\S+) restarted because it exceeds --max-memory-restart value \(current_memory=(?P<current>\d+) max_memory_limit=(?P<limit>\d+)"
        ),
    ),
    ("forced_kill", re.compile(r"Process with pid (?P<pid>\d+) still alive after (?P<after_ms>\d+)ms, sending")),
    ("daemon_started", re.compile(r"New PM2 Daemon started")),
    ("daemon_stopped", re.compile(r"pm2 has been killed by signal|PM2 successfully stopped")),
)
_PERHAPS = re.compile(r"App \[|Stopping app|had too many|restarted because|still alive|New PM2|killed by signal|successfully stopped")
_NUMBERS = ("code", "count", "current", "limit", "pid", "after_ms")


class _Always(TypedDict):
    event: str
    time: float | None


class Event(_Always, total=False):
    """One event of pm2.log; time: epoch seconds, None where the line has no date.

    pm_id: a number, or text (``_old_3``) for a worker that a reload replaces. current, limit: bytes.
    """

    name: str
    pm_id: int | str
    code: int | str
    signal: str
    script: str
    count: int
    current: int
    limit: int
    pid: int
    after_ms: int


class DaemonLog(TypedDict):
    """The end of pm2.log; since: time of the oldest event; last_write: of the file (epoch seconds); events: oldest first."""

    present: bool
    since: float | None
    last_write: float | None
    events: list[Event]


def read_daemon_log(pm2_home: str, **_others: Any) -> DaemonLog:
    """Return the events at the end of pm2.log.

    A log that was rotated lately is read together with the file that it was rotated to. An absent log has no events.
    """
    path = os.path.join(pm2_home, "pm2.log")
    text, modified = tail(path, DAEMON_LOG_TAIL)
    events = parse_events(text, modified) if text else []
    if len(text) < DAEMON_LOG_TAIL // 2:
        older, then = tail(_rotated(pm2_home), DAEMON_LOG_TAIL)
        events = (parse_events(older, then) if older else []) + events
    events = events[-MAX_EVENTS:]
    times = [event["time"] for event in events if event["time"] is not None]
    return {"present": bool(modified), "since": min(times) if times else None, "last_write": modified or None, "events": events}


def _rotated(pm2_home: str) -> str:
    """Return the newest readable file that logrotate or pm2-logrotate made of pm2.log, "" for none."""
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


def parse_events(text: str, modified: float) -> list[Event]:
    """Return the events of a part of pm2.log, oldest first.

    modified: the file's modification time (epoch seconds), which gives the zone of the last line.
    """
    lines = strip_ansi(text).split("\n")
    offset = _zone_offset(lines, modified)
    found = []
    for line in lines:
        event = _event(line)
        if event is not None:
            event["time"] = leading_time(line, offset)
            found.append(event)
    return found


def _event(line: str) -> Event | None:
    if not _PERHAPS.search(line):
        return None
    for kind, pattern in _EVENTS:
        match = pattern.search(line)
        if match:
            event: Any = {"event": kind, **{key: _typed(key, value) for key, value in match.groupdict().items()}}
            return event
    return None


def _typed(key: str, value: str) -> int | str:
    if key in _NUMBERS or key == "pm_id":
        return int(value) if re.fullmatch(r"-?\d{1,18}", value) else value
    return value


def _zone_offset(lines: Sequence[str], modified: float) -> float | None:
    """Return the seconds to add to the log's dates, from its last dated line; None when the file's own time does not fit.

    The daemon's zone may differ from the zone of this process, and the log does not name it.
    """
    for line in reversed(lines[-50:]):
        date = leading_iso(line)
        if date is None:
            continue
        offset = round((modified - date[0]) / QUARTER) * QUARTER
        fits = abs(modified - date[0] - offset) <= _SAME_MOMENT and abs(offset) <= WIDEST_ZONE
        return float(offset) if fits and not date[1] else None
    return None


LOG = Source("pm2.log", read_daemon_log, ("pm2_home", "user"), owner=reader)
