# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moments as RFC 3339 in UTC."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._core.times import rfc3339

KOREA = timezone(timedelta(hours=9))


@pytest.mark.parametrize(
    ("moment", "timespec", "text"),
    [
        (1795252212, "seconds", "2026-11-21T09:10:12Z"),
        (1795252212.999, "seconds", "2026-11-21T09:10:12Z"),
        (1795252212.25, "milliseconds", "2026-11-21T09:10:12.250Z"),
        (datetime(2026, 11, 21, 18, 10, 12, 999999, KOREA), "seconds", "2026-11-21T09:10:12Z"),
    ],
)
def test_a_moment_is_written_in_utc_and_cut_off(moment, timespec, text):
    assert rfc3339(moment, timespec) == text
