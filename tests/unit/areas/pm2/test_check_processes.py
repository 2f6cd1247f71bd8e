# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check pm2.processes, on recorded answers of PM2 5, 6 and 7 and on made-up ones."""

from __future__ import annotations

import json

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.pm2 import (
    check_processes,
    check_saved,
    check_user,
    list_memory,
)
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import CannotRead, WrongQuestion
from ansible_collections.ops.remediation.plugins.plugin_utils.texts import catalogue as faults_catalogue

from . import helpers as h
from .helpers import dump

SITUATIONS = {
    "backend": "",  # a cluster after a reload
    "worker": "",
    "errored": "pm2.errored",
    "slow_loop": "pm2.restart_loop",
    "backoff": "pm2.restart_loop",
    "exit3": "pm2.stopped",
    "by_operator": "pm2.stopped",
    "killed": "pm2.killed",
    "killed_once": "pm2.stopped",
    "stubborn": "",  # an operator's restart that needed SIGKILL
    "mended": "",  # looped until an operator restarted it
    "hog": "pm2.memory_restart",
    "never_started": "pm2.missing",
}


def situation(version):
    recorded = h.transcript(version)
    return h.asked(
        now=recorded["recorded"],
        parameters={"processes": list(SITUATIONS)},
        pm2_list=h.listed(recorded["list"], now=recorded["recorded"]),
        pm2_log=h.log(recorded["log"], recorded["log_modified"]),
    )


@pytest.mark.parametrize("version", h.VERSIONS)
def test_every_situation_is_told_from_the_others(version):
    findings = check_processes.judge(situation(version))
    assert h.codes(findings) == SITUATIONS
    by_name = {finding.subject: finding for finding in findings}
    assert by_name["exit3"].evidence["how"] == "ended"
    assert by_name["exit3"].evidence["exit_code"] == 3
    assert by_name["by_operator"].evidence["how"] == "operator"
    assert by_name["killed_once"].evidence["how"] == "killed"
    assert by_name["errored"].evidence["restarts"] == 16
    assert by_name["slow_loop"].value >= by_name["slow_loop"].threshold
    assert by_name["hog"].threshold == 20.0
    assert by_name["hog"].value > 20
    assert by_name["backend"].evidence["instances"] == 2


@pytest.mark.parametrize("version", h.VERSIONS)
def test_no_secret_in_any_value_or_finding(version):
    recorded = h.transcript(version)
    assert h.PLANTED in json.dumps(recorded["list"])
    asked = situation(version)
    values = [asked.read("pm2.list"), [finding.as_dict() for finding in check_processes.judge(asked)]]
    values.append(list_memory.remember_list(asked.read("pm2.list")))
    assert h.PLANTED not in json.dumps(values)


@pytest.mark.parametrize("version", h.VERSIONS)
def test_every_finding_has_texts_that_read_well(version):
    for finding in check_processes.judge(situation(version)):
        if finding.code:
            for parts in faults_catalogue.render({**finding.as_dict(), "host": "tank-app"}).values():
                assert all(part and "Undefined" not in part and "None" not in part for part in parts.values()), parts


def test_an_unreadable_pm2_log_does_not_hide_the_list():
    asked = h.asked(pm2_list=h.listed([h.entry(status="errored")]), pm2_log=CannotRead("gone"), parameters={"processes": ["backend"]})
    (found,) = check_processes.judge(asked)
    assert found.code == "pm2.errored"
    assert found.evidence["not_asked"] == ["pm2.log: it is absent or cannot be read"]


def test_fewer_instances_than_wanted_are_missing():
    asked = h.asked(parameters={"processes": [{"name": "backend", "instances": 2}]}, pm2_list=h.listed([h.entry()]), pm2_log=h.log("", 1.0))
    (found,) = check_processes.judge(asked)
    assert (found.code, found.value, found.threshold) == ("pm2.missing", 1, 2)


def test_one_ill_instance_of_several_is_found():
    entries = [h.entry(pm_id=0), h.entry(pm_id=1, status="errored"), h.entry(pm_id=2, status="stopped")]
    asked = h.asked(parameters={"processes": ["backend"]}, pm2_list=h.listed(entries), pm2_log=h.log("", 1.0))
    assert h.codes(check_processes.judge(asked)) == {"backend": "pm2.errored"}


def test_missing_instances_are_scaled_not_started():
    asked = h.asked(parameters={"processes": [{"name": "backend", "instances": 2}]}, pm2_list=h.listed([h.entry()]), pm2_log=h.log("", 1.0))
    (found,) = check_processes.judge(asked)
    texts = faults_catalogue.render({**found.as_dict(), "host": "x"})["en"]
    assert found.remedies == ()
    assert "pm2 scale backend 2" in texts["next"]
    assert "It was deleted" not in texts["cause"]


def test_names_and_folders_are_quoted_in_commands():
    value = h.listed([h.entry("a b; rm", status="stopped", started=1000.0)])
    asked = h.asked(parameters={"processes": ["a b; rm"], "pm2_home": "/srv/my tank/.pm2"}, pm2_list=value, pm2_log=h.log("", 1.0))
    (found,) = check_processes.judge(asked)
    texts = faults_catalogue.render({**found.as_dict(), "host": "x"})["en"]
    assert texts["next"] == "sudo -u tank env -C / PM2_HOME='/srv/my tank/.pm2' pm2 restart 'a b; rm'"


@pytest.mark.parametrize("wrong", [{"restarts": 0}, {"window": 0}, {"quiet": -1}, {"look_back": 0}, {"processes": []}])
def test_numbers_that_cannot_be_meant_are_refused(wrong):
    asked = h.asked(parameters=wrong, pm2_list=h.listed([h.entry()]), pm2_log=h.log("", 1.0))
    with pytest.raises(WrongQuestion, match=next(iter(wrong))):
        check_processes.judge(asked)


def test_under_an_intruder_the_intruder_is_the_finding():
    value = h.listed([h.entry("worker")], daemon={"pid": 4, "uid": 0, "frozen": False})
    value["processes"][0]["uid"] = 0
    asked = h.asked(parameters={"processes": ["backend", "worker"]}, pm2_list=value, pm2_log=h.log("", 1.0), pm2_dump=dump())
    assert h.codes(check_user.judge(asked)) == {"backend": "pm2.runs_as_root", "worker": "pm2.runs_as_root"}
    ill = [finding for finding in (*check_processes.judge(asked), *check_saved.judge(asked)) if finding.status != "ok"]
    assert len(ill) == 2
    assert {(finding.code, finding.evidence["blocked_by"]) for finding in ill} == {("run.check_unknown", "pm2.runs_as_root")}
