# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nas.mount: whether each NAS is mounted, is the right one, and answers.

Rules: manual 1, section 6 (remount); manual 2, section 7 (the path of the NAS was changed, the drive was disconnected).
"""

from __future__ import annotations

from typing import Any

from ..._core.check import Check
from ..._core.errors import Busy
from ..._core.finding import Finding, ok, unknown
from ..._core.source import Asked
from ..._shared.evidence import without_empty
from ..._shared.mounts import seen_source
from ..._shared.nas_states import STATES
from .blocked_reader import still_blocked
from .facts import Holder, Mounted, MountFacts, NasState
from .faults import fault
from .parameters import PARAMETERS
from .read_state import STATE


def judge(asked: Asked) -> list[Finding]:
    """Return a finding for each mount: whether it is mounted from the right source and answers."""
    check = "nas.mount"
    try:
        found: NasState = asked.read("nas.state")
    except Busy as error:
        return still_blocked(check, asked, error)
    if not found["mounts"]:
        not_asked = "mounts: none is named (mounts), so an unmounted NAS cannot be told from a local folder"
        return [ok(check, evidence={"not_asked": [not_asked]})]
    return [_judge_mount(check, entry, found) for entry in found["mounts"]]


def _judge_mount(check: str, entry: MountFacts, found: NasState) -> Finding:
    path, mounted = entry["path"], entry["mounted"]
    evidence = without_empty({"mount": path, "expected": entry["source"], "expected_type": entry["type"], "user": found["user"]})
    if mounted is None:
        details = {"empty": entry["empty"], "in_fstab": entry["in_fstab"], "state": entry["state"]}
        return fault("nas.not_mounted", check, path, evidence={**evidence, **details, **_evidence_of_holder(entry["holder"])})
    evidence.update(device=seen_source(mounted["device"], mounted["root"]), type=mounted["type"], read_only=mounted["read_only"])
    if not is_expected(entry, mounted):
        return fault("nas.wrong_source", check, path, evidence={**evidence, "in_fstab": entry["in_fstab"]})
    if entry["state"] in ("stale", "silent"):
        measure: dict[str, Any] = {"value": found["within"], "unit": "s"} if entry["state"] == "silent" else {}
        return fault(STATES[entry["state"]], check, path, evidence={**evidence, **without_empty({"error": entry["error"]})}, **measure)
    if entry["state"] == "denied":
        return fault("nas.no_permission", check, path, evidence={**evidence, "component": path, "need": "rx", "error": entry["error"]})
    if entry["state"] != "ok":
        return unknown(check, f"{path} cannot be read: {entry['error']}", subject=path)
    return ok(check, path, evidence={**evidence, "empty": entry["empty"]})


def _evidence_of_holder(holder: Holder | None) -> dict[str, str]:
    """Return the mount that holds the folder where the NAS should be mounted."""
    return {"holder": holder["mount"], "holder_type": holder["type"], "holder_device": holder["device"]} if holder else {}


def is_expected(entry: MountFacts, mounted: Mounted) -> bool:
    """Whether a mount has the expected source and type; nfs also accepts nfs4, and cifs accepts smb3.

    A bind mount of a folder does not match its whole device. Only btrfs, whose subvolumes have the same form, matches by its device alone.
    """
    kinds = {"nfs": ("nfs", "nfs4"), "cifs": ("cifs", "smb3"), "smb": ("cifs", "smb3")}
    if entry["type"] and mounted["type"] not in kinds.get(entry["type"], (entry["type"],)):
        return False
    if not entry["source"]:
        return True
    accepted = {plain_source(seen_source(mounted["device"], mounted["root"]))}
    if mounted["type"] == "btrfs":
        accepted.add(plain_source(mounted["device"]))
    return plain_source(entry["source"]) in accepted


def plain_source(source: str) -> str:
    """Return a source in the form for comparison: Windows shares ignore case and accept both slashes, host names ignore case."""
    source = source.replace("\\", "/").rstrip("/")
    if source.startswith("//"):
        return source.casefold()
    host, colon, path = source.partition(":")
    return f"{host.casefold()}:{path}" if colon and not source.startswith("/") else source


CHECK = Check(
    "nas.mount",
    "Is each NAS mounted, is it the right one, and does it answer?",
    judge,
    (STATE,),
    PARAMETERS,
    run_as="app",
)
