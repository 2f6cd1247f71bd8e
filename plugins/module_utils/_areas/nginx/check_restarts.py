# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nginx.restarts: did nginx or one of its workers die and start again? Sources: M2-10."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..._core.check import Check
from ..._core.finding import Finding, ok
from ..._core.source import Asked
from ..._shared.units import stamp
from .error_log import Event
from .faults import fault
from .parameters import PARAMETERS
from .processes import Master
from .read_state import STATE, State
from .state import commands, recent, stopped, unread_log


def judge(asked: Asked) -> list[Finding]:
    """Report whether nginx or one of its workers died and was replaced since the last run; without one, in the last day."""
    check = "nginx.restarts"
    state: State = asked.read("nginx.state")
    master = state["master"]
    if master is None:
        return [stopped(check)]
    events = recent(asked, state)
    found = []
    died = [event for event in events if event["kind"] == "worker_died"]
    if died:
        evidence: dict[str, Any] = {**commands(state), "how": "worker", "text": died[-1]["text"], "since": stamp(died[-1]["time"])}
        found.append(fault("nginx.restarted", check, "worker", evidence=evidence, value=len(died), unit="workers"))
    how = _restarted(asked, state, master, events)
    since = stamp(master["started"])
    if how in ("killed", "unknown"):
        evidence = {**commands(state), "how": how, "since": since, "level": state["log"]["level"], "unread": unread_log(state)}
        found.append(fault("nginx.restarted", check, "master", evidence={key: value for key, value in evidence.items() if value != ""}))
    evidence = {"since": since, "restarted": bool(how)}
    if unread_log(state):
        evidence["not_asked"] = [unread_log(state)]
    return found or [ok(check, evidence=evidence)]


def _restarted(asked: Asked, state: State, master: Master, events: Iterable[Event]) -> str:
    """Return how a former master ended: "" when there was none, told (to end), killed, or unknown when the log does not show it.

    nginx logs an orderly end at the level notice. Masters that ended before the machine booted do not count.
    """
    events = [event for event in events if (event["time"] or asked.now) >= state["booted"]]
    former = {event["pid"] for event in events if event["kind"] == "started"}
    memory = asked.remembered("nginx.state")
    if isinstance(memory, Mapping) and isinstance(memory.get("master"), Mapping) and memory.get("at", 0) >= state["booted"]:
        before = memory["master"]
        if (before.get("pid"), before.get("ticks")) != (master["pid"], master["ticks"]):
            former.add(before.get("pid"))
    former.discard(master["pid"])
    if not former:
        return ""
    if former <= {event["pid"] for event in events if event["kind"] == "told_to_end"}:
        return "told"
    tells = not unread_log(state) and state["log"]["level"] in ("debug", "info", "notice")
    return "killed" if tells else "unknown"


CHECK = Check("nginx.restarts", "Did nginx or one of its workers die and start again?", judge, (STATE,), PARAMETERS, runs_on="web")
