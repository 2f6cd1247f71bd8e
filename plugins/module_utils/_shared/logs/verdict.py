# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an error in a log still counts: a pure function, asked by the reader (what to forget) and by the checks.

An error line says that something was wrong once. It counts until the process was started anew on purpose, or has
run well for a while since a start that is newer, or, for errors of its daily work, until a stated quiet time has passed.
"No new line" alone is no proof: a process that does not start writes nothing either.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from typing import Any

STEADY_AFTER = 30.0  # seconds that a process must have run before its own restart proves anything
SLOWEST_LOOP = 3600.0
# How the reader names the problem of a file that is not there: nobody has written it yet.
ABSENT = (os.strerror(errno.ENOENT), os.strerror(errno.ENOTDIR))
STARTUP = ("backend_di", "backend_instance", "backend_env", "backend_env_key", "backend_port", "backend_module")


def is_over(group: Mapping[str, Any], entries: Sequence[Mapping[str, Any]], now: float, quiet: float) -> bool:
    """Whether a group of errors is history.

    group: see ``_log_text.Group``. entries: the instances of its process (``pid status started_at restarts``, and
    ``created_at`` in milliseconds), none for a file of its own. quiet: seconds.
    """
    last = group.get("last")
    if last is None:
        return True
    if entries and (_started_on_purpose(group, last, entries) or _runs_well_since(group, last, entries, now)):
        return True
    if entries and group["name"] in STARTUP:
        return False
    return now - last >= quiet


def _started_on_purpose(group: Mapping[str, Any], last: float, entries: Sequence[Mapping[str, Any]]) -> bool:
    """PM2 renews ``created_at`` when a person or a script restarts a process, not when it does so itself.

    A process without any restart was started by a person, a boot or a resurrect; the last keeps an old ``created_at``.
    """
    created = min(
        entry["created_at"] / 1000 if entry.get("restarts") else max(entry["created_at"] / 1000, entry["started_at"]) for entry in entries
    )
    if created <= 0:
        return False
    if group.get("pid"):
        # A dated line has whole seconds; its pid tells the run before from the run after within one second.
        return group["pid"] not in {entry["pid"] for entry in entries} and created >= last
    return created > last


def _runs_well_since(group: Mapping[str, Any], last: float, entries: Sequence[Mapping[str, Any]], now: float) -> bool:
    if any(entry["status"] != "online" or entry["started_at"] <= 0 for entry in entries):
        return False
    # Who starts again after an error of the start is the youngest instance; any instance may have told one of its daily work.
    youngest = max if group["name"] in STARTUP else min
    started = youngest(entry["started_at"] for entry in entries)
    if now - started < _steady(group, last):
        return False
    if started > last:
        return True
    # The time is a bound only: the error may be older than the start, and a process that runs well says so.
    after = group.get("after")
    return not group.get("exact", True) and (after is None or after < started)


def _steady(group: Mapping[str, Any], last: float) -> float:
    """Return for how long a process must run: longer than it did between its errors."""
    count, first = group.get("count") or 1, group.get("first")
    between = (last - first) / (count - 1) if first is not None and count > 1 else 0.0
    return max(STEADY_AFTER, min(2 * between, SLOWEST_LOOP))
