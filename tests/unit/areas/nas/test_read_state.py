# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The source nas.state against real folders, bind mounts and FUSE file systems that misbehave."""

from __future__ import annotations

import os
import subprocess

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.nas import area, read_state
from ansible_collections.ops.remediation.plugins.module_utils._core import children
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import WrongQuestion

from ..attachments import helpers as h
from .helpers import ask


@pytest.mark.parametrize("given", [[{"path": "batch"}], [7], [{"path": "/x", "server": "y"}], [{}]])
def test_mounts_that_are_none(given):
    with pytest.raises(WrongQuestion, match=r"mounts\[0\]"):
        read_state.read(mounts=given)


def test_a_local_folder_is_no_mount(tmp_path):
    found = read_state.read(mounts=[str(tmp_path)], paths=[str(tmp_path)])
    (entry,) = found["mounts"]
    assert (entry["mounted"], entry["empty"], entry["in_fstab"]) == (None, True, False)
    assert ask("nas.mount", found)[0].code == "nas.not_mounted"
    assert found["paths"][0]["writable"]


def test_which_part_of_a_path_is_missing(tmp_path):
    (entry,) = read_state.read(paths=[f"{tmp_path}/AC/statement/%Y%m%d"])["paths"]
    assert (entry["state"], entry["component"]) == ("missing", f"{tmp_path}/AC")
    (tmp_path / "AC").touch()
    (entry,) = read_state.read(paths=[f"{tmp_path}/AC/statement"])["paths"]
    assert entry["state"] == "missing"


def test_the_folder_of_a_day_may_be_missing(tmp_path):
    (entry,) = read_state.read(paths=[f"{tmp_path}/%Y%m%d"], date="2026-11-21")["paths"]
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
        return children.call(lambda: read_state.read(paths=[str(closed / "AC")]), 10, user=lambda: read_state.owner("nobody")).get()[
            "paths"
        ][0]

    assert [asked()[key] for key in ("state", "component", "need", "owner", "mode")] == ["denied", str(closed), "x", "root", "0750"]
    closed.chmod(0o755)
    (closed / "AC").chmod(0o711)
    assert [asked()[key] for key in ("state", "component", "need")] == ["denied", str(closed / "AC"), "rx"]
    (closed / "AC").chmod(0o755)
    assert [asked()[key] for key in ("state", "writable")] == ["ok", False]
    assert read_state.read(paths=[str(closed / "AC")])["paths"][0]["writable"], "root may write"


@h.as_root
def test_a_read_only_bind(tmp_path):
    there = tmp_path / "nas"
    there.mkdir()
    done = subprocess.run(["mount", "--bind", str(there), str(there)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("binds cannot be mounted here")
    try:
        assert read_state.read(mounts=[str(there)], paths=[str(there)])["paths"][0]["writable"]
        subprocess.run(["mount", "-o", "remount,ro,bind", str(there)], check=True, capture_output=True)
        found = read_state.read(mounts=[{"path": str(there), "source": "elsewhere:/x"}], paths=[str(there)])
        assert found["mounts"][0]["mounted"]["read_only"]
        assert not found["paths"][0]["writable"]
        assert ask("nas.mount", found)[0].code == "nas.wrong_source"
        assert found["disks"][0]["mount"] == str(there)
    finally:
        subprocess.run(["umount", str(there)], check=False)


def test_fstab():
    text = "# /x\nnas:/a /batch/report nfs ro 0 0\nUUID=1 /mnt/with\\040blank ext4 x 0 0\nswap none swap\n"
    assert read_state.fstab_mounts(text) == ["/batch/report", "/mnt/with blank"]


def test_a_user_that_does_not_exist():
    with pytest.raises(WrongQuestion, match="as_user"):
        read_state.owner("nobody-of-that-name")


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
        found = children.call(lambda: read_state.read(**given), 8).get()
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
        found = children.call(lambda: read_state.read(mounts=[str(nas.path)]), 8).get()
        finding = ask("nas.mount", found)[0]
        assert (finding.code, finding.evidence["error"]) == ("nas.stale", "ENOTCONN")


def test_every_source_that_may_hang_is_read_by_one_at_a_time():
    assert all(source.exclusive for check in area.CHECKS for source in check.sources)
    assert os.path.isabs(read_state.FSTAB)
