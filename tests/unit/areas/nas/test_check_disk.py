# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nas.disk: usage, forecasts, and file systems that cannot be measured."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.nas import read_state

from .helpers import GB, NOW, ask, disk, folder, mount, state


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
    assert read_state.remember(state(disks=[disk(85)]), kept)["/batch/report nas-01:/x"][-1] == [NOW, 85 * GB, 100 * GB]
    assert read_state.remember(state(), kept) == kept


def test_the_disk_below_an_unmounted_nas_is_not_the_nas():
    away = mount(mounted=None, empty=True)
    found = state([away], [folder(mount="/", state="missing")], [disk(95, mount="/", device="/dev/sda1")])
    (finding,) = ask("nas.disk", found)
    assert (finding.code, finding.evidence["blocked_by"]) == ("run.check_unknown", "nas.not_mounted")


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
