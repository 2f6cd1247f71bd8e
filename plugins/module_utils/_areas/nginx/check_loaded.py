# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nginx.loaded: does nginx serve the configuration that is on the disk? Sources: M2-10."""

from __future__ import annotations

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
from .state import commands, stopped, unread_log

JUST_WRITTEN = 1.0  # seconds: a file that changed so shortly after the start of the workers was loaded by them


def judge(asked: Asked) -> list[Finding]:
    """Report whether nginx serves the configuration that is on the disk: a failed reload keeps the old one."""
    check = "nginx.loaded"
    state: State = asked.read("nginx.state")
    master = state["master"]
    if master is None:
        return [stopped(check)]
    since = _workers_since(master)
    failed = _failed_reload(state, master, since)
    newest = state["newest"]
    changed = newest if newest is not None and newest["modified"] > since + JUST_WRITTEN else None
    if failed is None and changed is None:
        evidence: dict[str, Any] = {"loaded_at": stamp(since), "newest_file": newest["path"] if newest else ""}
        if unread_log(state):
            evidence["not_asked"] = [unread_log(state)]
        return [ok(check, evidence=evidence)]
    evidence = {**commands(state), "loaded_at": stamp(since)}
    if failed is not None:
        evidence.update(reason="reload_failed", text=failed["text"], since=stamp(failed["time"]))
    elif changed is not None:
        evidence.update(reason="changed", since=stamp(changed["modified"]))
    if changed is not None:
        evidence["file"] = changed["path"]
    return [fault("nginx.old_config", check, evidence=evidence)]


def _workers_since(master: Master) -> float:
    """Return since when the present workers serve: a good reload replaces all of them."""
    return min((worker["started"] for worker in master["workers"] if not worker["leaving"]), default=master["started"])


def _failed_reload(state: State, master: Master, since: float) -> Event | None:
    """Return the last [emerg] of the master when no good reload followed it; ``nginx -t`` has another process id."""
    own = [event for event in state["log"]["events"] if event["pid"] == master["pid"]]
    for event in reversed(own):
        if event["kind"] == "started":
            return None
        if event["kind"] == "emerg":
            return event if event["time"] is None or event["time"] >= since else None
    return None


CHECK = Check("nginx.loaded", "Does nginx serve the configuration that is on the disk?", judge, (STATE,), PARAMETERS, runs_on="web")
