# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""backend.health: each answer of a health API, and the texts of its faults."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.backend import check_health
from ansible_collections.ops.remediation.plugins.plugin_utils.texts import catalogue as faults_catalogue

from ..web import helpers as h
from ..web.helpers import URL, texts_read_well


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


def test_one_slow_answer_of_twenty_is_none():
    assert health(times=[5.0] * 19 + [900.0]).status == "ok"
    assert health(times=[5.0] * 18 + [151.0, 900.0]).code == "backend.slow"
    assert health(times=[5.0, 160.0]).code == "backend.slow"
