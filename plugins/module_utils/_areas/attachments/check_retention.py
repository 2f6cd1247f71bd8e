# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""attachments.retention: whether files are kept longer than the policy says (product facts: about 30 days)."""

from __future__ import annotations

from typing import Any

from ..._core.check import Check
from ..._core.finding import Finding, ok, unknown
from ..._core.source import Asked
from ..._shared.nas_states import STATES, state_of
from .facts import KeptFacts, KeptRoot
from .faults import fault
from .parameters import ROOTS, SHOWN
from .read_kept import KEPT
from .walk import SILENT

PARAMETERS: dict[str, dict[str, Any]] = {
    **ROOTS,
    "keep_days": {
        "type": "int",
        "default": 30,
        "variable": "stack_attachment_keep_days",
        "description": "Days that attachments are kept after sending.",
    },
    "answer_within": {
        "type": "float",
        "default": 8.0,
        "description": "Seconds that reading the folders may take; less than the deadline of the check.",
    },
}


def judge(asked: Asked) -> list[Finding]:
    """Return a finding for each root: whether it holds files longer than they are kept."""
    kept: KeptFacts = asked.read("attachments.kept")
    return [_judge_root("attachments.retention", entry, asked.parameters["keep_days"]) for entry in kept["roots"]]


def _judge_root(check: str, entry: KeptRoot, keep_days: int) -> Finding:
    subject = entry["given"]
    if entry["problem"]:
        state = "silent" if entry["problem"] == SILENT else state_of(entry["problem"])
        reason = f"{entry['path']} {'does not answer' if state == 'silent' else 'cannot be read (' + entry['problem'] + ')'}"
        return unknown(check, reason, blocked_by=STATES.get(state, ""), subject=subject)
    evidence: dict[str, Any] = {"path": entry["path"], "days": keep_days, "looked": entry["looked"], "how": entry["how"]}
    if entry["more"]:
        evidence["not_asked"] = [f"the rest of {entry['path']}: it holds too many entries, or a folder is closed to this user"]
    if entry["how"] == "untold":
        return ok(check, subject, evidence={**evidence, "not_asked": ["the age of the folders: their names hold no whole date"]})
    if entry["how"] == "s3":
        return ok(check, subject, evidence={"path": entry["path"], "not_asked": ["S3: a lifecycle rule of the bucket deletes old objects"]})
    if not entry["old"]:
        return ok(check, subject, evidence=evidence, value=0, threshold=0, unit=entry["how"])
    evidence.update(oldest=entry["oldest"], examples=entry["examples"][:SHOWN], count=entry["old"])
    return fault("attachments.retention", check, subject, evidence=evidence, value=entry["old"], threshold=0, unit=entry["how"])


CHECK = Check(
    "attachments.retention",
    "Are files kept longer than the policy says?",
    judge,
    (KEPT,),
    PARAMETERS,
    run_as="app",
)
