# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Detect restart loops, in pm2.log and in the restart counts of earlier runs."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any, NamedTuple

from ..._core.source import Asked
from ..._shared.pm2_list import Process
from .evidence import read_if_possible
from .history import History
from .list_memory import identity, number
from .read_log import Event

SLOWEST_LOOP = 3600.0  # seconds: a longer time without an end is not part of a loop
STEADY = 2.0  # an interval of a slow loop may be so many times longer or shorter than the median


class Loop(NamedTuple):
    """A restart loop: its number of ends, the time since which they count (epoch seconds), and the last end where pm2.log has it."""

    ends: int
    since: float
    last: Event | None


def find_loop(asked: Asked, entry: Process, history: History) -> Loop | None:
    """Return the restart loop of a process that is not over, None when there is none."""
    return _loop_in_log(asked, history) or _slow_loop_in_log(asked, history) or _loop_in_counter(asked, entry)


def _dated_ends(asked: Asked, history: History, seconds: float) -> list[tuple[float, Event]]:
    """Return the ends of the last seconds, with their times."""
    oldest, newest = asked.now - seconds, asked.now + 60
    return [(end["time"], end) for end in history.ends if end["time"] is not None and oldest <= end["time"] <= newest]


def _loop_in_log(asked: Asked, history: History) -> Loop | None:
    """Return a loop within the window of the check."""
    recent = _dated_ends(asked, history, asked.parameters["window"])
    if len(recent) < asked.parameters["restarts"] or asked.now - recent[-1][0] >= asked.parameters["quiet"]:
        return None
    return Loop(len(recent), recent[0][0], recent[-1][1])


def _slow_loop_in_log(asked: Asked, history: History) -> Loop | None:
    """Return a loop slower than the window: as many ends at steady intervals, the next of which is not overdue.

    An application that ends every half hour has one cause, such as a leak or a timer. Ends at irregular intervals are
    not a loop.
    """
    recent = _dated_ends(asked, history, asked.parameters["look_back"])
    needed = max(asked.parameters["restarts"], 3)
    if len(recent) < needed:
        return None
    times = [time for time, _end in recent[-needed:]]
    intervals = [later - earlier for earlier, later in zip(times, times[1:])]
    usual = median(intervals)
    if not usual / STEADY <= min(intervals) <= max(intervals) <= usual * STEADY:
        return None
    if asked.now - times[-1] >= min(STEADY * usual, SLOWEST_LOOP):
        return None
    return Loop(len(recent), recent[0][0], recent[-1][1])


def _loop_in_counter(asked: Asked, entry: Process) -> Loop | None:
    """Return a loop that the restart counter shows since an earlier run.

    Where pm2.log does not reach back as far as the baseline, the count of the baseline also shows slow loops.
    """
    remembered = asked.remembered("pm2.list")
    if not isinstance(remembered, Mapping):
        return None
    baseline = remembered.get("baseline")
    log = read_if_possible(asked, "pm2.log") or {}
    known = isinstance(baseline, Mapping) and isinstance(log.get("since"), (int, float)) and log["since"] <= number(baseline.get("at"))
    for earlier in (remembered, None if known else baseline):
        found = _loop_since(asked, entry, earlier)
        if found:
            return found
    return None


def _loop_since(asked: Asked, entry: Process, earlier: Any) -> Loop | None:
    """Return a loop since an earlier run.

    PM2 renews ``created_at`` when an operator restarts a process, so under the same one only ends raise the counter.
    A slow loop is over after twice its own interval, at most one hour.
    """
    if not isinstance(earlier, Mapping) or not isinstance(earlier.get("restarts"), Mapping) or not entry["created_at"]:
        return None
    before, at = earlier["restarts"].get(identity(entry)), number(earlier.get("at"))
    if not isinstance(before, int) or not 0 < at < asked.now:
        return None
    count = entry["restarts"] - before
    if count < asked.parameters["restarts"]:
        return None
    interval = (asked.now - at) / count
    over_after = max(asked.parameters["quiet"], min(2 * interval, SLOWEST_LOOP))
    if asked.now - entry["started_at"] >= over_after:
        return None
    return Loop(count, at, None)
