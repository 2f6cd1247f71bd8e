# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check pm2.daemon, and what the other checks answer while the daemon is away."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.pm2 import (
    check_daemon,
    check_processes,
    check_saved,
    check_user,
)
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import CannotRead

from . import helpers as h
from .helpers import dump, saved


@pytest.mark.parametrize(("state", "code"), [("stopped", "pm2.daemon_down"), ("killed", "pm2.daemon_down"), ("hung", "pm2.daemon_hung")])
def test_a_daemon_that_is_away_blocks_the_others(state, code):
    sources = {"pm2_list": h.listed(state=state), "pm2_log": h.log("", 1900.0), "pm2_dump": dump()}
    asked = h.asked(**sources, pm2_startup=CannotRead("no"))
    found = check_daemon.judge(asked)[0]
    assert (found.code, found.severity, found.status) == (code, "P0", "critical")
    for check in (check_processes.judge, check_saved.judge, check_user.judge):
        (blocked,) = check(asked)
        assert (blocked.status, blocked.code, blocked.evidence["blocked_by"]) == ("unknown", "run.check_unknown", code)


def test_what_a_resurrect_would_bring_back_is_said():
    asked = h.asked(pm2_list=h.listed(state="killed"), pm2_log=h.log("", 1900.0), pm2_dump=dump(saved("worker"), saved("backend")))
    (found,) = check_daemon.judge(asked)
    assert found.evidence["saved"] == ["backend", "worker"]
    assert found.evidence["since"] == "1970-01-01T00:31:40Z"
    assert found.evidence["dump_problem"] == ""


def test_a_daemon_of_another_user_is_unknown_not_down():
    asked = h.asked(pm2_list=h.listed(state="denied"))
    assert {check(asked)[0].status for check in (check_daemon.judge, check_processes.judge, check_user.judge)} == {"unknown"}
