# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The history of each process, from the events of pm2.log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

RESTART_GAP = 30.0  # seconds: PM2 itself starts an application again sooner than this, an operator may not


@dataclass
class History:
    """What pm2.log says about one process since an operator last touched it.

    ends: unintended ends; kills: those by SIGKILL; memory: restarts over the memory limit; last: the last end or
    intended stop; gave_up: PM2's own giving up. All are events, see ``parse_events``.
    """

    ends: list[dict[str, Any]] = field(default_factory=list)
    kills: list[dict[str, Any]] = field(default_factory=list)
    memory: list[dict[str, Any]] = field(default_factory=list)
    last: dict[str, Any] | None = None
    gave_up: dict[str, Any] | None = None
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


def read_histories(events: Sequence[Mapping[str, Any]], listed: Sequence[Mapping[str, Any]]) -> dict[int, History]:
    """Return the history of each process by its pm_id.

    A stop that someone asked for, a start without an end before it, and a start long after an end are an
    operator's: they reset the history. PM2's own restart over the memory limit looks like one and is not.
    """
    about = {entry["pm_id"]: entry for entry in listed}
    histories: dict[int, History] = {}
    ended_last: int | None = None
    for event in events:
        if event["event"] == "daemon_started":
            histories.clear()
        elif event["event"] == "gave_up":
            if ended_last in histories:
                histories[ended_last].gave_up = dict(event)
        elif isinstance(event.get("pm_id"), int):
            history = histories.setdefault(event["pm_id"], History())
            _take(history, dict(event), about.get(event["pm_id"], {}))
            if event["event"] == "exited":
                ended_last = event["pm_id"]
    return histories


def _take(history: History, event: dict[str, Any], entry: Mapping[str, Any]) -> None:
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


def _take_end(history: History, event: dict[str, Any]) -> None:
    history.ended = True
    if history.stopping:
        return
    history.last = event
    history.ends.append(event)
    if event.get("signal") == "SIGKILL":
        history.kills.append(event)


def _started_by_operator(history: History, event: Mapping[str, Any], entry: Mapping[str, Any]) -> bool:
    if history.gave_up is not None or entry.get("autorestart") is False:
        return True
    if not history.ended:
        return history.started
    last = history.last or {}
    if event["time"] is None or last.get("time") is None:
        return False
    return event["time"] - last["time"] > RESTART_GAP + entry.get("restart_delay", 0.0)
