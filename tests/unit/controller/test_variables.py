# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of the collection: which are known, what is said of those that only look like one, and where people read it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import jsonschema
import pytest
import yaml
from ansible_collections.ops.remediation.plugins.module_utils._core.finding import ok
from ansible_collections.ops.remediation.plugins.plugin_utils.record import record
from ansible_collections.ops.remediation.plugins.plugin_utils.run import variables
from ansible_collections.ops.remediation.plugins.plugin_utils.texts import render

CHECKOUT = Path(__file__).resolve().parents[3]
SCHEMA = json.loads((Path(record.__file__).parent / "schemas" / "run_record-1.json").read_text(encoding="utf-8"))
GROUPS = {
    "all": ["app1", "app2", "web1"],
    "ungrouped": [],
    "tank": ["app1", "app2", "web1"],
    "tank_app": ["app1", "app2"],
    "tank_web": ["web1"],
}


@pytest.fixture
def more_roles(tmp_path, monkeypatch):
    """Add a cadence and another role to those of the collection."""
    roles = tmp_path / "roles"
    shutil.copytree(variables.ROLES, roles)
    added = {
        "weekly_check": {"weekly_check_checks": {"type": "list"}, "weekly_check_off": {"type": "list"}},
        "fetch_runtime": {"stack_planted_python": {"type": "path"}, "fetch_runtime_from": {"type": "path"}},
    }
    for role, options in added.items():
        (roles / role / "meta").mkdir(parents=True)
        (roles / role / "meta" / "argument_specs.yml").write_text(yaml.safe_dump({"argument_specs": {"main": {"options": options}}}))
    monkeypatch.setattr(variables, "ROLES", roles)
    for cached in (variables.known, variables.prefixes):
        cached.cache_clear()
    yield
    monkeypatch.undo()
    for cached in (variables.known, variables.prefixes):
        cached.cache_clear()


# --- what is known


def test_every_variable_that_roles_and_playbooks_use_is_known():
    name = re.compile(rf"(?<![\w.])(?:{'|'.join(variables.prefixes())})[a-z0-9_]+\b(?!\()")
    files = [path for folder in ("roles", "playbooks") for path in sorted((CHECKOUT / folder).rglob("*")) if path.suffix in (".yml", ".j2")]
    used = {found for path in files for found in name.findall(path.read_text(encoding="utf-8"))}
    assert {"stack_checker", "stack_checker_state_dir", "stack_state_dir", "remediation_hosts", "daily_check_off"} <= used
    assert sorted(used - set(variables.known())) == []


def test_the_documentation_of_the_run_has_all_that_the_guard_play_reads():
    play = (CHECKOUT / "playbooks/run_guard.yml").read_text(encoding="utf-8")
    assert set(re.findall(r"\bremediation_\w+", play)) == set(variables.of_the_run())


def test_the_settings_have_the_choices_and_defaults_of_the_guard():
    settings = variables.of_the_run()
    assert settings["remediation_fail_on"]["choices"] == list(record.FAIL_ON)
    assert settings["remediation_language"]["choices"] == list(record.LANGUAGES)
    for name, attribute in (("remediation_fail_on", "fail_on"), ("remediation_language", "language")):
        assert settings[name]["default"] == getattr(record.Settings(), attribute)


def test_a_role_that_is_added_is_known_without_further_change(more_roles):
    assert {"stack_", "remediation_", "daily_check_", "weekly_check_"} <= set(variables.prefixes())
    names = ["stack_planted_python", "weekly_check_off", "weekly_check_of", "daily_check_off", "fetch_runtime_form"]
    assert variables.unknown(names) == ["weekly_check_of", "fetch_runtime_form"]
    assert variables.nearest("weekly_check_of") == ["weekly_check_off"]
    assert variables.nearest("stack_planted_pyton") == ["stack_planted_python"]


def test_the_cadence_of_the_run_counts_although_no_role_has_its_name():
    assert variables.unknown(["triage_windo"]) == []
    assert variables.unknown(["triage_windo"], "triage") == ["triage_windo"]


