# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The NAS: what mountinfo says, the right to each part of a path as another user, shares and forecasts; pure and real."""

from __future__ import annotations

import os
import subprocess

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.nas import area as _nas_area
from ansible_collections.ops.remediation.plugins.module_utils._areas.nas import checks as _nas_checks
from ansible_collections.ops.remediation.plugins.module_utils._areas.nas import read as _nas
from ansible_collections.ops.remediation.plugins.module_utils._core import children as _process
from ansible_collections.ops.remediation.plugins.module_utils._core.children import Outcome
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import Busy, WrongQuestion
from ansible_collections.ops.remediation.plugins.module_utils._core.source import Asked

from ..attachments import helpers as h
from ..host.helpers import reads_well

NOW = 1_800_000_000.0
CHECKS = {check.id: check for check in _nas_area.CHECKS}
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


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        (mount(), ""),
        (mount(source="NAS-01:/mti/report/", type="nfs"), ""),
        (mount(source="nas-02:/mti/report"), "nas.wrong_source"),
        (mount(source="nas-01:/mti/REPORT"), "nas.wrong_source"),
        (mount(type="cifs"), "nas.wrong_source"),
        (mount(source="\\\\NAS-01\\mti\\Report", mounted={**MOUNTED, "device": "//nas-01/mti/report", "type": "smb3"}, type="cifs"), ""),
        (mount(source="nas-01:/mti/report/AC", mounted={**MOUNTED, "root": "/AC"}), ""),
        (mount(source="nas-01:/mti/report", mounted={**MOUNTED, "root": "/BC"}), "nas.wrong_source"),
        (mount(source="nas-01:/mti/report/AC", mounted={**MOUNTED, "root": "/BC"}), "nas.wrong_source"),
        (mount(source="//nas-01/mti/AC", mounted={**MOUNTED, "device": "//nas-01/mti/AC", "root": "/AC", "type": "cifs"}), ""),
        (mount(source="/dev/sdb1", mounted={**MOUNTED, "device": "/dev/sdb1", "root": "/@data", "type": "btrfs"}), ""),
        (mount(source="/dev/sdb1", mounted={**MOUNTED, "device": "/dev/sdb1", "root": "/data", "type": "ext4"}), "nas.wrong_source"),
        (mount(mounted=None, empty=True, holder={"mount": "/", "device": "/dev/sda1", "type": "ext4"}), "nas.not_mounted"),
        (mount(mounted=None, state="missing", error="ENOENT"), "nas.not_mounted"),
        (mount(state="stale", error="ESTALE"), "nas.stale"),
        (mount(state="silent"), "nas.hung"),
        (mount(state="denied", error="EACCES"), "nas.no_permission"),
        (mount(state="error", error="ELOOP"), "run.check_unknown"),
    ],
)
def test_mounts(entry, code):
    (finding,) = ask("nas.mount", state([entry]))
    assert finding.code == code


def test_without_mounts_it_is_said_what_is_not_known():
    (finding,) = ask("nas.mount", state())
    assert "cannot be told" in finding.evidence["not_asked"][0]


@pytest.mark.parametrize(
    ("entry", "mounts", "code", "blocked_by"),
    [
        (folder(), [], "", None),
        (folder(state="missing", error="ENOENT", component="/batch/report/AC"), [], "nas.path_missing", None),
        (folder(state="denied", component="/batch/report", need="x", owner="root", mode="0700"), [], "nas.no_permission", None),
        (folder(state="stale", error="ESTALE"), [], "nas.stale", None),
        (folder(state="silent"), [], "nas.hung", None),
        (folder(state="silent"), [mount(state="silent")], "run.check_unknown", "nas.hung"),
        (folder(state="error", error="ELOOP"), [], "run.check_unknown", None),
        (folder(writable=True), [], "nas.writable", None),
    ],
)
def test_folders(entry, mounts, code, blocked_by):
    (finding,) = ask("nas.path", state(mounts, [entry]))
    assert finding.code == code
    assert finding.evidence.get("blocked_by") == blocked_by


