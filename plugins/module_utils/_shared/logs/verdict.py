# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide whether an error in a log still counts: a pure function for the reader (what to forget) and for the checks.

An error line proves that something was wrong once. It counts until the process was restarted on purpose, until it has run
steadily since a later start, or, for errors of its daily work, until a quiet time has passed. The absence of new lines alone
proves nothing: a process that does not start writes nothing either.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence

from .facts import Entry, GroupFacts

STEADY_AFTER = 30.0  # seconds that a process must run before a restart by PM2 proves anything
SLOWEST_LOOP = 3600.0
# The reader's words for a file that does not exist: nothing was written to it yet.
ABSENT = (os.strerror(errno.ENOENT), os.strerror(errno.ENOTDIR))
STARTUP = ("backend_di", "backend_instance", "backend_env", "backend_env_key", "backend_port", "backend_module")


def is_over(group: GroupFacts, entries: Sequence[Entry], now: float, quiet: float) -> bool:
    """Return whether a group of errors no longer counts.

    entries: the instances of its process, none for a log that belongs to no process. quiet: seconds.
    """
    last = group.get("last")
    if last is None:
        return True
    if entries and (_started_on_purpose(group, last, entries) or _runs_well_since(group, last, entries, now)):
        return True
    if entries and group["name"] in STARTUP:
        return False
    return now - last >= quiet


def _started_on_purpose(group: GroupFacts, last: float, entries: Sequence[Entry]) -> bool:
    """Return whether the process was started on purpose after the last error.

    PM2 renews ``created_at`` when an operator or a script restarts a process, not when PM2 itself restarts it. A process without
    restarts was started by an operator, a boot or a resurrect, which keeps an old ``created_at``.
    """
    created = min(
        entry["created_at"] / 1000 if entry.get("restarts") else max(entry["created_at"] / 1000, entry["started_at"]) for entry in entries
    )
    if created <= 0:
        return False
    if group.get("pid"):
        # A dated line has whole seconds; within one second, only its pid distinguishes the run before from the run after.
        return group["pid"] not in {entry["pid"] for entry in entries} and created >= last
    return created > last


def _runs_well_since(group: GroupFacts, last: float, entries: Sequence[Entry], now: float) -> bool:
    if any(entry["status"] != "online" or entry["started_at"] <= 0 for entry in entries):
        return False
    # Start-up errors belong to the newest instance; errors of the daily work may come from any instance.
    youngest = max if group["name"] in STARTUP else min
    started = youngest(entry["started_at"] for entry in entries)
    if now - started < _steady(group, last):
        return False
    if started > last:
        return True
    # The time is only a bound: the error may be older than the start, and a process that runs steadily shows that it is.
    after = group.get("after")
    return not group.get("exact", True) and (after is None or after < started)


def _steady(group: GroupFacts, last: float) -> float:
    """Return the seconds that a process must run, longer than the time between its errors."""
    count, first = group.get("count") or 1, group.get("first")
    between = (last - first) / (count - 1) if first is not None and count > 1 else 0.0
    return max(STEADY_AFTER, min(2 * between, SLOWEST_LOOP))
