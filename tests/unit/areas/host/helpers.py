# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of the sources of the area host, and questions made of them."""

from __future__ import annotations

from ansible_collections.ops.remediation.plugins.module_utils._areas.host import area as _host_area
from ansible_collections.ops.remediation.plugins.module_utils._core.children import Outcome
from ansible_collections.ops.remediation.plugins.module_utils._core.source import Asked
from ansible_collections.ops.remediation.plugins.plugin_utils.texts import catalogue as faults_catalogue

NOW = 1_800_000_000.0
BOOT = int(NOW) - 40 * 86400
CHECKS = {check.id: check for check in _host_area.CHECKS}


def ask(check, *, now=NOW, kept=None, **given):
    """Ask one check; given: values of its sources by name with _ for the dot (an exception is raised), and parameters."""
    wanted = CHECKS[check]
    sources = {source.name: given.pop(source.name.replace(".", "_"), None) for source in wanted.sources}
    parameters = {name: spec.get("default") for name, spec in wanted.parameters.items()}
    parameters.update(given)
    outcomes = {name: Outcome(error=value) if isinstance(value, Exception) else Outcome(value) for name, value in sources.items()}
    findings = wanted.function(Asked(parameters, now, outcomes, {source.name: kept for source in wanted.sources}))
    assert findings
    for finding in findings:
        if finding.code:
            reads_well(finding)
    return findings


def reads_well(finding):
    for language, parts in faults_catalogue.render({**finding.as_dict(), "host": "tank-app"}).items():
        for text in parts.values():
            assert text, (finding.code, language)
            assert not any(word in text for word in ("None", "Undefined", "{{", "{%", " ,", " .")), (finding.code, text)


def cpu(at=NOW, used=1000.0, able=None, **more):
    """A machine of 4 cores with nothing to do."""
    value = {"at": at, "boot": BOOT, "scope": "machine", "group": "", "cores": 4, "used": used, "stolen": 0.0, "periods": 0, "throttled": 0}
    value["able"] = (at - BOOT) * 4 if able is None else able
    value.update(load=[0.1, 0.1, 0.1], pressure=pressure(0), io_pressure=pressure(0), blocked=0, window=300, processes=[])
    return {**value, **more}


def pressure(percent, full=0.0):
    windows = ("10", "60", "300")
    return {"some": dict.fromkeys(windows, float(percent)), "full": dict.fromkeys(windows, float(full))}


def process(name="node (worker.js)", pid=7, cpu=0.0, start=100.0):
    return {"name": name, "pid": pid, "cpu": cpu, "start": start, "state": "R"}


def memory(at=NOW, **more):
    """A machine of 8 GB with 4 GB available, and no swap."""
    value = {
        "at": at,
        "boot": BOOT,
        "scope": "machine",
        "group": "",
        "total": 8 << 30,
        "available": 4 << 30,
        "swap_total": 0,
        "swap_free": 0,
    }
    value.update(paged=0, pressure=pressure(0), kills=0, killed=[], killed_in="/dev/kmsg", processes=[])
    return {**value, **more}


def disk(mount="/", used=50, size=100, **more):
    """A disk of so many GB, with plenty of inodes."""
    gigabytes = {"size": size << 30, "used": int(used * (1 << 30)), "free": int((size - used) * (1 << 30))}
    return {
        "mount": mount,
        "device": "/dev/vda",
        "type": "ext4",
        **gigabytes,
        "files": 1000,
        "files_used": 10,
        "files_free": 990,
        "error": "",
        **more,
    }


def disks(*entries, at=NOW, folders=(), missing=()):
    return {"at": at, "disks": list(entries), "missing": list(missing), "folders": list(folders)}


def log_file(name="app.log", **more):
    value = {"name": name, "size": 1000, "modified": NOW - 60, "mode": "0600", "owner": "tank", "exposed": False, "base": ""}
    return {**value, "oldest": NOW - 3600, "ruled": False, **more}


def log_folders(*files, pm2=False, pm2_rotates=False, problem=""):
    folder = {"path": "/opt/app/logs", "pm2": pm2, "problem": problem, "files": list(files), "more": 0}
    return {"at": NOW, "folders": [folder], "pm2_rotates": pm2_rotates, "not_asked": []}
