# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Detect restart loops, from pm2.log and from the restart counts of earlier runs."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any

from ..._core.source import Asked
from .evidence import read_if_possible
from .history import History
from .list_memory import identity, number

SLOWEST_LOOP = 3600.0  # seconds: a longer time without an end is never part of a loop


STEADY = 2.0  # how many times longer or shorter than the middle one an interval of a slow loop may be


def _loop_in_log(asked: Asked, history: History) -> tuple[int, float, Mapping[str, Any]] | None:
    """Return number, time of the first and the last end, when pm2.log shows a loop that is not over."""
    oldest = asked.now - asked.parameters["window"]
    recent = [end for end in history.ends if end["time"] is not None and oldest <= end["time"] <= asked.now + 60]
    if len(recent) < asked.parameters["restarts"] or asked.now - recent[-1]["time"] >= asked.parameters["quiet"]:
        return None
    return len(recent), recent[0]["time"], recent[-1]


def _slow_loop_in_log(asked: Asked, history: History) -> tuple[int, float, Mapping[str, Any]] | None:
    """Return the same for a loop slower than the window: as many ends at a steady rhythm, the next one not overdue.

    An application that ends every half hour does so with a cause, such as a leak or a timer. Ends without a rhythm
    are not taken for a loop.
    """
    oldest = asked.now - asked.parameters["look_back"]
    recent = [end for end in history.ends if end["time"] is not None and oldest <= end["time"] <= asked.now + 60]
    needed = max(asked.parameters["restarts"], 3)
    if len(recent) < needed:
        return None
    times = [end["time"] for end in recent[-needed:]]
    intervals = [later - earlier for earlier, later in zip(times, times[1:])]
    usual = median(intervals)
    if not usual / STEADY <= min(intervals) <= max(intervals) <= usual * STEADY:
        return None
    if asked.now - times[-1] >= min(STEADY * usual, SLOWEST_LOOP):
        return None
    return len(recent), recent[0]["time"], recent[-1]


def _loop_in_counter(asked: Asked, entry: Mapping[str, Any]) -> tuple[int, float, Mapping[str, Any]] | None:
    """Return number, time of an earlier run and no event, when the restart counter grew since then.

    An older count than the last run's is used where pm2.log does not reach back as far: it tells of slow loops.
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


def _loop_since(asked: Asked, entry: Mapping[str, Any], earlier: Any) -> tuple[int, float, Mapping[str, Any]] | None:
    """Return a loop since an earlier run.

    PM2 renews ``created_at`` when an operator restarts, so the counter under the same one grows by ends alone.
    A slow loop counts as over after twice its own interval, an hour at most.
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
    return count, at, {}
