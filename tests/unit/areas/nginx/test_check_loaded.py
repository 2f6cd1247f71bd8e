# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nginx.loaded: failed reloads, and files that changed later."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.nginx import check_loaded

from ..web import helpers as h
from .helpers import ask, event, state


@pytest.mark.parametrize(
    ("events", "modified", "reason"),
    [
        ([], -6000, None),
        ([], -1000, None),
        ([], -500, "changed"),
        ([event("emerg")], -6000, "reload_failed"),
        ([event("emerg")], -500, "reload_failed"),
        ([event("emerg", pid=99)], -6000, None),
        ([event("emerg", h.NOW - 2000)], -6000, None),
        ([event("emerg"), event("started")], -6000, None),
        ([event("started"), event("emerg")], -6000, "reload_failed"),
        ([event("emerg", None)], -6000, "reload_failed"),
    ],
)
def test_loaded(events, modified, reason):
    (found,) = ask(check_loaded.judge, state(events=events, newest={"path": "/etc/nginx/a.conf", "modified": h.NOW + modified}))
    assert found.evidence.get("reason") == reason
    assert found.code == ("nginx.old_config" if reason else "")
