# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What several checks of the area nginx conclude from its state."""

from __future__ import annotations

from collections.abc import Mapping

from ..._core.finding import Finding, unknown
from ..._core.source import Asked
from .error_log import Event
from .read_state import State

LOOK_BACK = 24 * 3600  # seconds of the error log that count when there is no earlier run


def recent(asked: Asked, state: State) -> list[Event]:
    """Return the events of the log since the last run; without one, those of the last day."""
    events = state["log"]["events"]
    memory = asked.remembered("nginx.state")
    mark = memory.get("log") if isinstance(memory, Mapping) else None
    if not isinstance(mark, Mapping) or not isinstance(mark.get("inode"), int) or not isinstance(mark.get("size"), int):
        return [event for event in events if (event["time"] or asked.now) >= asked.now - LOOK_BACK]
    current = state["log"]["inode"]
    if mark["inode"] == current:
        # Shorter than before: it was emptied in place (copytruncate), so all of it is new.
        start = mark["size"] if mark["size"] <= state["log"]["size"] else 0
        return [event for event in events if event["inode"] == current and event["at"] >= start]
    return [event for event in events if event["inode"] == current or (event["inode"] == mark["inode"] and event["at"] >= mark["size"])]


def stopped(check: str) -> Finding:
    """Return the finding of a check that needs a running nginx."""
    return unknown(check, "nginx does not run", blocked_by="nginx.stopped")


def unread_log(state: State) -> str:
    """Return why the error log proves nothing, "" when it does.

    nginx creates its error log when it starts. When it does not exist while nginx runs, it was removed, and nginx goes on writing to the removed
    file.
    """
    log = state["log"]
    if not log["readable"]:
        return f"{log['path']}: {log.get('problem', 'it cannot be read')}"
    return "" if log["present"] else f"{log['path']}: it does not exist while nginx runs"


def commands(state: State) -> dict[str, str]:
    """Return evidence for the next step: the configuration, and the commands that test, start and reload it."""
    options = "" if state["systemd"] else f" -p {state['prefix']} -c {state['conf']}"
    return {
        "conf": state["conf"],
        "test": f"sudo {state['program']} -t{options}",
        "start": "sudo systemctl start nginx" if state["systemd"] else f"sudo {state['program']}{options}",
        "reload": f"sudo {state['program']} -s reload{options}",
    }
