# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is concluded about the health API, the page, its way to the backend, headers and certificates."""

from __future__ import annotations

import re

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.backend import check_health
from ansible_collections.ops.remediation.plugins.module_utils._areas.catalogue import FAULTS
from ansible_collections.ops.remediation.plugins.module_utils._areas.catalogue import FAULTS as _CATALOGUE
from ansible_collections.ops.remediation.plugins.module_utils._areas.web import (
    check_certificate,
    check_gateway,
    check_headers,
    check_page,
    check_secrets,
    read_build,
)
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import CannotRead
from ansible_collections.ops.remediation.plugins.module_utils._core.finding import reporter
from ansible_collections.ops.remediation.plugins.plugin_utils.record.folding import fold
from ansible_collections.ops.remediation.plugins.plugin_utils.texts import catalogue as faults_catalogue

from . import helpers as h

fault = reporter(_CATALOGUE)


URL = "http://tank.example.com/"
NO_BUILD = read_build.read_build(None)


def texts_read_well(findings):
    for finding in findings:
        if finding.code:
            for parts in faults_catalogue.render({**finding.as_dict(), "host": "tank-web"}).values():
                assert all(part and "None" not in part and "ndefined" not in part for part in parts.values()), parts
    return findings


# --- health


def health(times=(5.0,) * 20, parameters=None, **answer):
    said = {
        "url": URL,
        "status": 200,
        "problem": "",
        "detail": "",
        "waited": 5.0,
        "json": True,
        "said": "ok",
        "sample": "",
        "times": list(times),
    }
    (found,) = texts_read_well(
        check_health.judge(h.asked(check_health.PARAMETERS, parameters=parameters, backend_health={**said, **answer}))
    )
    assert found.subject == (parameters or {}).get("process", "backend")
    return found


def test_a_healthy_backend():
    found = health()
    assert (found.status, found.value, found.threshold, found.unit) == ("ok", 5.0, 150, "ms")
    assert health(said="UP", parameters={"healthy": "up"}).status == "ok"
    assert health(json=False, said="", parameters={"healthy": ""}).status == "ok"
    assert health(parameters={"process": "api"}).status == "ok"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({"problem": "refused", "status": 0}, "backend.no_answer"),
        ({"problem": "silent", "status": 0, "times": [3.0]}, "backend.no_answer"),
        ({"problem": "closed", "status": 200}, "backend.no_answer"),
        ({"problem": "tls", "status": 0}, "backend.no_answer"),
        ({"status": 500, "said": ""}, "backend.error_5xx"),
        ({"status": 503, "sample": '{"status":"error"}'}, "backend.error_5xx"),
        ({"status": 404}, "backend.wrong_body"),
        ({"status": 302}, "backend.wrong_body"),
        ({"json": False, "said": ""}, "backend.wrong_body"),
        ({"said": "error"}, "backend.wrong_body"),
        ({"said": ""}, "backend.wrong_body"),
        ({"times": [200.0] * 20}, "backend.slow"),
    ],
)
def test_an_ill_backend(answer, code):
    assert health(**answer).code == code


NO_ANSWERS = {
    "name": "not known here",
    "tls": "no encrypted connection",
    "unreachable": "no network route",
    "nonsense": "does not speak HTTP",
    "refused": "nothing listens",
    "silent": "hangs",
    "closed": "dies while it handles the request",
}


@pytest.mark.parametrize(("problem", "said"), sorted(NO_ANSWERS.items()))
def test_each_way_of_no_answer_has_words_of_its_own(problem, said):
    found = health(problem=problem, status=0, detail="the driver's words")
    texts = faults_catalogue.render({**found.as_dict(), "host": "tank-app"})
    assert said in texts["en"]["cause"]
    assert "사용할 수 있는 응답이 없습니다" not in texts["ko"]["cause"]
    of_the_address = problem in ("name", "tls", "unreachable", "nonsense")
    for language in ("en", "ko"):
        assert ("the driver's words" in texts[language]["cause"]) == of_the_address
        assert ("stack_health_url" in texts[language]["next"]) == of_the_address
        assert ("restart backend" in texts[language]["next"]) != of_the_address