def test_what_root_can_read_says_nothing_of_the_worker():
    found = {**state(paths=[folder()]), "user": "root"}
    (finding,) = ask("nas.path", found)
    assert "as_user" in finding.evidence["not_asked"][0]
    assert "not_asked" not in ask("nas.path", found, as_user="root")[0].evidence
    assert "not_asked" not in ask("nas.path", state(paths=[folder()]))[0].evidence


def test_a_worker_that_may_write():
    assert ask("nas.path", state(paths=[folder(writable=True)]), read_only=False)[0].code == ""


@pytest.mark.parametrize(("percent", "code"), [(79.9, ""), (80, "nas.disk_80"), (90, "nas.disk_90"), (100, "nas.disk_90")])
def test_shares(percent, code):
    (finding,) = ask("nas.disk", state(disks=[disk(percent)]))
    assert (finding.code, finding.value) == (code, percent)


def test_a_share_that_grows_tells_when_it_is_full():
    kept = {"/batch/report nas-01:/x": [[NOW - day * 86400, (85 - day) * GB, 100 * GB] for day in range(6, 0, -1)]}
    (finding,) = ask("nas.disk", state(disks=[disk(85)]), kept)
    assert finding.code == "nas.disk_80"
    assert finding.evidence["days"] == 15.0
    assert finding.evidence["full_at"]
    assert _nas_checks.remember(state(disks=[disk(85)]), kept)["/batch/report nas-01:/x"][-1] == [NOW, 85 * GB, 100 * GB]
    assert _nas_checks.remember(state(), kept) == kept


def test_the_disk_below_an_unmounted_nas_is_not_the_nas():
    away = mount(mounted=None, empty=True)
    found = state([away], [folder(mount="/", state="missing")], [disk(95, mount="/", device="/dev/sda1")])
    (finding,) = ask("nas.disk", found)
    assert (finding.code, finding.evidence["blocked_by"]) == ("run.check_unknown", "nas.not_mounted")


HOLDER = "process 4711 since 2026-11-22T01:00:00Z"


@pytest.mark.parametrize(
    ("check", "given", "subject", "places", "blocked"),
    [
        ("nas.mount", {"mounts": ["/a"], "paths": ["/a/%Y%m%d"]}, "/a", None, False),
        ("nas.mount", {"mounts": [{"path": "/a"}, "/b"]}, "/a, /b", ["/a", "/b"], False),
        ("nas.mount", {"mounts": ["/a"], "paths": ["/c/%Y"]}, "/a, /c", ["/a", "/c"], False),
        ("nas.path", {"mounts": ["/a"], "paths": ["/a/%Y%m%d"]}, "/a", None, True),
        ("nas.path", {"paths": ["/a/%Y%m%d", "s3://bucket/x"]}, "/a", None, False),
        ("nas.disk", {"mounts": ["/a"]}, "", None, True),
    ],
)
@pytest.mark.parametrize("holder", [HOLDER, "unknown"])
def test_a_reader_of_an_earlier_run_that_still_waits_is_a_mount_that_hangs(check, given, subject, places, blocked, holder):
    wanted = CHECKS[check]
    parameters = {name: spec.get("default") for name, spec in wanted.parameters.items()}
    busy = Outcome(error=Busy("an earlier read of the same source has not ended", holder=holder))
    (finding,) = wanted.function(Asked({**parameters, **given}, NOW, {"nas.state": busy}, {"nas.state": None}))
    assert finding.subject == subject
    if blocked:
        assert (finding.status, finding.evidence["blocked_by"]) == ("unknown", "nas.hung")
        return
    assert (finding.code, finding.severity) == ("nas.hung", "P0")
    assert finding.evidence.get("places") == places
    assert finding.evidence.get("since") == ("2026-11-22T01:00:00Z" if holder == HOLDER else None)
    reads_well(finding)


