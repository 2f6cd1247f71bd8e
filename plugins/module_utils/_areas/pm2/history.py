# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The history of each process since an operator last acted on it, from the events of pm2.log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..._shared.pm2_list import Process
from .read_log import Event

RESTART_GAP = 30.0  # seconds: PM2 itself restarts an application sooner than this; a later start is an operator's


@dataclass
class History:
    """The events of one process.

    ends: unintended ends. kills: those by SIGKILL. memory: restarts over the memory limit.
    last: the last end or intended stop. gave_up: the event with which PM2 gave up.
    """

    ends: list[Event] = field(default_factory=list)
    kills: list[Event] = field(default_factory=list)
    memory: list[Event] = field(default_factory=list)
    last: Event | None = None
    gave_up: Event | None = None
    stopping: bool = False
    over_memory: bool = False
    ended: bool = False
    started: bool = False

    def forget(self) -> None:
        """Start anew: an operator restarted, reloaded or stopped the process."""
        self.ends.clear()
        self.kills.clear()
        self.memory.clear()
        self.gave_up = None

    @property
    def last_time(self) -> float | None:
        """The time of the last end or intended stop (epoch seconds), None when it is not known."""
        return self.last["time"] if self.last else None


def read_histories(events: Sequence[Event], listed: Sequence[Process]) -> dict[int, History]:
    """Return the history of each process by its pm_id.

    An operator's action resets the history: a requested stop, a start without an end before it, or a start long after
    an end. PM2's own restart over the memory limit has the same events and does not reset it.
    """
    about = {entry["pm_id"]: entry for entry in listed}
    histories: dict[int, History] = {}
    ended_last: int | None = None
    for event in events:
        pm_id = event.get("pm_id")
        if event["event"] == "daemon_started":
            histories.clear()
        elif event["event"] == "gave_up":
            if ended_last in histories:
                histories[ended_last].gave_up = event
        elif isinstance(pm_id, int):
            _take(histories.setdefault(pm_id, History()), event, about.get(pm_id))
            if event["event"] == "exited":
                ended_last = pm_id
    return histories


def _take(history: History, event: Event, entry: Process | None) -> None:
    kind = event["event"]
    if kind == "memory_restart":
        history.memory.append(event)
        history.over_memory = True
    elif kind == "stopping":
        if not history.over_memory:
            history.forget()
        history.stopping, history.last = True, event
    elif kind == "exited":
        _take_end(history, event)
    elif kind == "starting":
        if not history.over_memory and _started_by_operator(history, event, entry):
            history.forget()
        history.started, history.ended, history.stopping, history.over_memory = True, False, False, False


def _take_end(history: History, event: Event) -> None:
    history.ended = True
    if history.stopping:
        return
    history.last = event
    history.ends.append(event)
    if event.get("signal") == "SIGKILL":
        history.kills.append(event)


def _started_by_operator(history: History, event: Event, entry: Process | None) -> bool:
    if history.gave_up is not None or (entry is not None and entry["autorestart"] is False):
        return True
    if not history.ended:
        return history.started
    if event["time"] is None or history.last_time is None:
        return False
    delay = entry["restart_delay"] if entry is not None else 0.0
    return event["time"] - history.last_time > RESTART_GAP + delay
