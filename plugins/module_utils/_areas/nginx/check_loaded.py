# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FIXME: say what this file holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._core.check import Check
from ..._core.finding import Finding, ok
from ..._core.source import Asked
from ..._shared.http_client import stamp
from .faults import fault
from .parameters import PARAMETERS
from .read_state import STATE
from .state import commands, stopped, unread_log

JUST_WRITTEN = 1.0  # seconds between a change of a file and the start of the workers that are no difference


def judge(asked: Asked) -> list[Finding]:
    """Say whether what nginx serves is the configuration that lies there: a failed reload keeps the old one."""
    check = "nginx.loaded"
    state = asked.read("nginx.state")
    if state["master"] is None:
        return [stopped(check)]
    since = _workers_since(state["master"])
    failed = _failed_reload(state, since)
    newest = state["newest"]
    changed = newest is not None and newest["modified"] > since + JUST_WRITTEN
    if failed is None and not changed:
        evidence: dict[str, Any] = {"loaded_at": stamp(since), "newest_file": newest["path"] if newest else ""}
        if unread_log(state):
            evidence["not_asked"] = [unread_log(state)]
        return [ok(check, evidence=evidence)]
    evidence = {**commands(state), "loaded_at": stamp(since)}
    if failed is not None:
        evidence.update(reason="reload_failed", text=failed["text"], since=stamp(failed["time"]))
    else:
        evidence.update(reason="changed", since=stamp(newest["modified"]))
    if changed:
        evidence["file"] = newest["path"]
    return [fault("nginx.old_config", check, evidence=evidence)]


def _workers_since(master: Mapping[str, Any]) -> float:
    """Return since when the workers serve that are there now: a good reload replaces all of them."""
    return min((worker["started"] for worker in master["workers"] if not worker["leaving"]), default=master["started"])


def _failed_reload(state: Mapping[str, Any], since: float) -> Mapping[str, Any] | None:
    """Return the master's last [emerg] when no good reload came after it; ``nginx -t`` of others has another pid."""
    own = [event for event in state["log"]["events"] if event["pid"] == state["master"]["pid"]]
    for event in reversed(own):
        if event["kind"] == "started":
            return None
        if event["kind"] == "emerg":
            return event if event["time"] is None or event["time"] >= since else None
    return None


CHECK = Check("nginx.loaded", "Does nginx serve the configuration that lies there?", judge, (STATE,), PARAMETERS, runs_on="web")
