# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The callback run_record: what it takes of the answers of tasks."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ops.remediation.plugins.callback import run_record
from ansible_collections.ops.remediation.plugins.module_utils._areas.catalogue import FAULTS as _CATALOGUE
from ansible_collections.ops.remediation.plugins.module_utils._core.finding import ok, reporter
from ansible_collections.ops.remediation.plugins.modules import (
    attachment_scan,
    host_check,
    log_scan,
    oracle_connect_test,
    ses_quota,
    web_check,
)
from ansible_collections.ops.remediation.plugins.plugin_utils.record import record
from ansible_collections.ops.remediation.plugins.plugin_utils.texts import render

fault = reporter(_CATALOGUE)


SCHEMA = json.loads((Path(record.__file__).parent / "schemas" / "run_record-1.json").read_text(encoding="utf-8"))
DOORS = {
    "attachment_scan": (attachment_scan, {"roots": ["{place}"], "wanted": ["a_1.xls"]}, {"attachments.present", "nas.path"}),
    "host_check": (host_check, {"ask": ["memory"]}, {"host.memory"}),
    "log_scan": (log_scan, {"paths": ["{place}/app.log"]}, {"worker.log"}),
    "oracle_connect_test": (
        oracle_connect_test,
        {"targets": [{"name": "db", "host": "127.0.0.1", "port": 1, "service": "X", "user": "tank", "password": "planted-7a1"}]},
        {"oracle.connect", "oracle.privileges"},
    ),
    "ses_quota": (
        ses_quota,
        {"region": "ap-northeast-2", "timeout": 1, "credentials_from": {"env_file": "/nowhere/.env"}},
        {"ses.account", "ses.identities", "ses.key", "ses.quota", "ses.reputation"},
    ),
    "web_check": (web_check, {"health_url": "http://127.0.0.1:1/", "timeout": 1}, {"backend.health"}),
}


@pytest.fixture
def callback(monkeypatch):
    monkeypatch.setenv(record.VERDICT_VARIABLE, "")
    made = run_record.CallbackModule()
    made.v2_playbook_on_start(SimpleNamespace(_file_name="site.yml", get_plays=list))
    return made


def result(answer, action="ops.remediation.x", name="Ask", host="app1", check_mode=False):
    task = SimpleNamespace(action=action, get_name=lambda: name, check_mode=check_mode)
    return SimpleNamespace(_result=answer, _host=SimpleNamespace(get_name=lambda: host), _task=task)


def document(made):
    found = made._record.document()
    jsonschema.validate(found, SCHEMA)
    return found


def stamped(finding):
    return {**finding.as_dict(), "asked_from": "app1", "checked_at": "2026-11-21T00:00:00Z"}


@pytest.mark.parametrize("door", DOORS)
def test_the_findings_of_every_module_that_asks_are_recorded(callback, capsys, tmp_path, door):
    module, options, expected = DOORS[door]
    (tmp_path / "app.log").write_text("well\n", encoding="utf-8")
    given = json.loads(json.dumps(options).replace("{place}", str(tmp_path)))
    with patch_module_args({**given, "state_dir": str(tmp_path / "state")} if door != "web_check" else given), pytest.raises(SystemExit):
        module.main()
    answer = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    callback.v2_runner_on_ok(result(answer))
    found = document(callback)
    assert {finding["check"] for finding in found["findings"]} == set(found["hosts"][0]["expected"]) >= expected
    assert not [finding for finding in found["findings"] if "no answer came back" in str(finding["evidence"].get("reason"))]


def test_a_secret_that_is_a_part_of_an_id_does_not_break_the_record(callback):
    hidden = {**stamped(ok("oracle.connect")), "check": "oracle.********"}
    callback.v2_runner_on_ok(result({"findings": [hidden], "expected": ["oracle.********"]}))
    assert [(finding["check"], finding["code"]) for finding in document(callback)["findings"]] == [("run.reach", "run.check_crashed")]


def test_the_rounds_of_a_loop_are_recorded_one_by_one(callback):
    rounds = [
        {"findings": [stamped(ok("host.disk", "/"))], "expected": ["host.disk"]},
        {"findings": [], "expected": ["host.memory"], "failed": True, "msg": "only: is not a path"},
        {"skipped": True},
    ]
    callback.v2_runner_on_failed(result({"results": rounds, "failed": True, "msg": "One or more items failed"}))
    found = document(callback)
    assert {finding["check"]: finding["status"] for finding in found["findings"]} == {"host.disk": "ok", "host.memory": "unknown"}
    assert [finding["evidence"].get("reason") for finding in found["findings"]] == ["Ask: only: is not a path", None]
    assert found["hosts"][0]["state"] == "failed"


def test_the_site_stays_when_a_module_that_does_not_know_it_answers_before_and_after(callback):
    callback.v2_runner_on_ok(result({"findings": [stamped(ok("host.cpu"))], "expected": ["host.cpu"]}))
    callback.v2_runner_on_ok(result({"findings": [stamped(ok("pm2.daemon"))], "expected": ["pm2.daemon"], "site": "seoul"}))
    callback.v2_runner_on_ok(result({"findings": [stamped(fault("host.disk_90", "host.disk", "/"))], "expected": ["host.disk"]}))
    found = document(callback)
    assert found["hosts"][0]["site"] == "seoul"
    assert {finding["site"] for finding in found["findings"]} == {"seoul"}


