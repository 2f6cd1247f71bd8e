# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of the sources of the area host, and questions made of them."""

from __future__ import annotations

from ansible_collections.ops.remediation.plugins.module_utils._areas.host import area as _host_area
from ansible_collections.ops.remediation.plugins.module_utils._core.children import Outcome
from ansible_collections.ops.remediation.plugins.module_utils._core.source import Asked
from ansible_collections.ops.remediation.plugins.module_utils._shared import mounts as _mounts
from ansible_collections.ops.remediation.plugins.plugin_utils.texts import catalogue as faults_catalogue
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

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


DAY = 86400.0


GB = 1 << 30


def codes(findings):
    return [finding.code for finding in findings]


ALL = "0.0.0.0"  # noqa: S104 - a port that others can reach


MOUNTS = """\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
28 27 254:16 / /batch\\040files rw - xfs /dev/vdb rw
29 27 254:16 /sub /srv rw shared:1 - xfs /dev/vdb rw
30 27 7:0 / /snap/core/1 ro,nodev - squashfs /dev/loop0 ro
31 27 0:50 / /nas rw - nfs4 server:/export rw
32 27 0:51 / /home/a rw - fuse.sshfs a@b: rw
33 27 0:52 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw
34 27 254:32 / /boot ro,relatime - ext4 /dev/vdc ro
35 27 0:53 / /tmp rw - tmpfs tmpfs rw
36 27 0:54 /a /data rw - btrfs /dev/vdd rw
37 27 0:55 /b /more rw - btrfs /dev/vdd rw
38 27 0:56 / /srv rw - autofs systemd-1 rw
"""


def mounts():
    return _mounts.parse_mounts(MOUNTS)


TEXTS = st.one_of(
    st.text(max_size=2000),
    st.lists(st.sampled_from(list(" \n\t0123456789()-:/.,=%")) | st.sampled_from(MOUNTS.split(" ")), max_size=400).map("".join),
)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5),
    max_leaves=20,
)


FUZZ = settings(max_examples=150, deadline=500, suppress_health_check=[HealthCheck.too_slow])
