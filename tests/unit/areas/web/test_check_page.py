# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""web.page: answers, blank pages, missing and empty files."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.web import check_page

from .helpers import GONE, NO_BUILD, ask, asset, build, page


def codes(seen, built=None):
    return [finding.code for finding in ask(check_page.judge, check_page.PARAMETERS, seen, built)]


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
