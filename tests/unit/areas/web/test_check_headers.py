# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""web.headers: missing headers, and headers that show a version."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.web import check_headers

from .helpers import GONE, ask, build, page

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