@pytest.mark.parametrize("code", ["backend.no_answer", "backend.error_5xx", "backend.wrong_body", "web.bad_gateway", "web.gateway_timeout"])
def test_pm2_is_called_for_its_own_user(code):
    known = "sudo -u tankmail env -C / PM2_HOME=/home/tankmail/.pm2 pm2"
    for evidence in ({}, {"pm2": known}):
        found = fault(code, "web.page", "backend", evidence=evidence)
        for texts in faults_catalogue.render({**found.as_dict(), "host": "tank-app"}).values():
            calls = re.findall(
                r"(?:sudo -u (?:tankmail|<[^>]+>) env -C / PM2_HOME=(?:/home/tankmail/.pm2|<[^>]+>) )?pm2 (?:list|logs|restart)",
                texts["next"],
            )
            assert calls
            assert all(call.startswith(known if evidence else "sudo -u <") for call in calls)


def test_one_slow_answer_of_twenty_is_none():
    assert health(times=[5.0] * 19 + [900.0]).status == "ok"
    assert health(times=[5.0] * 18 + [151.0, 900.0]).code == "backend.slow"
    assert health(times=[5.0, 160.0]).code == "backend.slow"


# --- the page


def page(status=200, **more):
    seen = {
        "url": URL,
        "final_url": URL,
        "waited": 5.0,
        "size": 400,
        "status": status,
        "content_type": "text/html",
        "problem": "",
        "detail": "",
        "ms": 1.0,
    }
    seen.update(headers={}, ids=["root"], scripts=1, assets=[asset()], unasked=[], elsewhere=0, secrets=[], digest="p", whole=True)
    return {**seen, **more}


def asset(path="/assets/a.js", **more):
    return {
        "path": path,
        "kind": "script",
        "size": 9,
        "wrong_type": False,
        "status": 200,
        "content_type": "text/javascript",
        "problem": "",
        "whole": True,
        **more,
    }


def build(**more):
    found = {**NO_BUILD, "given": True, "path": "/opt/app/frontend/build", "present": True, "files": 3}
    return {**found, "index": {"present": True, "size": 9, "mode": "0644"}, **more}


def ask(check, parameters, seen=None, built=None, **more):
    sources = {"web_page": page() if seen is None else seen, "web_build": NO_BUILD if built is None else built, **more}
    return texts_read_well(check(h.asked(parameters, parameters={"url": URL}, **sources)))


def codes(seen, built=None):
    return [finding.code for finding in ask(check_page.judge, check_page.PARAMETERS, seen, built)]


GONE = {"present": False, "size": 0, "mode": ""}


@pytest.mark.parametrize(
    ("seen", "built", "code"),
    [
        (page(), NO_BUILD, ""),
        (page(0, problem="refused"), NO_BUILD, "web.no_answer"),
        (page(200, problem="silent"), NO_BUILD, "web.no_answer"),
        (page(503), NO_BUILD, "web.no_answer"),
        (page(204), NO_BUILD, "web.no_answer"),
        (page(403), NO_BUILD, "web.forbidden"),
        (page(401), NO_BUILD, "web.forbidden"),
        (page(403), build(), "web.forbidden"),
        (page(403), build(closed={"path": "/opt", "mode": "0700", "owner": "root"}), "web.forbidden"),
        (page(403), build(index=GONE), "web.build_missing"),
        (page(404), build(index=GONE, present=False), "web.build_missing"),
        (page(500), build(index=GONE, present=False), "web.build_missing"),
        (page(403), build(index=GONE, present=False, closed={"path": "/opt", "mode": "0700", "owner": "root"}), "web.forbidden"),
        (page(404), build(), "web.not_found"),
        (page(502), build(), "web.bad_gateway"),
        (page(504), build(), "web.gateway_timeout"),
        (page(size=0, ids=[], scripts=0), build(), "web.blank"),
        (page(ids=[]), NO_BUILD, "web.blank"),
        (page(scripts=0), NO_BUILD, "web.blank"),
        (page(assets=[asset(status=404)]), NO_BUILD, "web.asset_missing"),
        (page(assets=[asset(problem="silent", status=0)]), NO_BUILD, "web.asset_missing"),
        (page(assets=[asset(wrong_type=True, content_type="text/html")]), build(), "web.asset_missing"),
        (page(assets=[asset(wrong_type=True, content_type="text/plain")]), NO_BUILD, "web.asset_missing"),
        (page(assets=[asset(size=0)]), NO_BUILD, "web.asset_empty"),
        (page(unasked=["/x.js"]), NO_BUILD, "run.check_unknown"),
    ],
)
def test_pages(seen, built, code):
    assert codes(seen, built) == [code]


