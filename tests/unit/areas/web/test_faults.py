# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of the page: commands in their texts, and which faults explain which."""

from __future__ import annotations

import re

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.catalogue import FAULTS
from ansible_collections.ops.remediation.plugins.module_utils._areas.catalogue import FAULTS as _CATALOGUE
from ansible_collections.ops.remediation.plugins.module_utils._core.finding import reporter
from ansible_collections.ops.remediation.plugins.plugin_utils.record.folding import fold
from ansible_collections.ops.remediation.plugins.plugin_utils.texts import catalogue as faults_catalogue

from .helpers import URL

fault = reporter(_CATALOGUE)


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
