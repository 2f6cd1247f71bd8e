# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The daily check through ansible-playbook on the replica: clean, in check mode, and wrongly called."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml
from ansible_collections.ops.remediation.plugins.module_utils._areas.registry import REGISTERED
from conftest import CHECKOUT

SCHEMA = json.loads((CHECKOUT / "plugins/plugin_utils/record/schemas/run_record-1.json").read_text(encoding="utf-8"))
WEB = ("nginx", "web")
# A whole replica has every area there is.
AREAS = {"tank-app": tuple(area for area in REGISTERED if area not in WEB), "tank-web": WEB}
LISTED = [
    entry if isinstance(entry, str) else entry["check"]
    for entry in yaml.safe_load((CHECKOUT / "roles/daily_check/defaults/main.yml").read_text(encoding="utf-8"))["daily_check_checks"]
]
CHECKS = {host: {check for check in LISTED if check.split(".")[0] in areas} for host, areas in AREAS.items()}
TOTAL = sum(len(checks) for checks in CHECKS.values())


def tree(*folders: str | Path) -> dict[str, str]:
    """Return path -> mode, owner and content of all files, without the logs that a running application writes."""
    found = {}
    for folder in folders:
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file() and path.suffix != ".log":
                status = path.stat()
                found[str(path)] = f"{status.st_mode:o} {status.st_uid} {hashlib.sha256(path.read_bytes()).hexdigest()}"
    return found


@pytest.mark.parametrize("playbook", ["playbooks/daily_check.yml", "ops.remediation.daily_check"])
def test_a_healthy_replica_is_well(play, playbook):
    run = play(playbook=playbook)
    assert run.code == 0, run.output
    jsonschema.validate(run.record, SCHEMA)
    assert {host["host"]: (host["state"], set(host["expected"]), set(host["checked"])) for host in run.record["hosts"]} == {
        host: ("asked", checks, checks) for host, checks in CHECKS.items()
    }
    assert {finding["status"] for finding in run.record["findings"]} == {"ok"}
    assert run.record["remarks"] == []
    assert {finding["subject"] for finding in run.record["findings"] if finding["check"] == "pm2.processes"} == {"backend", "worker"}
    assert "tank-app         pm2          ok" in run.output
    assert "changed=0" in run.output
    report = run.output.rsplit("Report: ", 1)[1].strip()
    assert Path(report).read_text(encoding="utf-8").startswith("# Daily check - ")


def test_korean(play):
    run = play("-e", "remediation_language=ko")
    assert run.code == 0
    assert "일일 점검" in run.output
    assert "이상 없음" in run.output


def test_check_mode_finds_the_same_and_changes_nothing(play, replica, tmp_path):
    folders = (replica["pm2_home"], Path(replica["home"]).parents[1] / "state", replica["unit_dir"], replica["app_dir"])
    before = tree(*folders)
    run = play("--check", "--diff")
    assert run.code == 0, run.output
    assert tree(*folders) == before
    assert f"{TOTAL} of {TOTAL} checks answered" in run.output
    assert "check mode: no record was written" in run.output
    assert not (tmp_path / "home").exists()


def test_no_secret_of_the_host_is_ever_printed(play, replica):
    lines = Path(replica["env_file"]).read_text(encoding="utf-8").splitlines()
    secrets = [
        value
        for name, _, value in (line.partition("=") for line in lines)
        if any(word in name for word in ("PASS", "SECRET", "KEY")) and value
    ]
    assert secrets, "the replica's .env holds no secret, so this test would prove nothing"
    run = play("-vvv")
    assert run.code == 0
    text = run.output + json.dumps(run.record)
    assert [secret for secret in secrets if secret in text] == []