@pytest.mark.parametrize(
    "name",
    [
        "ansible_host",
        "stackpm2_home",
        "my_stack_pm2_home",
        "__daily_check_answer",
        "stack_pm2_home",
        "daily_check_tune",
        "STACK_X",
        "",
        7,
        None,
    ],
)
def test_other_names_are_none_of_our_business(name):
    assert variables.unknown([name], "daily_check") == []


# --- what may be meant


@pytest.mark.parametrize(
    ("misspelt", "meant"),
    [
        ("stack_pm2_hom", ["stack_pm2_home"]),
        ("stack_pm2home", ["stack_pm2_home"]),
        ("stack_area", ["stack_areas"]),
        ("stack_pm2_process", ["stack_pm2_processes"]),
        ("stack_logsdb_usr", ["stack_logsdb_user"]),
        ("stack_web_certificate_file", ["stack_web_certificate_files"]),
        ("remediation_fail", ["remediation_fail_on"]),
        ("remediation_langauge", ["remediation_language"]),
        ("daily_check_of", ["daily_check_off"]),
        ("stack_elasticsearch_cluster", []),
        ("remediation_webhook", []),
        ("stack_", []),
    ],
)
def test_the_nearest_name(misspelt, meant):
    assert variables.nearest(misspelt) == meant


def test_what_is_as_near_is_named_too():
    assert variables.nearest("stack_host_port") == ["stack_host_ports"]
    assert sorted(variables.nearest("stack_web_certificate")) == ["stack_web_certificate_files", "stack_web_certificate_url"]


@pytest.mark.parametrize("name", sorted(variables.known()))
def test_a_missing_letter_is_put_right_for_every_variable(name):
    misspelt = name[:-2] + name[-1]
    assert variables.unknown([misspelt]) == [misspelt]
    assert name in variables.nearest(misspelt)


# --- the remarks


def said(names_by_host, **others):
    return [remark["texts"]["en"] for remark in variables.remarks(names_by_host, GROUPS, **others)]


@pytest.mark.parametrize(
    ("hosts", "english", "korean"),
    [
        (["app1"], "on app1", "app1"),
        (["web1"], "on web1", "web1"),
        (["app2", "app1"], "on all of tank_app", "tank_app 그룹 전체"),
        (["app2", "app1", "web1"], "on all of tank", "tank 그룹 전체"),
        (["web1", "app1"], "on app1 and 1 more", "app1 외 1대"),
    ],
)
def test_a_remark_says_where(hosts, english, korean):
    (remark,) = variables.remarks({host: ["stack_pm2_hom", "stack_site"] for host in hosts}, GROUPS)
    assert remark == {
        "kind": "variable_unknown",
        "subject": "stack_pm2_hom",
        "hosts": sorted(hosts),
        "suggestions": ["stack_pm2_home"],
        "texts": {
            "en": f"stack_pm2_hom ({english}) is not a variable of this collection; did you mean stack_pm2_home?",
            "ko": f"stack_pm2_hom ({korean}): 이 컬렉션에 없는 변수입니다. stack_pm2_home의 오타인지 확인하십시오.",
        },
    }


def test_hosts_in_no_group_but_all():
    groups = {"all": ["a", "b"], "ungrouped": ["a", "b"]}
    (remark,) = variables.remarks({"a": ["stack_x"], "b": ["stack_x"]}, groups)
    assert remark["texts"] == {
        "en": "stack_x (on all hosts) is not a variable of this collection",
        "ko": "stack_x (모든 호스트): 이 컬렉션에 없는 변수입니다.",
    }


def test_an_extra_variable_is_told_once_though_every_host_has_it():
    names = {"app1": ["remediation_failon"], "web1": ["remediation_failon"]}
    assert said(names, given=["remediation_failon", "other"]) == [
        "remediation_failon (given with -e) is not a variable of this collection; did you mean remediation_fail_on?"
    ]


