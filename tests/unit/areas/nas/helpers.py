# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts of a NAS for the tests of its checks, and the call of a check with them."""

from __future__ import annotations

from ansible_collections.ops.remediation.plugins.module_utils._areas.nas import area
from ansible_collections.ops.remediation.plugins.module_utils._core.children import Outcome
from ansible_collections.ops.remediation.plugins.module_utils._core.source import Asked

from ..host.helpers import reads_well

NOW = 1_800_000_000.0
CHECKS = {check.id: check for check in area.CHECKS}
MOUNTED = {"device": "nas-01:/mti/report", "root": "/", "type": "nfs4", "read_only": True}
GB = 1 << 30


def ask(check, found, kept=None, **parameters):
    wanted = CHECKS[check]
    given = {name: spec.get("default") for name, spec in wanted.parameters.items()}
    findings = wanted.function(Asked({**given, **parameters}, NOW, {"nas.state": Outcome(found)}, {"nas.state": kept}))
    for finding in findings:
        if finding.code:
            reads_well(finding)
    return findings


def state(mounts=(), paths=(), disks=()):
    return {"at": NOW, "user": "tankmail", "within": 3.0, "mounts": list(mounts), "paths": list(paths), "disks": list(disks)}


def mount(**more):
    entry = {"path": "/batch/report", "source": "", "type": "", "mounted": MOUNTED, "holder": None, "in_fstab": True}
    return {**entry, "state": "ok", "error": "", "empty": False, "usage": None, **more}


def folder(**more):
    entry = {"path": "/batch/report/AC", "given": "/batch/report/AC/%Y%m%d", "mount": "/batch/report", "type": "nfs4", "remote": True}
    return {**entry, "state": "ok", "error": "", "component": "", "need": "", "owner": "", "mode": "", "writable": False, **more}


def disk(percent, **more):
    used = int(100 * GB * percent / 100)
    return {
        "mount": "/batch/report",
        "device": "nas-01:/x",
        "type": "nfs4",
        "size": 100 * GB,
        "used": used,
        "free": 100 * GB - used,
        "error": "",
        **more,
    }