MOVED = {"changed": True, "moves": [{"from": "/batch/a_1.XLS", "to": "/batch/a_1.xls"}], "findings": [], "expected": []}
ACTIONS = [
    ("pm2_control", {"changed": True, "actions": ["restart worker (1)"], "processes": []}, ["restart worker (1)"], ""),
    ("release_rollback", {"changed": True, "steps": ["stop worker", "link 20261121"], "msg": "release 20261121 runs"}, None, None),
    ("check_runtime", {"changed": True, "msg": "/opt/x is made with Python 3.11"}, [], "/opt/x is made with Python 3.11"),
    ("attachment_scan", MOVED, ["/batch/a_1.XLS -> /batch/a_1.xls"], ""),
]


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize(("module", "answer", "steps", "detail"), ACTIONS)
def test_what_a_module_changed_is_recorded(callback, module, answer, steps, detail, check_mode):
    callback.v2_runner_on_ok(result(answer, f"ops.remediation.{module}", "Mend", check_mode=check_mode))
    (action,) = document(callback)["actions"]
    assert action.pop("at").endswith("Z")
    assert action == {
        "host": "app1",
        "module": f"ops.remediation.{module}",
        "task": "Mend",
        "check_mode": check_mode,
        "failed": False,
        "steps": answer["steps"] if steps is None else steps,
        "detail": answer["msg"] if detail is None else detail,
    }


def test_a_failure_that_changed_something_is_recorded_and_told(callback):
    answer = {
        "changed": True,
        "failed": True,
        "msg": "worker did not stay online",
        "actions": ["restart worker (1)", "DB_PASS=planted-7a1 x"],
    }
    callback.v2_runner_on_failed(result(answer, "ops.remediation.pm2_control"))
    found = document(callback)
    assert (found["actions"][0]["failed"], found["actions"][0]["steps"][0]) == (True, "restart worker (1)")
    assert "planted-7a1" not in json.dumps(found)
    assert "app1: pm2\\_control (failed) - worker did not stay online; restart worker (1);" in render.report(found)
    assert "조치 내역" in render.report({**found, "language": "ko"})


def test_the_plan_of_check_mode_reads_as_one(callback):
    callback.v2_runner_on_ok(result(MOVED, "ops.remediation.attachment_scan", check_mode=True))
    assert "attachment\\_scan (planned, not done) - " in render.report(document(callback))


@pytest.mark.parametrize(
    ("action", "answer"),
    [
        ("ops.remediation.pm2_control", {"changed": False, "actions": []}),
        ("ops.remediation.stack_check", {"changed": "true", "findings": [], "expected": []}),
        ("ansible.builtin.command", {"changed": True, "steps": ["rm"]}),
        ("other.collection.pm2_control", {"changed": True, "actions": ["x"]}),
    ],
)
def test_what_changed_nothing_and_what_others_change_is_no_action(callback, action, answer):
    callback.v2_runner_on_ok(result(answer, action))
    assert document(callback)["actions"] == []


def test_a_playbook_of_others_stays_silent(callback):
    callback.v2_runner_on_ok(result({"changed": True, "actions": ["restart worker (1)"]}, "ops.remediation.pm2_control"))
    assert not callback._record.is_ours


@pytest.mark.parametrize(("action", "fails"), [("ops.remediation.run_guard", True), ("ansible.builtin.ping", False)])
def test_a_playbook_of_this_collection_that_ran_no_task_fails(monkeypatch, action, fails):
    monkeypatch.setenv(record.VERDICT_VARIABLE, "")
    guard = SimpleNamespace(block=[SimpleNamespace(action=action)], rescue=[], always=[])
    made = run_record.CallbackModule()
    made.v2_playbook_on_start(SimpleNamespace(_file_name="site.yml", get_plays=lambda: [SimpleNamespace(tasks=[guard], roles=[])]))
    said = []
    monkeypatch.setattr(made._display, "error", said.append)
    with pytest.raises(SystemExit) if fails else contextlib.nullcontext():
        made.v2_playbook_on_stats(None)
    assert said == ([run_record.NOTHING_RAN] if fails else [])


def test_the_short_name_of_a_module_counts_too(callback):
    told = result({"changed": True, "actions": ["restart worker (1)"]}, "pm2_control")
    told._task.resolved_action = "ops.remediation.pm2_control"
    callback.v2_runner_on_ok(told)
    assert len(document(callback)["actions"]) == 1


def test_many_steps_are_cut_and_a_strange_answer_breaks_nothing(callback):
    callback.v2_runner_on_ok(result({"changed": True, "actions": [f"step {n}" for n in range(250)]}, "ops.remediation.pm2_control"))
    callback.v2_runner_on_ok(result({"changed": True, "actions": "all", "steps": 7, "moves": [{}]}, "ops.remediation.pm2_control"))
    first, second = document(callback)["actions"]
    assert (len(first["steps"]), first["steps"][-1]) == (101, "... and 150 more")
    assert second["steps"] == ["None -> None"]
