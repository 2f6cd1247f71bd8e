# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""web.certificate: days that are left."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.web import check_certificate
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import CannotRead

from . import helpers as h
from .helpers import ask

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


def test_a_certificate_that_never_expires_has_a_date():
    entry = {"subject": "tank:443", "live": True, "not_before": h.NOW - DAY, "not_after": 253402300799, "problem": ""}
    (found,) = ask(check_certificate.judge, check_certificate.PARAMETERS, web_certificate=[{**entry, "trusted": None, "distrust": ""}])
    assert (found.code, found.evidence["not_after"]) == ("", "9999-12-31T23:59:59Z")
