# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The crew of threads: everything is done once, it grows where work waits, and a crash is reported at once."""

from __future__ import annotations

import time

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._shared.threads import Crew


def test_a_crew_does_everything_once_and_what_that_brings():
    crew = Crew(lambda item: (item, [item * 10] if item < 10 else []), most=4, until=time.monotonic() + 10)
    assert sorted(crew.run(range(1, 6))) == [1, 2, 3, 4, 5, 10, 20, 30, 40, 50]
    assert crew.left == []


def test_a_crew_grows_where_work_waits_and_ends_in_time():
    def work(item):
        time.sleep(30 if item == 3 else 0.01)
        return item, ()

    started = time.monotonic()
    crew = Crew(work, most=8, until=started + 1.0)
    assert sorted(crew.run(range(100))) == [item for item in range(100) if item != 3]
    assert crew.left == [3]
    assert time.monotonic() - started < 10


def test_what_breaks_in_a_crew_is_told_at_once_and_is_no_silence():
    def work(item):
        if item == 3:
            raise KeyError("a defect")
        time.sleep(0.01)
        return item, ()

    started = time.monotonic()
    with pytest.raises(KeyError, match="a defect"):
        Crew(work, most=2, until=started + 30).run(range(100))
    assert time.monotonic() - started < 10
