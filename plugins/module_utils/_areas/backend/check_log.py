# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the applications' logs for the reason why one of them does not start (manual 1, section 3).

Manual 1, section 3: dependency injection, .env, missing modules, port conflict. See ``_shared/logs/verdict.py`` for when an error
still counts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..._core.check import Check
from ..._core.errors import RemediationError
from ..._core.finding import Finding
from ..._core.source import Asked
from ..._shared import pm2_list
from ..._shared.logs.applications import APPLICATIONS, LOG_PARAMETERS
from ..._shared.logs.facts import ApplicationLogs, GroupFacts, Holder, ProcessLogs
from ..._shared.logs.findings import active_groups, blocked, log_of, pm2_evidence, report_groups, report_no_errors
from ..._shared.logs.ports import PORTS
from ..._shared.logs.signatures import BY_NAME
from ..._shared.logs.verdict import STARTUP
from .faults import fault

PARAMETERS: dict[str, dict[str, Any]] = {
    **LOG_PARAMETERS,
    "processes": {
        "type": "list",
        "elements": "raw",
        "default": ["backend", "worker"],
        "variable": "stack_pm2_processes",
        "description": "The NestJS applications whose start is checked: names, or dictionaries with name.",
    },
}
_CHECK = "backend.log"


def judge(asked: Asked) -> list[Finding]:
    """Return for each application the start-up errors of its log that still count."""
    names = [process.name for process in pm2_list.wanted(asked.parameters)]
    answer: ApplicationLogs = asked.read("log.applications")
    if answer["state"] != "up":
        return [blocked(_CHECK, answer)]
    return [finding for name in names for finding in _startup_errors(asked, name, answer)]


def _startup_errors(asked: Asked, name: str, answer: ApplicationLogs) -> list[Finding]:
    about = log_of(_CHECK, name, answer)
    if isinstance(about, Finding):
        return [about]
    by_code: dict[str, list[GroupFacts]] = {}
    for group in active_groups(about, asked):
        if group["name"] in STARTUP:
            by_code.setdefault(BY_NAME[group["name"]].code, []).append(group)
    found = []
    for code, groups in sorted(by_code.items()):
        if code == "backend.port_conflict":
            found += _port_conflict(asked, name, about, groups, answer)
        else:
            found.append(report_groups(fault, code, _CHECK, name, about, groups, pm2_evidence(asked, answer)))
    return found or [report_no_errors(_CHECK, name, about)]


def _port_conflict(asked: Asked, name: str, about: ProcessLogs, groups: Sequence[GroupFacts], answer: ApplicationLogs) -> list[Finding]:
    port = port_of(groups)
    more: dict[str, Any] = {"port": port}
    try:
        holders: Mapping[str, Holder] = asked.read("log.ports")
    except RemediationError as error:
        more["not_asked"] = [f"who holds port {port}: {error.message}"]
    else:
        holder = holders.get(port)
        if holder and holder["pid"] and holder["pid"] in {entry["pid"] for entry in about["entries"]}:
            return []  # the application itself holds the port by now
        if holder:
            more["holder"] = holder
            if not holder["pid"]:
                more["not_asked"] = [f"which process of {holder['user']} holds port {port}: only root sees it"]
    return [report_groups(fault, "backend.port_conflict", _CHECK, name, about, groups, {**pm2_evidence(asked, answer), **more})]


def port_of(groups: Sequence[GroupFacts]) -> str:
    """Return the port in the address of the latest conflict, "" when no address has one."""
    address = max(groups, key=lambda group: group["last"] or 0)["details"]
    match = re.search(r"(\d{1,5})$", next(iter(reversed(list(address))), ""))
    return match.group(1) if match else ""


CHECK = Check(_CHECK, "Do the logs say why an application does not start?", judge, (APPLICATIONS, PORTS), PARAMETERS, run_as="app")
