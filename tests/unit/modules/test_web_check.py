# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module web_check: which checks its options ask, its summary, what it refuses."""

from __future__ import annotations

import json

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ops.remediation.plugins.modules import web_check

from ..areas.web import helpers as h


@pytest.fixture
def run(capsys):
    """Return a function that runs the module's main() and returns its answer."""

    def run_main(**arguments):
        with patch_module_args({**arguments, "_ansible_check_mode": True}), pytest.raises(SystemExit):
            web_check.main()
        return json.loads(capsys.readouterr().out.strip().splitlines()[-1])

    return run_main


def site(**more):
    answers = {
        "/": h.http(h.INDEX, X_Frame_Options="DENY", X_Content_Type_Options="nosniff"),
        "/assets/index-abcd1234.js": h.http("let a=1", content_type="text/javascript"),
        "/assets/index-abcd1234.css": h.http("a{}", content_type="text/css"),
        "/api/health": h.http('{"status":"ok"}', content_type="application/json"),
    }
    return h.server({**answers, **more})


def test_a_site_that_is_well(run):
    with site() as url:
        answer = run(url=url, health_url=f"{url}api/health", paths=["/api/health"], slow_ms=60_000)
    assert {finding["check"]: finding["status"] for finding in answer["findings"]} == {
        "backend.health": "ok",
        "web.page": "ok",
        "web.secrets": "ok",
        "web.headers": "ok",
        "web.gateway": "ok",
        "web.certificate": "ok",
    }
    page = answer["page"]
    assert (page["url"], page["served"], page["status"], page["files"]) == (url, True, 200, 2)
    assert page["bytes"] == len(h.INDEX) + 10
    assert answer["changed"] is False


def test_a_broken_build_is_a_successful_run(run):
    with site(**{"/assets/index-abcd1234.js": h.http(h.INDEX)}) as url:
        answer = run(url=url)
    page = next(finding for finding in answer["findings"] if finding["check"] == "web.page")
    assert (page["code"], page["evidence"]["files"][0]["problem"]) == ("web.asset_missing", "fallback")
    assert (answer["page"]["served"], answer["page"]["status"], answer["page"]["files"]) == (False, 200, None)


def test_the_findings_say_who_asked(run):
    for given, told in (({}, "localhost"), ({"asked_from": "tank-web"}, "tank-web")):
        answer = run(health_url="http://127.0.0.1:1/", **given)
        assert [finding["asked_from"] for finding in answer["findings"]] == [told]


def test_only_what_is_asked(run):
    with site() as url:
        answer = run(health_url=f"{url}api/health")
    assert [finding["check"] for finding in answer["findings"]] == ["backend.health"]
    assert answer["page"] == {}
    assert [finding["check"] for finding in run(certificate_files=["/no/such.crt"])["findings"]] == ["web.certificate"]


@pytest.mark.parametrize(
    "url", ["ftp://tank.example.com/", "http://tank:tiger@tank.example.com/", "http://tank:tiger/w@tank.example.com/", "nonsense"]
)
def test_what_is_no_address_fails(run, url):
    answer = run(url=url)
    assert answer["failed"] is True
    assert "url" in answer["msg"]
    assert "tiger" not in json.dumps(answer)


def test_something_must_be_asked(run):
    assert run()["failed"] is True
