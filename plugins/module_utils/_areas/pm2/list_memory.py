# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run keeps of PM2's list for the next run, and what it shows: restart counts and kills by the kernel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

BASELINE_AGE = 6 * 3600.0  # seconds: a loop too slow for one interval between runs shows against an older count


MOST_REMEMBERED = 500  # processes


MOST_RISES = 20


def number(value: Any) -> float:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else 0.0


def watched_oom(listed: Mapping[str, Any], former: Any) -> dict[str, Any]:
    """Return ``count`` (since boot) ``since`` (from when it is watched) ``rises`` ([from, to, number]) of the kernel's count."""
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


def remember_list(listed: Mapping[str, Any], former: Any = None) -> dict[str, Any]:
    """Return what the next run needs of a list.

    ``at`` (epoch seconds) and ``restarts`` by pm_id and created_at; ``baseline`` and ``pending``: the same of earlier
    runs (the baseline is some hours old, the pending one takes its place); ``oom``: see :func:`watched_oom`.
    """
    known = [entry for entry in listed["processes"] if entry["created_at"]][:MOST_REMEMBERED]
    now = {"at": listed["read_at"], "restarts": {identity(entry): entry["restarts"] for entry in known}}
    former = former if isinstance(former, Mapping) else {}
    baseline, pending = (_earlier(former.get(name), now["at"]) for name in ("baseline", "pending"))
    if baseline is None:
        baseline, pending = now, None
    elif pending is None and now["at"] - baseline["at"] >= BASELINE_AGE:
        pending = now
    elif pending is not None and now["at"] - pending["at"] >= BASELINE_AGE:
        baseline, pending = pending, now
    return {**now, "baseline": baseline, "pending": pending, "oom": watched_oom(listed, former)}


def _earlier(kept: Any, now: float) -> dict[str, Any] | None:
    if not isinstance(kept, Mapping) or not isinstance(kept.get("restarts"), Mapping):
        return None
    return dict(kept) if 0 < number(kept.get("at")) <= now else None


def identity(entry: Mapping[str, Any]) -> str:
    return f"{entry['pm_id']}:{entry['created_at']}"
