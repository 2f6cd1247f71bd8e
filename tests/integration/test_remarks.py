# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Misspelt variables through ansible-playbook: told on the terminal, in the report and in the record, with no other consequence."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from conftest import CHECKOUT

SCHEMA = json.loads((CHECKOUT / "plugins/plugin_utils/record/schemas/run_record-1.json").read_text(encoding="utf-8"))
PLANTED = "planted-7a1"
HINT = "is not a variable of this collection; did you mean stack_pm2_home?"


@pytest.fixture
def misspelt(tmp_path) -> Path:
    """Return an inventory that adds a misspelt variable to the replica's hosts, one to a host, and some that are others' affair."""
    path = tmp_path / "more.yml"
    others = {"mystack_pm2_hom": PLANTED, "postfix_home": PLANTED}
    hosts = {"tank-web": {"daily_check_of": [PLANTED], "stack_undefined_one": "{{ nosuchvariable }}"}}
    path.write_text(yaml.safe_dump({"tank": {"vars": {"stack_pm2_hom": PLANTED, **others}, "hosts": hosts}}))
    return path


def guard_alone(folder: Path) -> str:
    """Return a playbook of which the guard is all, for a cadence of another name."""
    path = folder / "guard.yml"
    guard = {"import_playbook": str(CHECKOUT / "playbooks/run_guard.yml"), "vars": {"cadence": "night_check"}}
    path.write_text(yaml.safe_dump([guard]))
    return str(path)


def remarked(run) -> dict[str, list[str]]:
    jsonschema.validate(run.record, SCHEMA)
    return {remark["subject"]: remark["hosts"] for remark in run.record["remarks"]}


@pytest.mark.parametrize(
    ("language", "line", "extra"),
    [
        (
            "en",
            f"Remark: stack_pm2_hom (on all of tank) {HINT}",
            "Remark: remediation_tokn (given with -e) is not a variable of this collection",
        ),
        (
            "ko",
            "참고: stack_pm2_hom (tank 그룹 전체): 이 컬렉션에 없는 변수입니다. stack_pm2_home의 오타인지 확인하십시오.",
            "참고: remediation_tokn (-e로 지정): 이 컬렉션에 없는 변수입니다.",
        ),
    ],
)
def test_a_misspelt_variable_is_told_everywhere_and_its_value_nowhere(play, misspelt, tmp_path, language, line, extra):
    given = tmp_path / "given.yml"
    given.write_text(yaml.safe_dump({"remediation_tokn": PLANTED, "remediation_language": language}))
    run = play("-i", str(misspelt), "-e", f"@{given}", "-vvv")
    assert run.code == 0, run.output
    report = (tmp_path / "home/runs/latest/report.md").read_text(encoding="utf-8").replace("\\", "")
    for told in (line, extra):
        assert f"  {told}" in run.output.splitlines()
        assert f"- {told.split(': ', 1)[1]}" in report.splitlines()
    assert remarked(run) == {
        "remediation_tokn": [],
        "stack_pm2_hom": ["tank-app", "tank-web"],
        "daily_check_of": ["tank-web"],
        "stack_undefined_one": ["tank-web"],
    }
    assert next(remark for remark in run.record["remarks"] if remark["subject"] == "stack_pm2_hom")["suggestions"] == ["stack_pm2_home"]
    assert PLANTED not in run.output + report + json.dumps(run.record)


@pytest.mark.parametrize("arguments", [["-e", '{"stack_pm2_processes": ["nosuch"]}'], ["-e", "remediation_hosts=nosuchgroup"]])
def test_the_exit_code_of_a_run_that_fails_is_what_it_was(play, arguments):
    before = play(*arguments)
    after = play(*arguments, "-e", "stack_pm2_hom=1")
    assert before.code == after.code == 2
    assert f"  Remark: stack_pm2_hom (given with -e) {HINT}" in after.output.splitlines()
    assert before.record["remarks"] == []
    assert after.record["totals"] == before.record["totals"]
    assert after.record["verdict"]["reason"] == before.record["verdict"]["reason"]


def test_only_hosts_of_this_run_are_looked_at(play, misspelt):
    run = play("-i", str(misspelt), "--limit", "tank-app", "--check")
    assert run.code == 0
    assert "daily_check_of" not in run.output
    assert f"  Remark: stack_pm2_hom (on tank-app) {HINT}" in run.output.splitlines()


def test_the_guard_alone_knows_the_names_of_its_cadence(play, tmp_path):
    inventory = tmp_path / "some.yml"
    inventory.write_text(
        yaml.safe_dump({"tank": {"hosts": {"app1": {"night_check_of": 1, "other_check_of": 1, "ansible_connection": "local"}}}})
    )
    run = play(playbook=guard_alone(tmp_path), inventory=str(inventory))
    assert remarked(run) == {"night_check_of": ["app1"]}
    assert "  Remark: night_check_of (on app1) is not a variable of this collection" in run.output.splitlines()
    # The guard itself lets the run go on; that nothing was asked after it is the record's own verdict.
    assert run.code == 0, run.output
    assert "failed=0" in run.output
