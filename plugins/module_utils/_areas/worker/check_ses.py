# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the worker's log for throttling by SES and for invalid addresses (manual 1, section 7).

SES reports both only to the sender, so only the worker's log and LogsDB have them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..._core.check import Check
from ..._core.finding import Finding, reporter
from ..._core.source import Asked
from ..._shared.logs.applications import APPLICATIONS
from ..._shared.logs.facts import ApplicationLogs, GroupFacts
from ..._shared.logs.findings import MOST, active_groups, log_of, pm2_evidence, report_groups, report_no_errors
from ..ses.faults import FAULTS as SES_FAULTS
from .log_parameters import PARAMETERS
from .ses_codes import SES_CODES

_CHECK = "worker.ses"
_fault = reporter(SES_FAULTS)


def judge(asked: Asked) -> list[Finding]:
    """Return a fault for throttling and one for invalid addresses, each with the domains of the addresses."""
    name = asked.parameters["process"]
    answer: ApplicationLogs = asked.read("log.applications")
    about = log_of(_CHECK, name, answer)
    if isinstance(about, Finding):
        return [about]
    active = active_groups(about, asked)
    found = []
    for code, signature in SES_CODES.items():
        groups = [group for group in active if group["name"] == signature or code in group["causes"]]
        if groups:
            more = {**pm2_evidence(asked, answer), "from": "log", "domains": _domains(groups)}
            finding = report_groups(_fault, code, _CHECK, name, about, groups, more)
            evidence = {key: value for key, value in finding.evidence.items() if key != "causes"}
            found.append(replace(finding, evidence=evidence))
    return found or [report_no_errors(_CHECK, name, about)]


def _domains(groups: Sequence[GroupFacts]) -> list[dict[str, Any]]:
    counted = Counter[str]()
    for group in groups:
        counted.update(group.get("domains") or {})
    return [{"name": name, "count": count} for name, count in counted.most_common(MOST)]


CHECK = Check(_CHECK, "Does SES throttle the worker, or refuse addresses, by its log?", judge, (APPLICATIONS,), PARAMETERS, run_as="app")