def test_missing_and_empty_files_are_told_apart_and_counted():
    seen = page(assets=[asset(f"/{number}.js", status=404) for number in range(30)] + [asset("/e.css", size=0)])
    missing, empty = ask(check_page.judge, check_page.PARAMETERS, seen)
    assert (missing.code, missing.value, len(missing.evidence["files"]), missing.evidence["more"]) == ("web.asset_missing", 30, 10, 20)
    assert (empty.code, empty.value) == ("web.asset_empty", 1)


# --- what is passed on


def gateway(entry, seen=None):
    base = {
        "path": "/api/health",
        "url": f"{URL}api/health",
        "status": 200,
        "problem": "",
        "detail": "",
        "ms": 1.0,
        "waited": 5.0,
        "digest": "a",
    }
    (found,) = ask(check_gateway.judge, check_gateway.PARAMETERS, seen, web_paths=[{**base, **entry}])
    return found


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        ({}, ""),
        ({"status": 502}, "web.bad_gateway"),
        ({"status": 500}, "web.bad_gateway"),
        ({"status": 503}, "web.bad_gateway"),
        ({"status": 504}, "web.gateway_timeout"),
        ({"status": 0, "problem": "silent"}, "web.gateway_timeout"),
        ({"status": 0, "problem": "closed"}, "web.no_answer"),
        ({"status": 404}, "web.not_found"),
        ({"status": 403}, "web.forbidden"),
        ({"digest": "p"}, "web.not_found"),
    ],
)
def test_paths_behind_nginx(entry, code):
    assert gateway(entry).code == code


def test_a_silent_site_explains_its_paths():
    found = gateway({"problem": "refused", "status": 0}, page(0, problem="refused"))
    assert (found.status, found.evidence["blocked_by"]) == ("unknown", "web.no_answer")


# --- secrets, headers, certificates


def test_secrets_of_page_and_build_are_counted_once():
    one = {"file": "/assets/a.js", "kind": "AWS access key"}
    (found,) = ask(check_secrets.judge, check_secrets.PARAMETERS, page(secrets=[one]), build(secrets=[{**one, "file": "assets/a.js"}]))
    assert (found.code, found.severity, found.value) == ("web.secret_in_build", "P0", 1)
    assert ask(check_secrets.judge, check_secrets.PARAMETERS)[0].status == "ok"
    (unseen,) = ask(check_secrets.judge, check_secrets.PARAMETERS, page(404))
    assert (unseen.status, unseen.evidence["blocked_by"]) == ("unknown", "web.not_found")
    assert ask(check_secrets.judge, check_secrets.PARAMETERS, page(404), build(unread=2))[0].evidence["not_asked"]


UNSEEN = [
    (page(unasked=["/assets/b.js"]), "/assets/b.js (no time)", None),
    (page(assets=[asset(status=0, problem="silent")]), "/assets/a.js (silent)", "web.asset_missing"),
    (page(assets=[asset(status=503)]), "/assets/a.js (503)", "web.asset_missing"),
    (page(assets=[asset(whole=False)]), "/assets/a.js (longer than 8 MB)", None),
    (page(whole=False), "index.html (longer than 8 MB)", None),
]


@pytest.mark.parametrize(("seen", "said", "cause"), UNSEEN)
def test_what_was_not_looked_through_is_not_well(seen, said, cause):
    for built in (None, build(files=0)):
        (found,) = ask(check_secrets.judge, check_secrets.PARAMETERS, seen, built)
        assert (found.status, found.evidence.get("blocked_by")) == ("unknown", cause)
        assert said in found.evidence["reason"]
    (found,) = ask(check_secrets.judge, check_secrets.PARAMETERS, seen, build(unread=1))
    assert found.status == "ok"
    assert [said in one for one in found.evidence["not_asked"]] == [False, True]


def test_a_file_that_is_not_there_hides_no_secret():
    (found,) = ask(check_secrets.judge, check_secrets.PARAMETERS, page(assets=[asset(status=404)]))
    assert (found.status, "not_asked" in found.evidence) == ("ok", False)


