# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check pm2.user."""

from __future__ import annotations

from ansible_collections.ops.remediation.plugins.module_utils._areas.pm2 import (
    check_user,
)

from . import helpers as h


def owned(uid, daemon=1000, **env):
    value = h.listed([h.entry("worker", **env)], daemon={"pid": 4, "uid": daemon, "frozen": False})
    value["processes"][0]["uid"] = uid
    return check_user.judge(h.asked(parameters={"processes": ["worker"]}, pm2_list=value))[0]


def test_a_worker_of_root_is_found_and_one_of_a_user_is_not():
    assert owned(0).code == "pm2.runs_as_root"
    assert owned(1000, daemon=0).code == ""


def test_a_worker_that_does_not_run_is_judged_by_whom_it_would_run_as():
    assert owned(None, daemon=0).code == "pm2.runs_as_root"
    assert owned(None, daemon=1000).code == ""


def test_a_missing_process_has_no_user():
    (found,) = check_user.judge(h.asked(parameters={"processes": ["gone"]}, pm2_list=h.listed()))
    assert (found.status, found.evidence["blocked_by"]) == ("unknown", "pm2.missing")