WRONG = {
    "a PM2_HOME that does not exist": (["-e", "stack_pm2_home=/nope"], r"pm2_home: '/nope' does not exist on this host; give the PM2_HOME"),
    "a PM2_HOME that is a file": (["-e", "stack_pm2_home=/etc/hostname"], r"pm2_home: '/etc/hostname' is not a directory"),
    "no PM2_HOME": (
        ["-e", '{"stack_pm2_home": null}'],
        "'pm2.daemon' has wrong parameters (missing required arguments: pm2_home); it takes pm2_home (path, required)",
    ),
    "a wrong type": (
        ["-e", '{"daily_check_tune": {"pm2.processes": {"params": {"restarts": "many"}}}}'],
        "'pm2.processes' has wrong parameters (argument 'restarts'",
    ),
    "a parameter that does not exist": (
        ["-e", '{"daily_check_tune": {"pm2.processes": {"params": {"restart": 3}}}}'],
        "'pm2.processes' has wrong parameters (restart. Supported parameters include",
    ),
    "an unknown check": (
        ["-e", '{"daily_check_extra": [{"check": "pm2.demon"}]}'],
        "'pm2.demon' is not a check of this collection; did you mean pm2.daemon?",
    ),
    "an unknown check switched off": (
        ["-e", '{"daily_check_off": ["pm2.start"]}'],
        "daily_check_off: 'pm2.start' is not in this list of checks; did you mean pm2.startup?",
    ),
    "a deadline that is none": (
        ["-e", '{"daily_check_tune": {"pm2.saved": {"deadline": 0}}}'],
        ".deadline: 0 is not a usable time; give seconds",
    ),
    "a secret as a parameter": (
        ["-e", '{"daily_check_tune": {"pm2.saved": {"params": {"oracle_pass": "planted-7a1"}}}}'],
        "looks like a secret, and pm2.saved takes none; give a reference",
    ),
    "a process that is none": (
        ["-e", '{"stack_pm2_processes": [{"nam": "worker"}]}'],
        "processes",
    ),
    "no areas": (["-e", '{"stack_areas": null}'], "stack_areas"),
    "an unknown area": (["-e", '{"stack_areas": ["pm3"]}'], "stack_areas must be one or more of: pm2, backend"),
    "a user that does not exist": (["-e", "stack_pm2_user=nosuchuser"], "user: 'nosuchuser'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_question_gets_one_line_and_changes_nothing(play, replica, name):
    arguments, words = WRONG[name]
    state = tree(replica["pm2_home"], replica["unit_dir"])
    run = play(*arguments)
    assert run.code not in (0, None), run.output
    assert words in run.reasons(), run.reasons()
    assert any(words in line for line in run.output.split("Daily check ·")[1].splitlines()), "the summary does not say it in one line"
    assert "planted-7a1" not in run.output + json.dumps(run.record)
    assert tree(replica["pm2_home"], replica["unit_dir"]) == state


def test_a_secret_is_not_even_shown_with_all_verbosity(play):
    run = play("-vvvv", "-e", "@" + str(CHECKOUT / "tests/integration/planted_secret.yml"))
    assert run.code != 0
    assert "planted-7a1" not in run.output + json.dumps(run.record)


def test_an_inventory_without_the_wanted_hosts(play):
    run = play("-e", "remediation_hosts=nosuchgroup")
    assert run.code != 0
    assert (
        "remediation_hosts: 'nosuchgroup' matches no host of this inventory (with its --limit); nothing would be checked; name a group"
        in run.output
    )
    assert [finding["code"] for finding in run.record["findings"]] == ["run.no_hosts"]


def test_hosts_that_the_inventory_names_would_not_narrow_the_run_and_are_refused(play, tmp_path):
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "stack_areas": ["host"]}
    hosts = dict.fromkeys(("one", "two"), local)
    path = tmp_path / "inventory.json"
    path.write_text(json.dumps({"all": {"hosts": hosts, "vars": {"remediation_hosts": "one"}}}))
    refused = play(inventory=str(path))
    assert refused.code == 2
    assert "remediation_hosts is set in the inventory" in refused.output
    assert [finding["check"] for finding in refused.record["findings"]] == ["run.reach"]
    named = play("-e", "remediation_hosts=two", inventory=str(path))
    assert {finding["host"] for finding in named.record["findings"]} == {"two"}


def test_an_empty_inventory(play, tmp_path):
    (tmp_path / "empty.yml").write_text("all: {}\n")
    run = play(inventory=str(tmp_path / "empty.yml"))
    assert run.code != 0
    assert "remediation_hosts: 'all' matches no host" in run.output


def test_a_limit_that_leaves_no_host(play):
    assert play("--limit", "nosuchhost").code != 0


def test_a_limit_on_an_inventory_that_is_empty(play, tmp_path):
    # Ansible itself ends such a run with 0, before the first task.
    (tmp_path / "empty.yml").write_text("all: {}\n")
    run = play("--limit", "app1", inventory=str(tmp_path / "empty.yml"))
    assert run.code == 1
    assert "nothing was checked: no host of the inventory was in this run" in run.output


def test_a_limit_keeps_guard_and_verdict(play):
    run = play("--limit", "tank-app")
    assert run.code == 0
    assert "Refuse a run that would check or record nothing" in run.output
    assert "Fail when the findings say so" in run.output


def test_without_the_callback_nothing_runs(play):
    run = play(environment={"ANSIBLE_CALLBACKS_ENABLED": "ansible.posix.none"})
    assert run.code != 0
    assert run.record is None
    assert (
        "callbacks_enabled: ops.remediation.run_record is not enabled, so nothing would be recorded; add 'callbacks_enabled = ops.remediation.run_record'"
        in run.output
    )
    assert "Ask the daily checks" not in run.output


def test_another_playbook_is_left_alone_even_when_it_fails(play, tmp_path):
    (tmp_path / "other.yml").write_text("- hosts: all\n  gather_facts: false\n  tasks:\n    - ansible.builtin.fail:\n")
    run = play(playbook=str(tmp_path / "other.yml"))
    assert run.code == 2
    assert run.record is None
    assert "Result:" not in run.output


def test_a_wrong_setting_of_the_run(play):
    run = play("-e", "remediation_fail_on=sometimes")
    assert run.code != 0
    assert "value of remediation_fail_on must be one of: critical, unknown, warning, never, got: sometimes" in run.reasons()


def test_a_host_without_checks_makes_an_empty_run_fail(play):
    run = play("-e", '{"stack_areas": []}', "-e", "remediation_fail_on=never")
    assert run.code != 0
    assert "nothing was checked" in run.output


def test_an_unreachable_host_counts_and_the_others_are_checked(play):
    run = play("-i", str(CHECKOUT / "tests/faults/unreachable.yml"))
    assert run.code == 4
    assert {host["host"]: (host["state"], len(host["expected"]), len(host["checked"])) for host in run.record["hosts"]} == {
        **{host: ("asked", len(checks), len(checks)) for host, checks in CHECKS.items()},
        "tank-gone": ("unreachable", len([check for check in LISTED if check.startswith("pm2.")]), 0),
    }
    assert "tank-gone could not be reached" in run.output


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_as_another_user_the_checks_are_unknown_and_name_the_user(play):
    run = play("-e", "ansible_become=true ansible_become_method=su ansible_become_user=postgres", "-e", "remediation_fail_on=unknown")
    assert run.code != 0
    assert "this belongs to tankmail and the run is postgres; run as root or as tankmail" in run.output


def test_a_home_that_cannot_be_written_does_not_cost_the_summary(play, tmp_path):
    (tmp_path / "file").write_text("")
    run = play("-e", f"remediation_home={tmp_path}/file/home")
    assert run.code == 0
    assert "remediation_home: the run record cannot be written under" in run.output
    assert f"{TOTAL} of {TOTAL} checks answered" in run.output
