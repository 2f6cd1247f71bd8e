# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ses.reach: closed, silent and unknown places."""

from __future__ import annotations

import socket

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.ses.read import read

from . import helpers as h


def test_an_api_that_takes_connections_and_says_nothing(aws, ask):
    aws.do("fault.set", {"kind": "hang", "seconds": 3})
    facts = ask(timeout=2.0, identities=["example.com"])
    (api, smtp) = h.conclude("ses.reach", facts)
    assert (api.code, api.evidence["reason"], smtp.code) == ("ses.unreachable", "no_answer", "")
    assert {finding.evidence["blocked_by"] for finding in h.conclude("ses.quota", facts)} == {"ses.unreachable"}


def test_ses_alone_is_silent_while_the_rest_of_aws_answers(aws, ask):
    aws.do("fault.set", {"kind": "hang", "actions": ["ses:*"], "seconds": 5})
    facts = ask(timeout=4.0, identities=["example.com"])
    assert facts["answers"]["caller"]["state"] == "ok"
    (api, smtp) = h.conclude("ses.reach", facts)
    assert (api.code, api.evidence["reason"], smtp.code) == ("ses.unreachable", "no_answer", "")
    for check in ("ses.account", "ses.quota"):
        assert [finding.evidence["blocked_by"] for finding in h.conclude(check, facts)] == ["ses.unreachable"]


def test_another_service_than_ses_that_cannot_be_reached_is_named_and_blames_not_ses(aws, ask):
    nowhere = {**dict.fromkeys(h.SERVICES, aws.url), **dict.fromkeys(("sts", "iam"), "http://127.0.0.1:1")}
    facts = ask(endpoint_urls=nowhere)
    assert h.codes(h.conclude("ses.reach", facts)) == []
    (finding,) = h.conclude("ses.key", facts)
    assert (finding.status, "blocked_by" in finding.evidence) == ("unknown", False)
    assert finding.evidence["reason"].startswith("STS cannot be reached")


def test_a_black_hole_and_a_closed_port(ask, aws):
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        blockers = [socket.socket() for _one in range(4)]
        for one in blockers:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        facts = ask(timeout=2.0, endpoint_urls=dict.fromkeys(h.SERVICES, f"http://127.0.0.1:{port}"))
        assert h.codes(h.conclude("ses.reach", facts)) == ["ses.unreachable"]
        for one in blockers:
            one.close()
    facts = ask(timeout=3.0, endpoint_urls=dict.fromkeys(h.SERVICES, "http://127.0.0.1:1"))
    (api, _smtp) = h.conclude("ses.reach", facts)
    assert (api.code, api.evidence["reason"]) == ("ses.unreachable", "refused")


def test_a_region_that_does_not_exist(aws, tmp_path):
    given = h.options(aws, tmp_path, endpoint_urls={}, smtp_endpoint="-", region="no-such-place-9", timeout=3.0)
    facts = read(**given)
    assert h.codes(h.conclude("ses.reach", facts)) == ["ses.unreachable"]


@pytest.mark.parametrize("where", ["profile", "environment"])
def test_the_region_of_profile_or_environment_leads_to_places_too(where, aws, tmp_path, monkeypatch):
    key = aws.people.keys["tank-monitor"]
    (tmp_path / "credentials").write_text(f"[watch]\naws_access_key_id={key[0]}\naws_secret_access_key={key[1]}\n", encoding="ascii")
    (tmp_path / "config").write_text("[profile watch]\nregion = no-such-place-9\n", encoding="ascii")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    if where == "environment":
        monkeypatch.setenv("AWS_DEFAULT_REGION", "no-such-place-9")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key[0])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key[1])
    facts = read(profile="watch" if where == "profile" else None, resolver=[f"127.0.0.1:{aws.dns_port}"], timeout=2.0)
    places = ["email.no-such-place-9.amazonaws.com:443", "email-smtp.no-such-place-9.amazonaws.com:587"]
    assert [finding.subject for finding in h.conclude("ses.reach", facts)] == places


def test_a_closed_port_of_smtp_is_never_taken_for_the_api(aws, ask):
    """Also when both endpoints have the same host."""
    aws.smtp("closed")
    facts = ask(smtp_endpoint=f"localhost:{aws.smtp_port}")
    assert [(one.subject, one.code) for one in h.conclude("ses.reach", facts)] == [
        (f"127.0.0.1:{aws.port}", ""),
        (f"localhost:{aws.smtp_port}", "ses.unreachable"),
    ]
    assert set(facts["ports"]) == {"api", "smtp"}
