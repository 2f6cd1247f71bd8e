# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nas.path: whether the folders exist, and whether the worker can read them and nothing more.

Rules: manual 1, section 6 (does the path exist, can it be read); manual 2, section 7 (the permission was taken away). Product facts:
the NAS is mounted read-only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..._core.check import Check
from ..._core.errors import Busy
from ..._core.finding import Finding, ok, unknown
from ..._core.source import Asked
from ..._shared.evidence import without_empty
from ..._shared.mounts import is_below
from ..._shared.nas_states import STATES
from .blocked_reader import still_blocked
from .facts import MountFacts, NasState, PathFacts
from .faults import fault
from .parameters import PARAMETERS as SHARED
from .read_state import STATE

PARAMETERS: dict[str, dict[str, Any]] = {
    **SHARED,
    "read_only": {
        "type": "bool",
        "default": True,
        "variable": "stack_nas_read_only",
        "description": "Whether the worker must be unable to write there.",
    },
}


def judge(asked: Asked) -> list[Finding]:
    """Return a finding for each folder: whether it exists, and whether the worker can read it and not write to it."""
    check = "nas.path"
    try:
        found: NasState = asked.read("nas.state")
    except Busy as error:
        return still_blocked(check, asked, error)
    if not found["paths"]:
        return [ok(check, evidence={"not_asked": ["folders: none is named (paths)"]})]
    return [_judge_path(asked, entry, found) for entry in found["paths"]]


def _judge_path(asked: Asked, entry: PathFacts, found: NasState) -> Finding:
    check, subject, state = "nas.path", entry["path"], entry["state"]
    evidence = without_empty({"path": subject, "user": found["user"], "mount": entry["mount"], "type": entry["type"]})
    blocking = _fault_of_mount(entry, found["mounts"])
    if state == "silent" and blocking:
        return unknown(check, f"{subject} does not answer", blocked_by=blocking, subject=subject)
    if state in STATES:
        where = {"component": entry["component"], "need": entry["need"], "owner": entry["owner"], "mode": entry["mode"]}
        evidence.update(without_empty({**where, "error": entry["error"]}))
        measure: dict[str, Any] = {"value": found["within"], "unit": "s"} if state == "silent" else {}
        return fault(STATES[state], check, subject, evidence=evidence, **measure)
    if state != "ok":
        return unknown(check, f"{subject} cannot be read: {entry['error']}", subject=subject)
    if entry["writable"] and asked.parameters["read_only"]:
        return fault("nas.writable", check, subject, evidence=evidence)
    evidence["writable"] = entry["writable"]
    if found["user"] == "root" and not asked.parameters.get("as_user"):
        evidence["not_asked"] = ["whether the user of the worker can read it: root read it, and root can read every folder; set as_user"]
    return ok(check, subject, evidence=evidence)


def _fault_of_mount(entry: PathFacts, mounts: Sequence[MountFacts]) -> str:
    """Return the code of the mount that a folder lies in where that mount is stale or silent, "" otherwise."""
    for one in mounts:
        if is_below(entry["path"], one["path"]) and one["state"] in ("stale", "silent"):
            return STATES[one["state"]]
    return ""


CHECK = Check(
    "nas.path",
    "Are the folders there, and can the worker read them and nothing more?",
    judge,
    (STATE,),
    PARAMETERS,
    run_as="app",
)
