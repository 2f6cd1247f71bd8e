# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nginx.running: does nginx run? Sources: M1-8, M2-10."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..._core.check import Check
from ..._core.errors import RemediationError
from ..._core.finding import Finding, ok
from ..._core.source import Asked
from ..._shared.units import stamp
from .error_log import Event
from .faults import fault
from .parameters import PARAMETERS as WHICH
from .read_state import STATE, State
from .read_status import STATUS
from .state import commands, recent, unread_log

LATE_WORD = 600.0  # seconds: an [emerg] that is not older is why nginx does not run
PARAMETERS: dict[str, dict[str, Any]] = {
    **WHICH,
    "status_url": {
        "type": "str",
        "variable": "stack_nginx_status_url",
        "description": "Address of a stub_status page on this host, for its figures.",
    },
}


def judge(asked: Asked) -> list[Finding]:
    """Report whether nginx runs; its figures since the last run, or of the last day, are evidence."""
    state: State = asked.read("nginx.state")
    if state["master"] is None:
        return [fault("nginx.stopped", "nginx.running", evidence={**commands(state), **_last_words(asked, state)})]
    master = state["master"]
    evidence: dict[str, Any] = {
        "pid": master["pid"],
        "since": stamp(master["started"]),
        "version": state["version"],
        "workers": len([worker for worker in master["workers"] if not worker["leaving"]]),
    }
    unread = unread_log(state)
    if not unread or state["log"]["events"]:
        evidence["gateway_errors"] = _gateway_errors(recent(asked, state))
    if unread:
        evidence["not_asked"] = [unread]
    figures = _figures(asked)
    if figures:
        evidence["connections"] = figures
    return [ok("nginx.running", evidence=evidence)]


def _figures(asked: Asked) -> Mapping[str, int]:
    """Return the figures of stub_status, {} where it does not answer: the check needs none."""
    try:
        return asked.read("nginx.status")
    except (RemediationError, KeyError):
        return {}


def _gateway_errors(events: Iterable[Event]) -> dict[str, int]:
    counts = {"502": 0, "504": 0}
    for event in events:
        if event["kind"] in counts:
            counts[event["kind"]] += 1
    return counts


def _last_words(asked: Asked, state: State) -> dict[str, Any]:
    """Return when and how nginx ended, and its last message, as far as the log shows."""
    events = state["log"]["events"]
    ends = [event for event in events if event["kind"] == "told_to_end"]
    starts = [event for event in events if event["kind"] == "started"]
    told = bool(ends) and (not starts or events.index(ends[-1]) > events.index(starts[-1]))
    late = [event for event in events if event["kind"] == "emerg" and event["time"] and asked.now - event["time"] < LATE_WORD]
    words: dict[str, Any] = {"how": "told" if told else "unknown", "since": stamp(ends[-1]["time"]) if told else None}
    if late:
        words["log_line"] = late[-1]["text"]
    if not state["log"]["readable"]:  # an absent one is normal here: nginx creates it when it starts
        words["not_asked"] = [unread_log(state)]
    return words


CHECK = Check(
    "nginx.running",
    "Does nginx run?",
    judge,
    (
        STATE,
        STATUS,
    ),
    PARAMETERS,
    runs_on="web",
)
