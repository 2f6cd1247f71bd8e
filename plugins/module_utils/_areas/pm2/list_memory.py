# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run keeps of PM2's list for the next run: restart counts, and the kernel's count of kills for memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from ..._shared.pm2_list import Listed, Process

BASELINE_AGE = 6 * 3600.0  # seconds: an older count shows a loop that is too slow for the interval between two runs
MOST_REMEMBERED = 500  # processes
MOST_RISES = 20


class Counts(TypedDict):
    """Restart counts of one run, by :func:`identity`; at: epoch seconds."""

    at: float
    restarts: dict[str, int]


class OomCount(TypedDict):
    """The kernel's count of kills for memory.

    count: since boot, None where the kernel does not count. at: epoch seconds of the count. since: start of the period that the
    runs cover. rises: [from, to, number] of each rise between two runs.
    """

    count: int | None
    at: float
    since: float | None
    rises: list[list[float]]


class ListMemory(Counts):
    """The restart counts of this run and of earlier ones.

    baseline: some hours old. pending: replaces the baseline when it is old enough.
    """

    baseline: Any
    pending: Any
    oom: OomCount


def remember_list(listed: Listed, former: Any = None) -> ListMemory:
    """Return what the next run needs of a list, given what the former run kept."""
    known = [entry for entry in listed["processes"] if entry["created_at"]][:MOST_REMEMBERED]
    now: Counts = {"at": listed["read_at"], "restarts": {identity(entry): entry["restarts"] for entry in known}}
    former = former if isinstance(former, Mapping) else {}
    baseline, pending = (_earlier(former.get(name), now["at"]) for name in ("baseline", "pending"))
    if baseline is None:
        baseline, pending = now, None
    elif pending is None and now["at"] - baseline["at"] >= BASELINE_AGE:
        pending = now
    elif pending is not None and now["at"] - pending["at"] >= BASELINE_AGE:
        baseline, pending = pending, now
    return {**now, "baseline": baseline, "pending": pending, "oom": watched_oom(listed, former)}


def _earlier(kept: Any, now: float) -> Any:
    if not isinstance(kept, Mapping) or not isinstance(kept.get("restarts"), Mapping):
        return None
    return dict(kept) if 0 < number(kept.get("at")) <= now else None


def watched_oom(listed: Listed, former: Any) -> OomCount:
    """Return the kernel's count with its rises since the former runs."""
    kept = former.get("oom") if isinstance(former, Mapping) else None
    kept = kept if isinstance(kept, Mapping) else {}
    count, now = listed.get("oom_kills"), listed["read_at"]
    before, at, rises = kept.get("count"), number(kept.get("at")), kept.get("rises")
    if not isinstance(count, int) or not isinstance(before, int) or not isinstance(rises, list) or count < before or not 0 < at <= now:
        return {"count": count, "at": now, "since": now if isinstance(count, int) else None, "rises": []}
    rises = [rise for rise in rises if isinstance(rise, list) and len(rise) == 3]
    if count > before:
        rises = [*rises, [at, now, count - before]][-MOST_RISES:]
    since = max(number(kept.get("since")), rises[0][0] if len(rises) == MOST_RISES else 0.0)
    return {"count": count, "at": now, "since": since, "rises": rises}


def identity(entry: Process) -> str:
    """Return a text that stays the same while a process restarts by itself: PM2 renews created_at when an operator restarts it."""
    return f"{entry['pm_id']}:{entry['created_at']}"


def number(value: Any) -> float:
    """Return a number of the state file, 0 for anything else."""
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else 0.0
