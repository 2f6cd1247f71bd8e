# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nginx.restarts: masters and workers that ended."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.nginx import check_restarts

from ..web import helpers as h
from .helpers import MEMORY, ask, event, state


@pytest.mark.parametrize(
    ("events", "memory", "level", "how"),
    [
        ([], None, "notice", None),
        ([], {**MEMORY, "master": {"pid": 7, "ticks": 500}}, "notice", None),
        ([], {**MEMORY, "master": None}, "notice", None),
        ([], MEMORY, "notice", "killed"),
        ([], MEMORY, "error", "unknown"),
        ([event("told_to_end", pid=3)], MEMORY, "notice", None),
        ([event("told_to_end", pid=3)], MEMORY, "error", None),
        ([event("started", pid=3), event("started")], None, "notice", "killed"),
        ([event("started", pid=3), event("told_to_end", pid=3), event("started")], None, "notice", None),
        ([event("started", pid=3, second=h.NOW - 90_000), event("started")], None, "notice", None),
        ([event("told_to_end", pid=3), event("started", pid=5)], MEMORY, "notice", "killed"),
        ([], {**MEMORY, "at": h.NOW - 200_000}, "notice", None),
        ([], {"at": "x", "master": []}, "notice", None),
    ],
)
def test_restarts(events, memory, level, how):
    (found,) = ask(check_restarts.judge, state(events=events, level=level), memory)
    assert found.evidence.get("how") == how
    assert found.severity == ("P3" if how else "")


def test_workers_that_died():
    (found,) = ask(check_restarts.judge, state(events=[event("worker_died"), event("worker_died")]))
    assert (found.code, found.subject, found.value) == ("nginx.restarted", "worker", 2)
