# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ses.identities: verification, and the records in DNS."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.ses import aws_actions, spf
from ansible_collections.ops.remediation.plugins.module_utils._modules import ses_quota

from . import helpers as h


def test_the_wrong_region_has_no_identities(ask):
    facts = ask(region="us-east-1")
    assert h.every_code(facts) == {"ses.sandbox", "ses.identity_unverified"}
    assert h.conclude("ses.identities", facts)[0].evidence["reason"] == "none"


def test_a_service_that_hangs_leaves_dns_its_time(aws, ask):
    aws.do("fault.set", {"kind": "hang", "actions": ["iam:*"], "seconds": 5})
    facts = ask(timeout=4.0)
    assert facts["answers"].keys().isdisjoint({"keys", "simulated"})
    assert [finding.status for finding in h.conclude("ses.identities", facts)] == ["ok"]


@pytest.mark.parametrize("name", ["noreply@example.com", "mail.example.com", "noreply@news.mail.example.com"])
def test_a_verified_domain_covers_its_addresses_and_subdomains(name, aws, ask):
    sender = name if "@" in name else f"noreply@{name}"
    raw = f"From: {sender}\r\nTo: b@example.org\r\nSubject: x\r\n\r\ny".encode()
    assert h.client(aws, "ses").send_raw_email(RawMessage={"Data": raw})["MessageId"]
    facts = ask(identities=[name])
    (finding,) = h.conclude("ses.identities", facts)
    assert (finding.status, finding.subject, finding.evidence["through"]) == ("ok", name, "example.com")
    aws.record("example.com", "TXT", ['"v=spf1 mx -all"'])
    other = "other@mail.example.com"
    for names in ([name], [name, other], [name, "example.com"]):
        findings = h.conclude("ses.identities", ask(identities=names))
        assert [(one.subject, one.evidence["record"]) for one in findings if one.code] == [("example.com", "TXT example.com")]
        assert {one.subject for one in findings} == {*names, "example.com"}
    aws.change(identity={"name": "example.com", "verified": False})
    assert "ses.identity_unverified" in h.codes(h.conclude("ses.identities", ask(identities=[name])))


def test_an_identity_that_neither_is_there_nor_covered(ask):
    (finding,) = h.conclude("ses.identities", ask(identities=["noreply@mail.example.org"]))
    assert (finding.code, finding.evidence["reason"]) == ("ses.identity_unverified", "missing")


def test_every_name_that_was_given_is_told_also_the_late_ones(aws, ask):
    names = [f"n{number:02}.example.com" for number in range(30)]
    assert [finding.subject for finding in h.conclude("ses.identities", ask(identities=names))] == names
    aws.do("fault.set", {"kind": "hang", "actions": ["ses:GetEmailIdentity"], "seconds": 3})
    findings = h.conclude("ses.identities", ask(identities=["example.com"], timeout=2.0))
    assert [(finding.code, finding.subject) for finding in findings] == [("run.check_timeout", "example.com")]
    assert [one["status"] for one in ses_quota.summary([finding.as_dict() for finding in findings])["identities"]] == ["unknown"]


def test_identities_beyond_those_that_are_asked_about_are_counted_and_domains_go_first(aws, ask):
    for number in range(25):
        aws.account.identities[f"a{number}@example.com"] = h.identity(f"a{number}@example.com")
    aws.account.identities["z.example"] = h.identity("z.example")
    findings = h.conclude("ses.identities", ask())
    assert len({finding.subject for finding in findings}) == aws_actions.MOST_IDENTITIES
    assert {"example.com", "z.example"} <= {finding.subject for finding in findings}
    assert next(note for finding in findings for note in finding.evidence.get("not_asked", [])).startswith("7 more identities")


def test_dns_over_tcp_when_truncated_and_when_the_server_fails(aws, ask):
    aws.zone.mode = "truncate"
    assert h.every_code(ask()) == set()
    aws.zone.mode = "refuse"
    (finding, *_others) = h.conclude("ses.identities", ask())
    assert finding.code == "run.check_unknown"
    assert "SERVFAIL" in finding.evidence["reason"]


def test_spf_is_followed_through_what_it_takes_in(aws, ask):
    aws.record("example.com", "TXT", ['"v=spf1 include:_spf.example.com -all"'])
    aws.record("_spf.example.com", "TXT", ['"v=spf1 redirect=_more.example.com"'])
    aws.record("_more.example.com", "TXT", ['"v=spf1 include:amazonses.com -all"'])
    assert h.codes(h.conclude("ses.identities", ask())) == []
    aws.record("_more.example.com", "TXT", ['"v=spf1 mx -all"'])
    assert h.codes(h.conclude("ses.identities", ask())) == ["ses.spf"]


def test_a_record_that_takes_in_too_many_is_unknown_and_ends(aws, ask):
    for number in range(30):
        aws.record(f"s{number}.example.com", "TXT", [f'"v=spf1 include:s{number + 1}.example.com -all"'])
    aws.record("example.com", "TXT", ['"v=spf1 include:s0.example.com -all"'])
    facts = ask()
    assert len([key for key in facts["dns"] if key.startswith("s")]) == spf.MOST_LOOKUPS
    (finding,) = h.conclude("ses.identities", facts)
    assert finding.code == "run.check_unknown"
