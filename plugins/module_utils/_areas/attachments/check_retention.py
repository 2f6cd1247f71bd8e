# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FIXME: say what this file holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._core.check import Check
from ..._core.finding import Finding, ok, unknown
from ..._core.source import Asked
from ..._shared.nas_states import STATES, state_of
from .check_present import SHOWN
from .faults import fault
from .parameters import ROOTS
from .read_kept import KEPT
from .walk import SILENT

PARAMETERS: dict[str, dict[str, Any]] = {
    **ROOTS,
    "keep_days": {"type": "int", "default": 30, "description": "Days that attachments are kept after sending."},
    "answer_within": {
        "type": "float",
        "default": 8.0,
        "description": "Seconds that looking may take; less than the deadline of the check.",
    },
}


def judge(asked: Asked) -> list[Finding]:
    """Say for each root whether files lie there longer than they are kept (product facts: about 30 days)."""
    check = "attachments.retention"
    return [_one_root(check, entry, asked.parameters["keep_days"]) for entry in asked.read("attachments.kept")["roots"]]


def _one_root(check: str, entry: Mapping[str, Any], keep_days: int) -> Finding:
    subject = entry["given"]
    if entry["problem"]:
        state = "silent" if entry["problem"] == SILENT else state_of(entry["problem"])
        reason = f"{entry['path']} {'does not answer' if state == 'silent' else 'cannot be read (' + entry['problem'] + ')'}"
        return unknown(check, reason, blocked_by=STATES.get(state, ""), subject=subject)
    evidence = {"path": entry["path"], "days": keep_days, "looked": entry["looked"], "how": entry["how"]}
    if entry["more"]:
        evidence["not_asked"] = [f"what else lies in {entry['path']}: there is too much of it, or a folder is closed"]
    if entry["how"] == "untold":
        return ok(check, subject, evidence={**evidence, "not_asked": ["the age of the folders: their names hold no whole date"]})
    if entry["how"] == "s3":
        return ok(check, subject, evidence={"path": entry["path"], "not_asked": ["S3: a lifecycle rule of the bucket keeps the time"]})
    if not entry["old"]:
        return ok(check, subject, evidence=evidence, value=0, threshold=0, unit=entry["how"])
    told = {"oldest": entry["oldest"], "examples": entry["examples"][:SHOWN], "count": entry["old"]}
    return fault("attachments.retention", check, subject, evidence={**evidence, **told}, value=entry["old"], threshold=0, unit=entry["how"])


CHECK = Check(
    "attachments.retention",
    "Are files kept longer than the policy says?",
    judge,
    (KEPT,),
    PARAMETERS,
    run_as="app",
)
