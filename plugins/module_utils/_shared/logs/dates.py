# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the dates of log lines: any locale, any order of day and month, zones that the line does not name.

Times are epoch seconds. A naive time is a date read as if it were UTC.
"""

from __future__ import annotations

import calendar
import re
import time
from dataclasses import dataclass

from ..._core.masking import strip_ansi

_EARLIEST_YEAR = 1970  # earlier dates are not those of a log
QUARTER = 900  # zones differ by multiples of a quarter of an hour
WIDEST_ZONE = 14 * 3600
SAME_MOMENT = 90  # seconds between the last line of a file and the file's own time
_DATE = re.compile(
    r"(?P<a>\d{1,4})[./-] ?(?P<b>\d{1,2})[./-] ?(?P<c>\d{1,4})\.?(?:,? +|T)"
    r"(?:(?P<before>오전|오후|午前|午後|上午|下午) ?)?(?P<hour>\d{1,2})[:.](?P<minute>\d\d)(?:[:.](?P<second>\d\d))?(?:[.,]\d+)?"
    r"(?:[ \u00a0\u202f]?(?P<after>[AaPp]\.?[ \u00a0]?[Mm]\.?(?![A-Za-z])))?(?: ?(?P<zone>Z|[+-]\d\d:?\d\d)(?!\d))?"
)
_ISO = re.compile(r"^(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d))?(?:[.,]\d+)?\s?(Z|[+-]\d\d:?\d\d)?")
_AFTERNOON = ("오후", "午後", "下午")


def naive_times(text: str) -> tuple[dict[str, int], str] | None:
    """Return the possible naive times of the first date of a text by order (``ymd``, ``mdy``, ``dmy``), and its zone ("" for none).

    The more likely order comes first: month first with AM or PM, otherwise day first. None when the text has no date.
    """
    match = _DATE.search(text)
    if not match:
        return None
    hour, half = int(match["hour"]), match["before"] or match["after"] or ""
    if half:
        hour = hour % 12 + (12 if half in _AFTERNOON or half[0] in "Pp" else 0)
    rest = (hour, int(match["minute"]), int(match["second"] or 0))
    parts = {name: match[name] for name in "abc"}
    if len(parts["a"]) == 4:
        orders = {"ymd": "abc"}
    elif half:
        orders = {"mdy": "cab", "dmy": "cba"}
    else:
        orders = {"dmy": "cba", "mdy": "cab"}
    meant: dict[str, int] = {}
    for order, places in orders.items():
        year, month, day = (int(parts[place]) for place in places)
        seconds = _seconds(year, month, day, *rest)
        if seconds is not None:
            meant[order] = seconds
    return (meant, match["zone"] or "") if meant else None


def _seconds(year: int, month: int, day: int, hour: int, minute: int, second: int) -> int | None:
    if not (2000 <= year < 2200 and 1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 61):
        return None
    return calendar.timegm((year, month, day, hour, minute, second))


@dataclass(frozen=True)
class Clock:
    """How to read the dates of a process: the order of day and month, and the seconds to add to a naive time.

    Logs name no zone, and the process may run in another zone than the check. "" and None: not known; then the more
    likely order and this host's zone apply.
    """

    order: str = ""
    offset: float | None = None

    def moment(self, text: str) -> float | None:
        """Return the time of the first date of a text, None when it has none."""
        found = naive_times(text)
        if found is None:
            return None
        meant, zone = found[0], found[1]
        seconds = meant.get(self.order)
        if seconds is None:
            seconds = next(iter(meant.values()))
        return time_of(seconds, zone, self.offset)


def time_of(naive_time: int, zone: str, offset: float | None) -> float:
    """Return the time of a naive time: by its zone, else by ``offset`` (seconds to add), else in this host's zone."""
    if zone:
        return float(naive_time - _east(zone))
    return float(naive_time) + offset if offset is not None else _local(naive_time)


def _east(zone: str) -> int:
    """Return the seconds by which a zone such as ``Z``, ``+0900`` or ``-03:30`` is ahead of UTC."""
    if zone == "Z":
        return 0
    return (-1 if zone[0] == "-" else 1) * (int(zone[1:3]) * 3600 + int(zone[-2:]) * 60)


def _local(seconds: int) -> float:
    parts = time.gmtime(seconds)
    return time.mktime((*parts[:6], 0, 0, -1))


def clock_of(tail: str, modified: float) -> Clock | None:
    """Return the clock by which the last line of a file has the file's modification time; None when no clock fits."""
    for line in reversed(strip_ansi(tail).split("\n")[-200:]):
        if not line.strip() or line[0] in " \t{}]-":
            continue
        found = naive_times(line[:200])
        if found is None:
            return None  # the last line has no date, so the file's time says nothing about the zone
        meant, zone = found[0], found[1]
        for order, seconds in meant.items():
            offset = float(-_east(zone)) if zone else round((modified - seconds) / QUARTER) * float(QUARTER)
            if abs(modified - seconds - offset) <= SAME_MOMENT and abs(offset) <= WIDEST_ZONE:
                return Clock(order, None if zone else offset)
        return None
    return None


def leading_iso(line: str) -> tuple[int, str] | None:
    """Return the naive time of an ISO 8601 date at the beginning of a line, and its zone ("" for none); None without a date."""
    match = _ISO.match(line)
    if not match:
        return None
    year, month, day, hour, minute = (int(part) for part in match.groups()[:5])
    if not (year >= _EARLIEST_YEAR and 1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60):
        return None
    return calendar.timegm((year, month, day, hour, minute, int(match.group(6) or 0))), match.group(7) or ""


def leading_time(line: str, offset: float | None) -> float | None:
    """Return the time of an ISO 8601 date at the beginning of a line, None without a date; ``offset`` as for :func:`time_of`."""
    found = leading_iso(line)
    return None if found is None else time_of(*found, offset)
