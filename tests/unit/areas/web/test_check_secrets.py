# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""web.secrets: secrets, and files that were not searched."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.web import check_secrets

from .helpers import ask, asset, build, page


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
