# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FIXME: say what this file holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..._core.check import Check
from ..._core.errors import RemediationError
from ..._core.finding import Finding, ok
from ..._core.source import Asked
from ..._shared.http_client import stamp
from .faults import fault
from .parameters import PARAMETERS as WHICH
from .read_state import STATE
from .read_status import STATUS
from .state import commands, recent, unread_log

LATE_WORD = 600.0  # seconds before now within which the last [emerg] says why nginx does not run


PARAMETERS: dict[str, dict[str, Any]] = {
    **WHICH,
    "status_url": {
        "type": "str",
        "variable": "stack_nginx_status_url",
        "description": "Address of a stub_status page on this host, for its figures.",
    },
}


def judge(asked: Asked) -> list[Finding]:
    """Say whether nginx runs; its figures of the last day or since the last run are evidence."""
    state = asked.read("nginx.state")
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
    """Return stub_status, nothing where it does not answer: it only adds to an answer that stands without it."""
    try:
        return asked.read("nginx.status")
    except (RemediationError, KeyError):
        return {}


def _gateway_errors(events: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    counts = {"502": 0, "504": 0}
    for event in events:
        if event["kind"] in counts:
            counts[event["kind"]] += 1
    return counts


def _last_words(asked: Asked, state: Mapping[str, Any]) -> dict[str, Any]:
    """Return when and how nginx ended, and what it said last, as far as the log tells."""
    events = state["log"]["events"]
    ends = [event for event in events if event["kind"] == "told_to_end"]
    starts = [event for event in events if event["kind"] == "started"]
    told = bool(ends) and (not starts or events.index(ends[-1]) > events.index(starts[-1]))
    late = [event for event in events if event["kind"] == "emerg" and event["time"] and asked.now - event["time"] < LATE_WORD]
    words: dict[str, Any] = {"how": "told" if told else "unknown", "since": stamp(ends[-1]["time"]) if told else None}
    if late:
        words["log_line"] = late[-1]["text"]
    if not state["log"]["readable"]:  # one that is absent is no riddle here: a new nginx makes it when it starts
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
