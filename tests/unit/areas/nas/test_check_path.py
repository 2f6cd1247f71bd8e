# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nas.path: the folders that a reading returns."""

from __future__ import annotations

import pytest

from .helpers import ask, folder, mount, state


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
