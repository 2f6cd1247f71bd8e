# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attachments through the daily check on the replica, with the wanted names from the target query itself."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.replica.attachments import content
from tests.replica.customers import CUSTOMERS
from tests.replica.logsdb import KST


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


@pytest.fixture
def tomorrow():
    """Return folders like those of the replica, with what is wanted tomorrow and no run of the batch for it yet."""
    day = datetime.now(KST) + timedelta(days=1)
    with tempfile.TemporaryDirectory(prefix="tomorrow-") as folder:
        made = Tomorrow(Path(folder), f"{day:%Y%m%d}", [customer.attachment(f"{day:%Y%m%d}") for customer in CUSTOMERS])
        made.disk.mkdir(parents=True)
        made.wanted.write_text("".join(f"{line}\n" for line in ["ATTACH_FILE_NAME", *made.names]))
        for path in (made.folder, made.disk, made.wanted):
            path.chmod(0o755)
        yield made


@dataclass
class Tomorrow:
    """What the check is asked of: ``wanted`` is the export for the day, ``disk`` the folder above that of the day."""

    folder: Path
    day: str
    names: list[str]

    @property
    def disk(self) -> Path:
        return self.folder / "nas"

    @property
    def wanted(self) -> Path:
        return self.folder / f"targets-{self.day}.csv"

    def deliver(self, left_out: str) -> None:
        """What the batch does, but for one file."""
        here = self.disk / self.day
        here.mkdir()
        here.chmod(0o755)
        moment = datetime.now(KST) - timedelta(hours=1)
        for customer, name in zip(CUSTOMERS, self.names):
            if name != left_out:
                (here / name).write_bytes(content(customer, Path(name).suffix, moment))
                os.utime(here / name, (moment.timestamp(), moment.timestamp()))


def test_tomorrows_run_is_looked_at_before_it_starts(play, tomorrow):
    """Manual 1 section 6, the pre-scan: that the batch has not run is told apart from files that are missing."""
    variables = {
        "stack_attachment_date": "tomorrow",
        "stack_attachment_roots": [f"{tomorrow.disk}/%Y%m%d"],
        "stack_attachment_wanted_file": f"{tomorrow.folder}/targets-%Y%m%d.csv",
        "stack_attachment_group_column": None,
        "stack_attachment_batch_log": None,
        "stack_nas_mounts": [],
    }

    def present() -> dict:
        run = play("-e", json.dumps(variables))
        return next(finding for finding in run.record["findings"] if finding["check"] == "attachments.present")

    before = present()
    assert (before["code"], before["evidence"]["wanted"]) == ("attachments.batch_missing", len(CUSTOMERS)), before
    tomorrow.deliver(left_out=tomorrow.names[7])
    after = present()
    assert (after["code"], after["evidence"]["count"]) == ("attachments.not_found", 1), after
    assert tomorrow.names[7] in json.dumps(after["evidence"])
    # What is asked for today has nothing of it.
    variables["stack_attachment_date"] = "today"
    assert present()["code"] != "attachments.not_found"