SAFE = {"x-frame-options": "DENY", "x-content-type-options": "nosniff", "server": "nginx"}


@pytest.mark.parametrize(
    ("headers", "missing", "tells"),
    [
        (SAFE, None, None),
        ({**SAFE, "x-frame-options": "", "content-security-policy": "frame-ancestors 'none'"}, None, None),
        ({"content-security-policy": "frame-ancestors 'none'", "x-content-type-options": "NoSniff"}, None, None),
        ({"server": "nginx"}, ["X-Frame-Options", "X-Content-Type-Options"], []),
        ({**SAFE, "server": "nginx/1.22.1", "x-powered-by": "Express"}, [], ["nginx/1.22.1"]),
    ],
)
def test_headers(headers, missing, tells):
    (found,) = ask(check_headers.judge, check_headers.PARAMETERS, page(headers=headers))
    assert found.code == ("" if missing is None else "web.headers_missing")
    if missing is not None:
        assert (found.evidence["missing"], found.evidence["tells"]) == (missing, tells)


def test_no_headers_of_a_page_that_is_not_served():
    (found,) = ask(check_headers.judge, check_headers.PARAMETERS, page(403), build(index=GONE))
    assert (found.status, found.evidence["blocked_by"]) == ("unknown", "web.build_missing")


DAY = 86400


@pytest.mark.parametrize(
    ("begin", "end", "code", "left"),
    [
        (-1, 365, "", 365),
        (-1, 30.5, "", 30),
        (-1, 29.9, "web.certificate_30", 29),
        (-1, 0.5, "web.certificate_30", 0),
        (-90, -0.1, "web.certificate_expired", -1),
        (1, 90, "web.certificate_expired", 90),
    ],
)
def test_certificates(begin, end, code, left):
    entry = {"subject": "tank:443", "live": True, "not_before": h.NOW + begin * DAY, "not_after": h.NOW + end * DAY, "problem": ""}
    (found,) = ask(
        check_certificate.judge,
        check_certificate.PARAMETERS,
        web_certificate=[{**entry, "trusted": None, "distrust": ""}],
    )
    assert (found.code, found.value, found.unit) == (code, left, "days")


def test_certificates_that_are_not_there():
    assert ask(check_certificate.judge, check_certificate.PARAMETERS, web_certificate=[])[0].evidence == {"tls": False}
    entry = {"subject": "tank:443", "live": True, "problem": "tank:443 presents no certificate: refused"}
    for more, cause in (({}, "web.no_answer"), ({"refused": True}, "nginx.stopped")):
        (found,) = ask(check_certificate.judge, check_certificate.PARAMETERS, web_certificate=[{**entry, **more}])
        assert found.evidence["blocked_by"] == cause
    with pytest.raises(CannotRead):
        ask(check_certificate.judge, check_certificate.PARAMETERS, web_certificate=CannotRead("no"))


# --- folding


def finding(code, host, check, subject=""):
    entry = FAULTS[code]
    return {
        "host": host,
        "check": check,
        "subject": subject,
        "code": code,
        "status": entry.status,
        "severity": entry.severity,
        "evidence": {},
        "site": "s",
    }


def test_a_stopped_backend_explains_the_gateway_on_the_other_host():
    root = finding("pm2.stopped", "app", "pm2.processes", "backend")
    rest = [finding("backend.no_answer", "app", "backend.health", "backend"), finding("web.bad_gateway", "web", "web.gateway", URL)]
    first, *others = fold([*rest, root])
    assert first["code"] == "pm2.stopped"
    assert {other["follows_from"] for other in others} == {first["id"]}


def test_a_stopped_nginx_explains_the_page_but_no_secret():
    found = fold(
        [
            finding("web.no_answer", "web", "web.page", URL),
            finding("nginx.stopped", "web", "nginx.running"),
            finding("nginx.config_invalid", "web", "nginx.config"),
            finding("web.secret_in_build", "web", "web.secrets", URL),
        ]
    )
    assert [one["code"] for one in found if not one["follows_from"]] == ["web.secret_in_build", "nginx.config_invalid"]


def test_a_restarted_nginx_does_not_explain_a_broken_build():
    found = fold([finding("web.blank", "web", "web.page", URL), finding("nginx.restarted", "web", "nginx.restarts", "master")])
    assert all(not one["follows_from"] for one in found)
