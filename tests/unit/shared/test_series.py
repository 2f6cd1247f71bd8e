# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Series of measurements, whatever an earlier run left."""

from __future__ import annotations

import time

from ansible_collections.ops.remediation.plugins.module_utils._shared import series
from hypothesis import given
from hypothesis import strategies as st

from ..areas.host.helpers import FUZZ, NOW


@FUZZ
@given(st.lists(st.tuples(st.floats(0, 2e9), st.floats(0, 1e15), st.just(1e12)).map(list), max_size=300))
def test_any_series_is_continued_in_time(points):
    began = time.process_time()
    found = series.forecast(points, NOW, 1e9, least_points=4, least_seconds=3600)
    assert found is None or (found.full_at > NOW and found.per_day > 0)
    assert time.process_time() - began < 0.2