def test_what_did_not_answer_the_earlier_run_is_what_hangs():
    folders = [folder(path="/c"), folder(path="/a/AC", state="silent")]
    kept = _nas_checks.remember(state([mount(path="/a", state="silent"), mount(path="/b")], folders, [disk(85)]), None)
    assert kept["without answer"] == ["/a", "/a/AC"]
    busy = {"nas.state": Outcome(error=Busy("busy", holder=HOLDER))}
    parameters = {"mounts": ["/a", "/b"], "paths": ["/c", "/a/AC"]}
    (finding,) = CHECKS["nas.mount"].function(Asked(parameters, NOW, busy, {"nas.state": kept}))
    assert (finding.code, finding.subject, finding.evidence["mount"], finding.evidence.get("places")) == ("nas.hung", "/a", "/a", None)
    assert "without answer" not in _nas_checks.remember(state([mount(path="/a")]), kept)


def test_without_mounts_nothing_is_said_of_mounts():
    busy = Outcome(error=Busy("busy", holder="unknown"))
    (finding,) = CHECKS["nas.mount"].function(Asked({"mounts": [], "paths": ["/a"]}, NOW, {"nas.state": busy}, {"nas.state": None}))
    assert finding.status == "ok"
    assert "not_asked" in finding.evidence


@pytest.mark.parametrize(
    ("sick", "blocked_by", "said"),
    [
        ({"state": "silent"}, "nas.hung", "silent"),
        ({"state": "stale", "error": "EIO"}, "nas.stale", "EIO"),
        ({"state": "denied", "error": "EACCES"}, "nas.no_permission", "EACCES"),
    ],
)
def test_a_share_that_does_not_answer_is_not_known(sick, blocked_by, said):
    (finding,) = ask("nas.disk", state([mount(**sick)], disks=[disk(1, error="silent")]))
    assert finding.evidence["blocked_by"] == blocked_by
    assert finding.evidence["reason"].endswith(f"({said})")


# --- real ones


@pytest.mark.parametrize("given", [[{"path": "batch"}], [7], [{"path": "/x", "server": "y"}], [{}]])
def test_mounts_that_are_none(given):
    with pytest.raises(WrongQuestion, match=r"mounts\[0\]"):
        _nas.read(mounts=given)


def test_a_local_folder_is_no_mount(tmp_path):
    found = _nas.read(mounts=[str(tmp_path)], paths=[str(tmp_path)])
    (entry,) = found["mounts"]
    assert (entry["mounted"], entry["empty"], entry["in_fstab"]) == (None, True, False)
    assert ask("nas.mount", found)[0].code == "nas.not_mounted"
    assert found["paths"][0]["writable"]


def test_which_part_of_a_path_is_missing(tmp_path):
    (entry,) = _nas.read(paths=[f"{tmp_path}/AC/statement/%Y%m%d"])["paths"]
    assert (entry["state"], entry["component"]) == ("missing", f"{tmp_path}/AC")
    (tmp_path / "AC").touch()
    (entry,) = _nas.read(paths=[f"{tmp_path}/AC/statement"])["paths"]
    assert entry["state"] == "missing"


def test_the_folder_of_a_day_may_be_missing(tmp_path):
    (entry,) = _nas.read(paths=[f"{tmp_path}/%Y%m%d"], date="2026-11-21")["paths"]
    assert entry["state"] == "ok"


