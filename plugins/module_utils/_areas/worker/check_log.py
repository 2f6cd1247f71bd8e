# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the worker's log for the errors of its daily work (manual 1, section 4: the four errors).

See ``_shared/logs/verdict.py`` for when an error still counts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..._core.check import Check
from ..._core.finding import Finding
from ..._core.source import Asked
from ..._shared.logs.applications import APPLICATIONS
from ..._shared.logs.facts import ApplicationLogs, GroupFacts
from ..._shared.logs.findings import active_groups, log_of, pm2_evidence, report_groups, report_no_errors
from ..._shared.logs.signatures import BY_NAME, UNKNOWN
from .faults import fault
from .log_parameters import PARAMETERS
from .ses_codes import SES_CODES

_CHECK = "worker.log"
_ATTACHMENT = re.compile(r"\.(?:pdf|xlsx?|csv)\b", re.I)
# Errors of Oracle and SES without the worker's own words around them.
_WORKER_CODES = {"oracle": "worker.oracle_failed", "ses": "worker.ses_error"}


def judge(asked: Asked) -> list[Finding]:
    """Return one finding for each fault that the worker's log reports."""
    name = asked.parameters["process"]
    answer: ApplicationLogs = asked.read("log.applications")
    about = log_of(_CHECK, name, answer)
    if isinstance(about, Finding):
        return [about]
    by_code: dict[str, list[GroupFacts]] = {}
    for group in active_groups(about, asked):
        code = worker_code(group)
        if code:
            by_code.setdefault(code, []).append(group)
    more = pm2_evidence(asked, answer)
    found = [
        report_groups(fault, code, _CHECK, name, about, groups, {**more, **_caused_by(groups)}) for code, groups in sorted(by_code.items())
    ]
    return found or [report_no_errors(_CHECK, name, about)]


def _caused_by(groups: Sequence[GroupFacts]) -> dict[str, str]:
    """Return the fault of worker.ses as ``caused_by`` when it is the only cause; it may be less severe."""
    causes = {cause for group in groups for cause in (group["causes"] or [BY_NAME[group["name"]].code if group["name"] in BY_NAME else ""])}
    return {"caused_by": causes.pop()} if len(causes) == 1 and causes <= set(SES_CODES) else {}


def worker_code(group: GroupFacts) -> str:
    """Return the worker's fault for a group of errors, "" when another check reports it."""
    if group["name"] == UNKNOWN:
        return "worker.unknown_error"
    signature = BY_NAME.get(group["name"])
    if signature is None or signature.area in ("backend", "logsdb", "nginx", "web"):
        return ""
    if signature.area == "worker":
        return signature.code
    if signature.area == "nas" and _ATTACHMENT.search(group["sample"]):
        return "worker.file_not_found"
    return _WORKER_CODES.get(signature.name.split("_", 1)[0], "worker.unknown_error")


CHECK = Check(_CHECK, "Which errors of its daily work does the worker report?", judge, (APPLICATIONS,), PARAMETERS, run_as="app")
