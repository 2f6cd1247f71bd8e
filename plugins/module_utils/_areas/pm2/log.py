# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Understand the texts that PM2 and its applications write: events of pm2.log, and the line that says why.

Pure functions over text. pm2.log has the same wording in PM2 5, 6 and 7; its timestamps are local time of the
daemon without a zone, unless PM2_LOG_DATE_FORMAT says otherwise.
"""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Iterable, Sequence
from typing import Any

from ..._core.masking import mask, strip_ansi

_QUARTER = 900  # zones differ by multiples of a quarter of an hour
_WIDEST_ZONE = 14 * 3600
_SAME_MOMENT = 90  # seconds between the last line of a log and the file's own time
_EARLIEST_YEAR = 1970  # an earlier one is no date of a log, and year 0 none at all

_DATE = re.compile(r"^(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d))?(?:[.,]\d+)?\s?(Z|[+-]\d\d:?\d\d)?")
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

_SIGNATURES = re.compile(
    r"Nest can't resolve dependencies of|Nest cannot create the|Config validation error:|Configuration key \".+\" does not exist"
    r"|EADDRINUSE: address already in use|Cannot find (?:module|package) '|NJS-\d{3}|ORA-\d{5}|JavaScript heap out of memory"
    r"|Maximum sending rate exceeded|Daily message quota exceeded|not authorized to perform"
    r"|InvalidClientTokenId|UnrecognizedClientException|ExpiredToken|SignatureDoesNotMatch|InvalidSignatureException|Signature expired:"
    r"|MessageRejected: |Sending paused for this account|SendingPausedException|MailFromDomainNotVerified"
    r"|Unknown system error -\d+|\b(?:EACCES|EIO|ENOENT|EROFS|ENOSPC|ENOTCONN|EHOSTDOWN|ECONNREFUSED)[: ]"
    r"|Oracle connection failed|SES send error|Template variable mismatch"
)
_ERROR = re.compile(r"\b\w*(?:Error|Exception)\b|\b(?:ERROR|FATAL|panic|Unhandled)\b|\b[Ee]rror: ")
_TRAILER = re.compile(r"^Node\.js v\d+")
_NOISE = re.compile(  # stack frames, carets, brackets, properties of an error object, source lines
    r"^\s*$|^\s+at |^\s*at (?:async )?\S+ \(|^\s*\^+\s*$|^\s*[{}\]]|^\s*\[\s*$|^Node\.js v\d+"
    r"|^\s+\w+: .*,?$|^\s*\"?\w+\"?: .*,$|^\s*(?:throw |\.\.\. )|^(?:file://)?/\S+:\d+$|^node:\S+:\d+$"
)
_LINE_PREFIX = re.compile(
    r"^(?:\d{4}-\d\d-\d\d[T ][\d:.,]+(?:Z|[+-]\d\d:?\d\d)?:?\s+)?(?:\[Nest\]\s+\d+\s+-\s+.*?\b(?:ERROR|WARN|LOG|FATAL|DEBUG|VERBOSE)\s+)?"
)
_DIGITS = re.compile(r"\d+")
_FRAGMENT_LINES = 40
_CONTINUED_LINES = 3


def parse_events(text: str, modified: float) -> list[dict[str, Any]]:
    """Return the events of a piece of pm2.log, oldest first.

    modified: the file's modification time (epoch seconds), which tells the zone of its last line.
    Each event: ``event``, ``time`` (epoch seconds, None where the log has no dates), and what the line names:
    ``name pm_id code signal script count current limit pid after_ms``. pm_id is a number, or text (``_old_3``)
    for a worker that a reload replaces.
    """
    lines = strip_ansi(text).split("\n")
    offset = _zone_offset(lines, modified)
    found = []
    for line in lines:
        event = _event(line)
        if event is not None:
            event["time"] = _moment(line, offset)
            found.append(event)
    return found


def _event(line: str) -> dict[str, Any] | None:
    if not _PERHAPS.search(line):
        return None
    for kind, pattern in _EVENTS:
        match = pattern.search(line)
        if match:
            return {"event": kind, **{key: _typed(key, value) for key, value in match.groupdict().items()}}
    return None


def _typed(key: str, value: str) -> Any:
    if key in _NUMBERS or key == "pm_id":
        return int(value) if re.fullmatch(r"-?\d{1,18}", value) else value
    return value


def _naive(line: str) -> tuple[int, str] | None:
    """Return the date of a line as if it were UTC, and the zone written behind it ('' for none)."""
    match = _DATE.match(line)
    if not match:
        return None
    year, month, day, hour, minute = (int(part) for part in match.groups()[:5])
    if not (year >= _EARLIEST_YEAR and 1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60):
        return None
    return calendar.timegm((year, month, day, hour, minute, int(match.group(6) or 0))), match.group(7) or ""


def _moment(line: str, offset: float | None) -> float | None:
    date = _naive(line)
    if date is None:
        return None
    seconds, zone = date
    if zone == "Z":
        return float(seconds)
    if zone:
        sign = -1 if zone[0] == "-" else 1
        return float(seconds - sign * (int(zone[1:3]) * 3600 + int(zone[-2:]) * 60))
    return float(seconds) + offset if offset is not None else _local(seconds)


def _local(seconds: int) -> float:
    parts = time.gmtime(seconds)
    return time.mktime((*parts[:6], 0, 0, -1))


def _zone_offset(lines: Sequence[str], modified: float) -> float | None:
    """Return what to add to the log's dates, from its last dated line; None when the file's time does not fit it.

    The daemon's zone may be another one than ours, and the log does not say which.
    """
    for line in reversed(lines[-50:]):
        date = _naive(line)
        if date is None:
            continue
        offset = round((modified - date[0]) / _QUARTER) * _QUARTER
        fits = abs(modified - date[0] - offset) <= _SAME_MOMENT and abs(offset) <= _WIDEST_ZONE
        return float(offset) if fits and not date[1] else None
    return None


def reason(text: str, not_before: float | None = None, *, any_line: bool = True) -> str:
    """Return the line of an error log's tail that says why the application ended, masked; "" when there is none.

    The message is wanted, not a frame of its stack. A line that matches a known signature wins over another
    error of the same fragment. not_before: lines dated earlier (where lines are dated) are not considered.
    any_line: without any error, take the last line; right for an error log, wrong for ordinary output.
    """
    lines = [line for line in strip_ansi(text).split("\n") if _recent(line, not_before)]
    fragment = _last_fragment(lines)
    for wanted in (_SIGNATURES.search, _ERROR.search, *((_anything,) if any_line else ())):
        for number in range(len(fragment) - 1, -1, -1):
            line = fragment[number]
            if not _NOISE.match(line) and wanted(line):
                return mask(_message(line, fragment[number + 1 :]))
    return ""


def _anything(_line: str) -> bool:
    return True


def _recent(line: str, not_before: float | None) -> bool:
    if not_before is None:
        return True
    moment = _moment(line, None)
    return moment is None or moment >= not_before


def _last_fragment(lines: list[str]) -> list[str]:
    """Return the lines around the last end of the application: up to Node's trailer, after the one before it."""
    tail = lines[-_FRAGMENT_LINES:]
    trailers = [number for number, line in enumerate(tail) if _TRAILER.match(line)]
    if not trailers:
        return tail[_start_of_last_end(tail) :]
    first = trailers[-2] + 1 if len(trailers) > 1 else 0
    return tail[first : trailers[-1]]


def _start_of_last_end(lines: Sequence[str]) -> int:
    """Return where the last end begins: after a line that comes again later, which is the end before it.

    Without this, a known signature of an older incident would win over what happens now.
    """
    seen: set[str] = set()
    for number in range(len(lines) - 1, -1, -1):
        if _NOISE.match(lines[number]):
            continue
        shape = _DIGITS.sub("#", _LINE_PREFIX.sub("", lines[number], count=1).strip())
        if shape in seen:
            return number + 1
        seen.add(shape)
    return 0


def _message(line: str, following: Iterable[str]) -> str:
    message = _LINE_PREFIX.sub("", line, count=1).strip()
    if not message.endswith(":"):
        return message
    continued = []
    for more in following:
        if _NOISE.match(more) or len(continued) == _CONTINUED_LINES:
            break
        continued.append(more.strip())
    return " ".join([message, "; ".join(continued)]).strip()
