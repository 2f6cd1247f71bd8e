# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nas.mount: the mounts that a reading returns, and a reader of an earlier run that is still blocked."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.nas import read_state
from ansible_collections.ops.remediation.plugins.module_utils._core.children import Outcome
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import Busy
from ansible_collections.ops.remediation.plugins.module_utils._core.source import Asked

from ..host.helpers import reads_well
from .helpers import CHECKS, MOUNTED, NOW, ask, disk, folder, mount, state


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
    kept = read_state.remember(state([mount(path="/a", state="silent"), mount(path="/b")], folders, [disk(85)]), None)
    assert kept["without answer"] == ["/a", "/a/AC"]
    busy = {"nas.state": Outcome(error=Busy("busy", holder=HOLDER))}
    parameters = {"mounts": ["/a", "/b"], "paths": ["/c", "/a/AC"]}
    (finding,) = CHECKS["nas.mount"].function(Asked(parameters, NOW, busy, {"nas.state": kept}))
    assert (finding.code, finding.subject, finding.evidence["mount"], finding.evidence.get("places")) == ("nas.hung", "/a", "/a", None)
    assert "without answer" not in read_state.remember(state([mount(path="/a")]), kept)


def test_without_mounts_nothing_is_said_of_mounts():
    busy = Outcome(error=Busy("busy", holder="unknown"))
    (finding,) = CHECKS["nas.mount"].function(Asked({"mounts": [], "paths": ["/a"]}, NOW, {"nas.state": busy}, {"nas.state": None}))
    assert finding.status == "ok"
    assert "not_asked" in finding.evidence
