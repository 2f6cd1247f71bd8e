# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ses.reputation: SES's statistics, CloudWatch's rates, and rises."""

from __future__ import annotations

import pytest

from . import helpers as h

NOW = 1_795_000_000.0


@pytest.mark.parametrize("what, line, option", [("bounces", 6, "bounce_warning"), ("complaints", 0.3, "complaint_warning")])
def test_texts_of_a_rise_name_the_line_that_was_set(what, line, option):
    start = NOW // 900 * 900
    point = {"DeliveryAttempts": 200, "Bounces": 0, "Complaints": 0, "Rejects": 0}
    before = [{**point, "Timestamp": start - number * 900} for number in range(12, 13 * 96)]
    after = [{**point, "Timestamp": start - number * 900, what.capitalize(): 5} for number in range(1, 5)]
    answers = {"statistics": {"state": "ok", "data": {"SendDataPoints": before + after}}}
    (finding,) = h.conclude("ses.reputation", {"answers": answers, "region": "x"}, now=NOW, **{option: float(line)})
    assert finding.code.endswith("_rising")
    for part in ("cause", "next"):
        assert f"{line} %" in h.text_of(finding, part, "en")
        assert f"{line}%" in h.text_of(finding, part, "ko")


def test_cloudwatch_is_believed_too_and_no_datapoint_is_unknown(aws, ask):
    aws.reputation(bounce=0.06)
    (finding,) = h.conclude("ses.reputation", ask())
    assert (finding.code, finding.value, finding.evidence["window"]) == ("ses.bounce_5", 6.0, "AWS")
    aws.reputation(none=True)
    (finding,) = h.conclude("ses.reputation", ask())
    assert finding.status == "ok"
    assert finding.evidence["not_asked"] == ["Reputation.BounceRate: no datapoint", "Reputation.ComplaintRate: no datapoint"]


def test_cloudwatch_is_believed_where_the_statistics_do_not_come_and_the_rest_is_unknown(aws, ask):
    aws.reputation(bounce=0.06)
    aws.do("fault.set", {"kind": "throttle", "actions": ["ses:GetSendStatistics"]})
    assert h.codes(h.conclude("ses.reputation", ask())) == ["ses.bounce_5", "run.check_unknown"]
    aws.front.conditions.clear()
    aws.people.allow("tank-monitor", ["ses:GetSendStatistics"], effect="Deny", policy="less")
    (finding,) = h.conclude("ses.reputation", ask())
    assert finding.code == "ses.bounce_5"
    assert "rejects and rises: only ses:GetSendStatistics returns them" in finding.evidence["not_asked"]
