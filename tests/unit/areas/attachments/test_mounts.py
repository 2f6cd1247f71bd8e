# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attachments on mounts that misbehave: an answer in time, with what was found, and nothing that piles up."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.attachments import check_present, read_files
from ansible_collections.ops.remediation.plugins.module_utils._core import source as _sources
from ansible_collections.ops.remediation.plugins.module_utils._core import state as _state

from . import helpers as h

pytestmark = h.needs_fuse
NAMES = [f"A_{number}.csv" for number in range(60)]


def read(roots, state, within=1.5, deadline=4.0, **more):
    """Read through a bounded child; the outcome of the source."""
    given = {"roots": [str(root) for root in roots], "wanted": NAMES, "answer_within": within, "settle": 0.0, "details": 100, **more}
    (outcome,) = _sources.read_all([(read_files.FILES, given, deadline)], state).values()
    return outcome


@pytest.fixture
def state(tmp_path):
    return _state.State(str(tmp_path / "state"), read_only=False)


def children():
    """Return the processes that this one started and that are not merely waiting to be collected."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == os.getpid() and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found


def test_a_healthy_and_a_slow_mount(tmp_path, state):
    with h.mounted(tmp_path, NAMES) as nas:
        for mode in ("healthy", "slow"):
            nas.become(mode)
            answer = read([nas.path], state, within=8.0, deadline=10.0).get()
            assert answer["counts"]["FOUND"] == len(NAMES), mode
            assert answer["unread"] == 0


@pytest.mark.parametrize("mode", ["ESTALE", "EIO", "ENOTCONN", "EACCES"])
def test_a_mount_that_fails_leaves_everything_unknown(tmp_path, state, mode):
    with h.mounted(tmp_path, NAMES, mode) as nas:
        answer = read([nas.path], state).get()
        assert answer["counts"]["UNKNOWN"] == len(NAMES)
        (finding,) = check_present.present_of(answer)
        assert (finding.status, finding.evidence["blocked_by"]) == ("unknown", "nas.no_permission" if mode == "EACCES" else "nas.stale")


def test_files_whose_contents_cannot_be_read(tmp_path, state):
    with h.mounted(tmp_path, NAMES, "EIO-read") as nas:
        answer = read([nas.path], state, within=8.0, deadline=10.0).get()
        assert answer["codes"] == {"attachments.unreadable": len(NAMES)}
        assert {row["why"] for row in answer["details"]} == {"EIO"}


def test_a_folder_that_hangs_costs_no_other(tmp_path, state):
    with h.mounted(tmp_path, NAMES, "hung-folder") as nas:
        started = time.monotonic()
        answer = read([nas.path], state, contents=False).get()
        assert time.monotonic() - started < 3
        assert answer["counts"]["FOUND"] == len(NAMES), "what was found by then counts"
        assert not answer["complete"]
        assert [one["path"] for one in answer["folders"] if one["problem"] == "silent"] == [f"{nas.path}/b"]


def test_contents_that_hang_are_counted_as_unread(tmp_path, state):
    with h.mounted(tmp_path, NAMES, "hung-open") as nas:
        answer = read([nas.path], state).get()
        assert answer["unread"] == len(NAMES)
        assert answer["counts"]["FOUND"] == len(NAMES)
        assert {row.get("looked") for row in answer["details"]} == {False}
        (finding,) = check_present.present_of(answer)
        assert (finding.status, finding.evidence["blocked_by"]) == ("unknown", "nas.hung"), "what was not looked at is no health"
        assert f"{len(NAMES)} of {len(NAMES)} wanted files are there but were not read in time" in finding.evidence["reason"]


def test_a_mount_that_hangs_is_answered_in_time_and_a_second_run_does_not_pile_up(tmp_path, state):
    with h.mounted(tmp_path, NAMES, "hung") as nas:
        started = time.monotonic()
        answer = read([nas.path], state).get()
        assert time.monotonic() - started < 3
        assert answer["counts"]["UNKNOWN"] == len(NAMES)
        assert check_present.present_of(answer)[0].evidence["blocked_by"] == "nas.hung"
        stuck = children()
        assert len(stuck) <= 1 + 1  # the server of the mount, and at most the first reader
        if len(stuck) == 2:
            # It waits in the kernel, past any signal, and holds its lock: the second one gives up.
            outcome = read([nas.path], state, wanted=NAMES[:1])
            assert outcome.error.kind == "busy"
            assert len(children()) == 2
    h.until(lambda: len(children()) == 0)
    assert read([tmp_path], state, depth=0).error is None


def test_a_mount_that_vanishes_while_it_is_read(tmp_path, state):
    with h.mounted(tmp_path, NAMES, "slow") as nas:
        pid = os.fork()
        if pid == 0:
            time.sleep(0.15)
            os.kill(nas.server.pid, 9)
            os._exit(0)
        outcome = read([nas.path], state)
        os.waitpid(pid, 0)
        answer = outcome.get()
        assert sum(answer["counts"].values()) == len(NAMES)
        assert answer["counts"]["NOT_FOUND"] == 0, "a mount that went is no proof that a file is missing"
