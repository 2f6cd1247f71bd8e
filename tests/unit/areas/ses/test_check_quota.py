# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ses.quota: what has no limit."""

from __future__ import annotations

from . import helpers as h


def test_an_unlimited_quota_is_never_used_up():
    data = {"Max24HourSend": -1.0, "MaxSendRate": 14.0, "SentLast24Hours": 1e6}
    facts = {"answers": {"quota": {"state": "ok", "data": data}}, "region": "x", "parallel": None}
    (finding,) = h.conclude("ses.quota", facts)
    assert (finding.status, finding.evidence["unlimited"]) == ("ok", True)