@h.as_root
def test_the_part_that_another_user_may_not_enter(tmp_path):
    for above in list(tmp_path.parents)[:-2]:
        if str(above) != "/tmp":
            above.chmod(0o755)
    tmp_path.chmod(0o755)
    closed = tmp_path / "report"
    (closed / "AC").mkdir(parents=True)
    closed.chmod(0o750)

    def asked():
        return _process.call(lambda: _nas.read(paths=[str(closed / "AC")]), 10, user=lambda: _nas.owner("nobody")).get()["paths"][0]

    assert [asked()[key] for key in ("state", "component", "need", "owner", "mode")] == ["denied", str(closed), "x", "root", "0750"]
    closed.chmod(0o755)
    (closed / "AC").chmod(0o711)
    assert [asked()[key] for key in ("state", "component", "need")] == ["denied", str(closed / "AC"), "rx"]
    (closed / "AC").chmod(0o755)
    assert [asked()[key] for key in ("state", "writable")] == ["ok", False]
    assert _nas.read(paths=[str(closed / "AC")])["paths"][0]["writable"], "root may write"


@h.as_root
def test_a_read_only_bind(tmp_path):
    there = tmp_path / "nas"
    there.mkdir()
    done = subprocess.run(["mount", "--bind", str(there), str(there)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("binds cannot be mounted here")
    try:
        assert _nas.read(mounts=[str(there)], paths=[str(there)])["paths"][0]["writable"]
        subprocess.run(["mount", "-o", "remount,ro,bind", str(there)], check=True, capture_output=True)
        found = _nas.read(mounts=[{"path": str(there), "source": "elsewhere:/x"}], paths=[str(there)])
        assert found["mounts"][0]["mounted"]["read_only"]
        assert not found["paths"][0]["writable"]
        assert ask("nas.mount", found)[0].code == "nas.wrong_source"
        assert found["disks"][0]["mount"] == str(there)
    finally:
        subprocess.run(["umount", str(there)], check=False)


def test_fstab():
    text = "# /x\nnas:/a /batch/report nfs ro 0 0\nUUID=1 /mnt/with\\040blank ext4 x 0 0\nswap none swap\n"
    assert _nas.fstab_mounts(text) == ["/batch/report", "/mnt/with blank"]


def test_a_user_that_does_not_exist():
    with pytest.raises(WrongQuestion, match="as_user"):
        _nas.owner("nobody-of-that-name")


# --- mounts that misbehave


@h.needs_fuse
@pytest.mark.parametrize(
    ("mode", "code"),
    [
        ("healthy", ""),
        ("slow", ""),
        ("hung", "nas.hung"),
        ("hung-folder", ""),
        ("ESTALE", "nas.stale"),
        ("EIO", "nas.stale"),
        ("ENOTCONN", "nas.stale"),
        ("EACCES", "nas.no_permission"),
    ],
)
def test_sick_mounts(tmp_path, mode, code):
    with h.mounted(tmp_path, ["A_1.csv"], mode) as nas:
        given = {"mounts": [{"path": str(nas.path), "source": "nas-01:/mti/report"}], "paths": [f"{nas.path}/a"], "probe_within": 1.5}
        found = _process.call(lambda: _nas.read(**given), 8).get()
        (finding,) = ask("nas.mount", found)
        assert finding.code == code, found
        if mode in ("healthy", "slow"):
            assert found["mounts"][0]["mounted"]["read_only"]
            assert [ask(check, found)[0].code for check in ("nas.path", "nas.disk")] == ["", "nas.disk_80"]
        else:
            assert all(one.code for one in ask("nas.path", found)) is (mode != "hung-folder")


@h.needs_fuse
def test_a_mount_whose_server_has_died(tmp_path):
    with h.mounted(tmp_path, ["A_1.csv"]) as nas:
        nas.server.kill()
        nas.server.wait(timeout=10)
        found = _process.call(lambda: _nas.read(mounts=[str(nas.path)]), 8).get()
        finding = ask("nas.mount", found)[0]
        assert (finding.code, finding.evidence["error"]) == ("nas.stale", "ENOTCONN")


def test_every_source_that_may_hang_is_read_by_one_at_a_time():
    assert all(source.exclusive for check in _nas_area.CHECKS for source in check.sources)
    assert os.path.isabs(_nas.FSTAB)
