# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nginx.config: would nginx start with its configuration, and are its ports its own? Sources: M1-8, M2-10."""

from __future__ import annotations

from typing import Any

from ..._core.check import Check
from ..._core.finding import Finding, ok, unknown
from ..._core.source import Asked
from .faults import fault
from .parameters import PARAMETERS
from .ports import PortFacts
from .read_state import STATE, State
from .read_test import TEST, ConfigTest
from .state import commands


def judge(asked: Asked) -> list[Finding]:
    """Report whether nginx would start with its configuration: it has no mistake, and its ports are free or its own."""
    check = "nginx.config"
    test: ConfigTest = asked.read("nginx.test")
    state: State = asked.read("nginx.state")
    found = [_conflict(entry, state) for entry in state["ports"] if entry["held"] == "other"]
    evidence: dict[str, Any] = {"conf": state["conf"], "files": state["files"], "warnings": test["warnings"]}
    if not test["good"] and test["denied"]:
        if not test["parsed"]:
            return [*found, unknown(check, f"this user may not run nginx's own test: {test['message']}; run as root")]
        evidence["not_asked"] = [test["message"]]
    elif not test["good"]:
        more = {"file": test["file"] or state["conf"], "line": test["line"] or None, "message": test["message"]}
        evidence = {**commands(state), **more, "running": state["master"] is not None}
        found.append(fault("nginx.config_invalid", check, evidence={key: value for key, value in evidence.items() if value is not None}))
    found += [_foreign(entry, state) for entry in state["ports"] if not entry["here"]]
    return found or [ok(check, evidence=evidence)]


def _foreign(entry: PortFacts, state: State) -> Finding:
    message = f"listen {entry['address']}:{entry['port']}: this host does not have the address"
    return fault(
        "nginx.config_invalid", "nginx.config", evidence={**commands(state), "message": message, "running": state["master"] is not None}
    )


def _conflict(entry: PortFacts, state: State) -> Finding:
    holder = entry["holder"] or {"uid": -1, "user": "", "pid": 0, "program": ""}
    evidence: dict[str, Any] = {**commands(state), "port": entry["port"], "user": holder["user"], "running": state["master"] is not None}
    if holder["pid"]:
        evidence.update(pid=holder["pid"], program=holder["program"])
    else:
        evidence["not_asked"] = ["which process holds the port: only root may see it"]
    return fault("nginx.port_conflict", "nginx.config", f"{entry['address'] or '*'}:{entry['port']}", evidence=evidence)


CHECK = Check(
    "nginx.config",
    "Would nginx start with its configuration, and are its ports its own?",
    judge,
    (
        TEST,
        STATE,
    ),
    PARAMETERS,
    runs_on="web",
    run_as="root",
)
