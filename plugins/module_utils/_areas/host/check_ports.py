# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""host.ports: is a port open to others that should not be? Sources: product facts (open ports are reviewed every month)."""

from __future__ import annotations

from typing import Any

from ..._core.check import Check
from ..._core.finding import Finding, ok
from ..._core.source import Asked
from .faults import fault
from .read_listeners import LISTENERS, ListenersFacts, OpenPort, parse_ports, within

PARAMETERS: dict[str, dict[str, Any]] = {
    "expected_ports": {
        "type": "list",
        "elements": "str",
        "default": [],
        "variable": "stack_host_expected_ports",
        "description": "TCP ports that may be open to others, as numbers or ranges such as 8000-8010; without any, none is judged.",
    },
    "among_ports": {
        "type": "list",
        "elements": "str",
        "default": [],
        "variable": "stack_host_ports",
        "description": "Ports or ranges that are checked, by default all.",
    },
}


def judge(asked: Asked) -> list[Finding]:
    """Report the ports that others can reach and that are not expected."""
    check = "host.ports"
    expected = parse_ports("expected_ports", asked.parameters["expected_ports"])
    among = parse_ports("among_ports", asked.parameters["among_ports"])
    listeners: ListenersFacts = asked.read("host.listeners")
    seen = [entry for entry in listeners["open"] if not among or within(entry["port"], among)]
    evidence: dict[str, Any] = {"open": [entry["port"] for entry in seen][:50], "loopback": listeners["loopback"]}
    if not expected:
        return [ok(check, evidence={**evidence, "not_asked": ["open ports: no list of expected ones is given (expected_ports)"]})]
    strange = [entry for entry in seen if not within(entry["port"], expected)]
    return [_open_port(entry) for entry in strange] or [ok(check, evidence=evidence)]


def _open_port(entry: OpenPort) -> Finding:
    shown = {key: entry[key] for key in ("port", "addresses", "user", "process", "pid")}
    evidence = {key: value for key, value in shown.items() if value}
    if not entry["process"]:
        evidence["not_asked"] = ["its process: only root may see it, or it is in another namespace"]
    return fault("host.port_open", "host.ports", f"{entry['port']}/tcp", evidence=evidence)


CHECK = Check("host.ports", "Is a port open to others that should not be?", judge, (LISTENERS,), PARAMETERS)
