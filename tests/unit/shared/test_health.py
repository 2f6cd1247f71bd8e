# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a health API over real sockets, and the rule that judges its answer."""

from __future__ import annotations

import json

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.backend import check_health
from ansible_collections.ops.remediation.plugins.module_utils._shared import health as _health
from hypothesis import given
from hypothesis import strategies as st

from ..areas.web import helpers as h
from ..areas.web.helpers import QUICK


def test_a_health_check_that_is_sent_elsewhere_is_an_answer(monkeypatch):
    with h.server(h.http("moved", status="301 Moved Permanently", Location="/v1/health")) as url:
        said = _health.read_health(url)
    assert (said["status"], said["problem"], said["times"]) == (301, "", [])
    parameters = {name: spec.get("default") for name, spec in check_health.PARAMETERS.items()}
    (found,) = check_health.judge(h.asked(check_health.PARAMETERS, parameters=parameters, backend_health=said))
    assert (found.code, found.evidence["problem"], found.evidence["status"]) == ("backend.wrong_body", "status", 301)


def health(body, status="200 OK", **more):
    with h.server(h.http(body, status, "application/json")) as url:
        return _health.read_health(url, **more)


def test_a_health_answer():
    said = health('{"status":"ok"}', requests=3)
    assert (said["status"], said["said"], said["json"], len(said["times"])) == (200, "ok", True, 3)


@pytest.mark.parametrize(
    ("body", "said", "is_json"),
    [
        ("[]", "", True),
        ("{}", "", True),
        ('{"status": {"a": 1}}', "", True),
        ("", "", False),
        ("<html>", "", False),
        ("[" * 100000, "", False),
    ],
)
def test_other_health_answers(body, said, is_json):
    found = health(body)
    assert (found["said"], found["json"]) == (said, is_json)
    assert len(found["sample"]) <= 120


def test_a_health_answer_is_masked():
    assert "tiger" not in json.dumps(health('{"status":"error","password":"tiger"}'))


@QUICK
@given(st.binary(max_size=300))
def test_any_health_body(body):
    found = _health._body(body)
    assert len(found["said"]) <= 60


def test_a_certificate_of_its_own_is_as_good_for_the_check_as_where_a_repair_is_verified(tmp_path):
    h.make_certificate(tmp_path)
    with h.tls_server(tmp_path) as url:
        assert _health.read_health(url)["times"]
        assert _health.health(url) == ""


@pytest.mark.parametrize(
    ("status", "body", "strict", "lenient"),
    [
        (200, b'{"status": "ok"}', "", ""),
        (200, b'{"status": "OK"}', "", ""),
        (200, b'{"status": "error"}', "said", "said"),
        (200, b'{"status": null}', "said", "said"),
        (200, b"{}", "said", ""),
        (200, b"[]", "said", ""),
        (200, b"fine", "not_json", ""),
        (204, b"", "not_json", ""),
        (302, b"", "status", "status"),
        (404, b"{}", "status", "status"),
        (503, b'{"status": "ok"}', "error_5xx", "error_5xx"),
    ],
)
def test_one_rule_judges_an_answer(status, body, strict, lenient):
    facts = {"problem": "", "status": status, **_health._body(body)}
    assert _health.flaw_of(facts, "ok") == strict
    assert _health.flaw_of(facts, "ok", required=False) == lenient
    assert _health.flaw_of({**facts, "problem": "closed"}, "ok") == "no_answer"
    assert _health.flaw_of(facts, "") == (strict if status >= 300 else "")
