# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SPF records, also through what they include."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.ses import spf


@pytest.mark.parametrize(
    "values, problem",
    [
        (["v=spf1 include:amazonses.com ~all"], ""),
        (["other", "V=SPF1 +include:amazonses.com -all"], ""),
        (["v=spf1 mx -all"], "without"),
        (["v=spf1 include:amazonses.com.evil.org -all"], "unknown"),
        (["v=spf1 include:_spf.example.com -all"], ""),
        (["v=spf1 redirect=_spf.example.com"], ""),
        (["v=spf1 include:deep.example.com -all"], ""),
        (["v=spf1 include:other.example.com -all"], "without"),
        (["v=spf1 include:other.example.com include:gone.example.com -all"], "without"),
        (["v=spf1 include:failed.example.com -all"], "unknown"),
        (["v=spf1 include:loop.example.com -all"], "without"),
        (["v=spf10 x"], "missing"),
        ([], "missing"),
        (["v=spf1 include:amazonses.com -all", "v=spf1 -all"], "several"),
    ],
)
def test_spf(values, problem):
    told = {
        "_spf.example.com": ("ok", ["v=spf1 include:amazonses.com -all"]),
        "deep.example.com": ("ok", ["v=spf1 include:other.example.com include:_spf.example.com -all"]),
        "other.example.com": ("ok", ["v=spf1 mx -all"]),
        "loop.example.com": ("ok", ["v=spf1 include:loop.example.com -all"]),
        "gone.example.com": ("absent", []),
        "failed.example.com": ("failed", []),
    }
    assert spf.problem(values, {f"{name} TXT": {"state": state, "values": found} for name, (state, found) in told.items()}) == problem
