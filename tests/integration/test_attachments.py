# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attachments through the daily check on the replica, with the wanted names from the target query itself."""

from __future__ import annotations

import json
import sys

import pytest


@pytest.fixture
def ask(play, replica):
    """Return a function that runs the daily check with a query for the wanted names; the finding of attachments.present."""
    oracle = replica["oracle"]
    place = {"host": oracle["address"], "port": oracle["port"], "service": oracle["service"], "user": oracle["monitor_user"]}
    query = {
        "query": "SELECT CUST_ID, EMAIL_ADDR, ATTACH_FILE_NAME, AUTO_ID FROM TARGET_VIEW",
        "oracle": {**place, "password_from": {"file": oracle["monitor_password_file"]}},
    }

    def run(**more):
        variables = {
            "stack_attachment_wanted_file": None,
            "stack_attachment_group_column": "AUTO_ID",
            "stack_attachment_wanted_query": query,
        }
        done = play("-e", json.dumps({**variables, **more}))
        (finding,) = [finding for finding in done.record["findings"] if finding["check"] == "attachments.present"]
        return done, finding

    return run


def test_the_names_come_from_the_target_query_with_the_drivers_of_the_runtime(ask):
    run, finding = ask(stack_check_python=sys.executable)
    assert run.code == 0, run.output
    assert (finding["status"], finding["evidence"]["wanted"], finding["evidence"]["counts"]["FOUND"]) == ("ok", 580, 580)
    assert "@example.com" not in run.output + json.dumps(run.record)


def test_without_the_drivers_it_is_said_what_is_missing(ask):
    run, finding = ask()
    assert run.code != 0 or finding["status"] == "unknown"
    assert finding["code"] == "run.driver_missing"
    assert finding["evidence"]["libraries"] == ["oracledb"]


def test_a_database_that_is_away_is_the_cause(ask, replica):
    closed = {"host": "127.0.0.1", "port": 1, "service": replica["oracle"]["service"], "user": "TANK_MON"}
    away = {**closed, "password_from": {"file": replica["oracle"]["monitor_password_file"]}}
    query = {"query": "SELECT ATTACH_FILE_NAME FROM TARGET_VIEW", "oracle": away}
    _run, finding = ask(stack_check_python=sys.executable, stack_attachment_wanted_query=query)
    assert (finding["status"], finding["evidence"]["blocked_by"]) == ("unknown", "ORA-12541")
