# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""logsdb.work: what was not read, and times in the wrong zone."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.logsdb import check_work

from .answers import UP, WORK, asked


@pytest.mark.parametrize("part", ["waiting", "open_runs"])
def test_a_part_that_did_not_answer_is_unknown(part):
    facts = {**UP, "work": {**WORK, part: None, "not_asked": ["JOB_QUEUE: canceling statement due to statement timeout"]}}
    (work,) = check_work.judge(asked(facts))
    assert work.status == "unknown"
    assert "statement timeout" in work.evidence["reason"]


def test_times_in_the_future_point_to_the_zone():
    (work,) = check_work.judge(asked({**UP, "work": {**WORK, "last_activity": "2026-11-21T20:00:00Z"}}))
    assert work.status == "unknown"
    assert "read as Asia/Seoul; give the right timezone" in work.evidence["reason"]
