# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""web.gateway: answers of the paths that nginx passes on."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.web import check_gateway

from .helpers import URL, ask, page


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