def test_nothing_to_remark_upon():
    assert variables.remarks({}) == []
    assert said({"app1": ["stack_areas", "ansible_host", "inventory_hostname"], "web1": []}, cadence="daily_check") == []


def test_a_name_cannot_write_on_the_terminal_or_into_the_report():
    hostile = "stack_x\x1b[31m\n# title <b>|" + "y" * 500
    (remark,) = variables.remarks({"app1": [hostile]})
    assert len(remark["subject"]) <= variables.MOST_OF_A_NAME
    found = written([remark])
    summary, report = render.summary(found, None), render.report(found)
    assert "\x1b" not in summary + report
    assert "\n# title" not in summary + report
    assert "<b>" not in report.replace("\\<b\\>", "")


# --- where people read them


def written(remarks, language="en", fail_on="critical"):
    made = record.RunRecord("daily_check.yml", "0.1.0")
    made.configure({"cadence": "daily_check", "hosts": ["app1"], "fail_on": fail_on, "language": language, "home": ""})
    stamped = {**ok("pm2.daemon").as_dict(), "asked_from": "app1", "checked_at": "2026-11-21T00:00:00Z"}
    made.answered("app1", {"findings": [stamped], "expected": ["pm2.daemon"], "site": "seoul"})
    made.remarked(remarks)
    found = made.document()
    jsonschema.validate(found, SCHEMA)
    assert json.loads(json.dumps(found)) == found
    return found


def unknown_variables(number):
    return variables.remarks({"app1": [f"stack_zz{index:02}" for index in range(number)]})


@pytest.mark.parametrize(("language", "word", "title"), [("en", "Remark: ", "## Remarks"), ("ko", "참고: ", "## 참고 사항")])
def test_summary_and_report_have_them(language, word, title):
    (remark,) = variables.remarks({"app1": ["stack_pm2_hom"]})
    found = written([remark], language)
    text = remark["texts"][language]
    assert f"  {word}{text}" in render.summary(found, "/x/report.md").splitlines()
    report = render.report(found)
    assert title in report.splitlines()
    assert [line.replace("\\", "") for line in report.splitlines() if line.startswith("- stack")] == [f"- {text}"]


def test_without_any_there_is_no_trace():
    found = written([])
    assert found["remarks"] == []
    assert "Remark" not in render.summary(found, None) + render.report(found)


def test_a_record_from_before_there_were_remarks_can_be_read():
    found = written([])
    del found["remarks"]
    jsonschema.validate(found, SCHEMA)
    assert "all is well" in render.summary(found, None)
    render.report(found)


@pytest.mark.parametrize("fail_on", record.FAIL_ON)
def test_they_decide_nothing(fail_on):
    before, after = written([], fail_on=fail_on), written(unknown_variables(3), fail_on=fail_on)
    assert after["totals"] == before["totals"]
    assert after["verdict"]["failed"] is False


def test_the_same_said_again_counts_once():
    assert len(written(unknown_variables(1) * 2)["remarks"]) == 1


def test_many_are_bounded_on_the_terminal_and_whole_in_the_report():
    found = written(unknown_variables(25))
    summary = render.summary(found, None)
    assert summary.count("Remark: ") == render.MOST_REMARKS
    assert f"and {25 - render.MOST_REMARKS} more" in summary
    assert render.report(found).count("\n- stack") == 25


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "Other kind"},
        {"subject": ""},
        {"hosts": "app1"},
        {"suggestions": [1]},
        {"texts": {"en": "only one"}},
        {"value": "planted"},
    ],
)
def test_the_schema_refuses_another_form(change):
    found = written(unknown_variables(1))
    found["remarks"][0].update(change)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(found, SCHEMA)


# --- what people read about the prefixes


@pytest.mark.parametrize("path", ["README.md", "inventories/example/README.md"])
def test_the_readmes_name_every_prefix(path):
    text = (CHECKOUT / path).read_text(encoding="utf-8")
    assert [prefix for prefix in variables.prefixes() if f"`{prefix}`" not in text] == []
