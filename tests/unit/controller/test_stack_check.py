# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module's main() and its action plugin."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleConnectionFailure, AnsibleError, AnsibleUndefinedVariable
from ansible.module_utils.testing import patch_module_args
from ansible.plugins.action import ActionBase
from ansible_collections.ops.remediation.plugins.action import run_guard, run_verdict
from ansible_collections.ops.remediation.plugins.action import stack_check as action
from ansible_collections.ops.remediation.plugins.module_utils._areas import registry as _registry
from ansible_collections.ops.remediation.plugins.module_utils._core.check import Check
from ansible_collections.ops.remediation.plugins.module_utils._core.finding import ok
from ansible_collections.ops.remediation.plugins.modules import stack_check as module
from ansible_collections.ops.remediation.plugins.plugin_utils.record import record

CHECKOUT = Path(__file__).resolve().parents[3]


def run_module(capsys, tmp_path, **arguments):
    """Run main() and return (exit code, what it printed)."""
    with patch_module_args({"state_dir": str(tmp_path / "state"), **arguments}), pytest.raises(SystemExit) as ended:
        module.main()
    return ended.value.code, json.loads(capsys.readouterr().out)


def test_a_fault_is_a_successful_run(capsys, tmp_path):
    (tmp_path / "pm2").mkdir()
    code, answer = run_module(
        capsys, tmp_path, asked_from="tank-app", checks=[{"check": "pm2.daemon", "params": {"pm2_home": str(tmp_path / "pm2")}}]
    )
    assert code == 0
    assert answer["changed"] is False
    assert answer["expected"] == ["pm2.daemon"]
    finding = answer["findings"][0]
    assert (finding["code"], finding["status"], finding["asked_from"]) == ("pm2.daemon_down", "critical", "tank-app")


def test_a_wrong_question_fails_and_keeps_the_findings(capsys, tmp_path):
    (tmp_path / "pm2").mkdir()
    checks = [{"check": "pm2.daemon", "params": {"pm2_home": str(tmp_path / home)}} for home in ("pm2", "nope")]
    code, answer = run_module(capsys, tmp_path, checks=checks)
    assert code == 1
    assert answer["msg"].startswith(f"pm2_home: '{tmp_path}/nope' does not exist")
    assert [finding["code"] for finding in answer["findings"]] == ["pm2.daemon_down", "run.check_unknown"]


def test_an_unknown_check_fails_before_anything_is_asked(capsys, tmp_path):
    code, answer = run_module(capsys, tmp_path, checks=[{"check": "pm2.demon"}])
    assert code == 1
    assert "did you mean pm2.daemon?" in answer["msg"]
    assert not (tmp_path / "state").exists()


def test_check_mode_writes_no_state(capsys, tmp_path):
    (tmp_path / "pm2").mkdir()
    run_module(capsys, tmp_path, _ansible_check_mode=True, checks=[{"check": "pm2.daemon", "params": {"pm2_home": str(tmp_path / "pm2")}}])
    assert not (tmp_path / "state").exists()


@pytest.fixture
def act(monkeypatch):
    """Return a function that runs an action with arguments; ``answer`` is what the module would return, or raise."""
    monkeypatch.setattr(ActionBase, "run", lambda self, tmp=None, task_vars=None: {})

    def run(
        plugin,
        arguments,
        answer=None,
        delegate_to=None,
        transport="ssh",
        become=None,
        environment=None,
        template=lambda value: value,
        **variables,
    ):
        sent = []

        def execute(self, module_name, module_args, task_vars):
            sent.append(
                {**module_args, "python": task_vars.get("ansible_python_interpreter")} if "stack_check_python" in variables else module_args
            )
            if isinstance(answer, Exception):
                raise answer
            if callable(answer):
                return answer(module_args)
            return answer or {"changed": False, "findings": []}

        monkeypatch.setattr(ActionBase, "_execute_module", execute)
        made = plugin.ActionModule.__new__(plugin.ActionModule)
        made._task = SimpleNamespace(args=arguments, delegate_to=delegate_to, check_mode=False, action="x", environment=environment)
        made._connection = SimpleNamespace(transport=transport, become=become)
        made._templar = SimpleNamespace(template=template)
        monkeypatch.setattr(plugin.ActionModule, "_configure_module", lambda self, **options: None, raising=False)
        return made.run(task_vars={"inventory_hostname": "tank-app", "stack_site": "seoul", **variables}), sent

    return run


ASKED = {"checks": [{"check": "pm2.daemon", "params": {"pm2_home": "/home/tankmail/.pm2"}}]}


def test_the_action_tells_who_asks_and_what_was_expected(act):
    result, sent = act(action, ASKED, {"changed": False, "findings": [1]})
    assert sent[0]["asked_from"] == "tank-app"
    assert result == {"changed": False, "findings": [1], "expected": ["pm2.daemon"], "site": "seoul", "asked_from": "tank-app"}


def test_what_a_check_leaves_out_is_filled_from_the_inventory(act):
    variables = {"stack_pm2_home": "/home/tank/.pm2", "stack_pm2_user": "tank"}
    _result, sent = act(action, {"checks": [{"check": "pm2.daemon"}, {"check": "pm2.user", "params": {"user": "other"}}]}, **variables)
    assert [entry["params"] for entry in sent[0]["checks"]] == [
        {"pm2_home": "/home/tank/.pm2", "user": "tank"},
        {"pm2_home": "/home/tank/.pm2", "user": "other"},
    ]


def test_a_variable_that_refers_to_what_is_undefined_is_named(act):
    def template(value):
        if value == "{{ nowhere }}":
            raise AnsibleUndefinedVariable("'nowhere' is undefined")
        return value

    result, sent = act(action, ASKED, stack_pm2_user="{{ nowhere }}", template=template)
    assert sent == []
    assert result["msg"].startswith("stack_pm2_user: '(not shown)' refers to an undefined variable ('nowhere' is undefined); define it")
    assert result["expected"] == ["pm2.daemon"]


CONTROLLER = {"delegate_to": "localhost", "transport": "local"}
THIS_PYTHON = {"ansible_delegated_vars": {"localhost": {"ansible_python_interpreter": sys.executable}}}


def test_a_checker_that_is_the_controller_is_asked_in_this_process(act, tmp_path):
    asked = {"checks": [{"check": "pm2.daemon", "params": {"pm2_home": str(tmp_path)}}], "state_dir": str(tmp_path / "state")}
    result, sent = act(action, asked, **CONTROLLER, **THIS_PYTHON)
    assert sent == []
    assert [(finding["code"], finding["asked_from"]) for finding in result["findings"]] == [("pm2.daemon_down", "localhost")]
    assert result["expected"] == ["pm2.daemon"]


@pytest.mark.parametrize(
    "differs",
    [
        {"delegate_to": None},
        {"transport": "ssh"},
        {"become": object()},
        {"environment": [{"PGPASSFILE": "/etc/pgpass"}]},
        {"ansible_delegated_vars": {"localhost": {"ansible_python_interpreter": "/usr/bin/python2"}}},
    ],
)
def test_any_other_checker_is_asked_by_the_module(act, differs):
    assert act(action, ASKED, **{**CONTROLLER, **THIS_PYTHON, **differs})[1]


def test_a_wrong_argument_fails_in_this_process_as_in_the_module(act):
    result, _sent = act(action, {**ASKED, "state_folder": "x"}, **CONTROLLER, **THIS_PYTHON)
    assert result["failed"]
    assert "state_folder" in result["msg"]


RUNTIME = "/opt/ops-remediation/runtime/bin/python"


@pytest.fixture
def mixed(monkeypatch):
    """Return questions with and without a driver, of checks that are registered."""
    registered = {"oracle": lambda: (Check("oracle.connect", "Is it?", lambda asked: [ok("oracle.connect")], (), {}, driver="oracledb"),)}
    monkeypatch.setattr(_registry, "REGISTERED", {**_registry.REGISTERED, **registered})
    return {"checks": [{"check": "oracle.connect"}, *ASKED["checks"]]}


def asked_with(sent):
    return [([entry["check"] for entry in arguments["checks"]], arguments["python"]) for arguments in sent]


def test_what_needs_a_driver_is_asked_with_the_python_that_has_it(act, mixed):
    result, sent = act(action, mixed, lambda given: {"changed": False, "findings": given["checks"]}, stack_check_python=RUNTIME)
    assert asked_with(sent) == [(["pm2.daemon"], None), (["oracle.connect"], RUNTIME)]
    assert [entry["check"] for entry in result["findings"]] == ["pm2.daemon", "oracle.connect"]
    assert result["expected"] == ["oracle.connect", "pm2.daemon"]
    assert not result.get("failed")


@pytest.mark.parametrize("checks", [["pm2.daemon"], ["oracle.connect"]])
def test_the_module_runs_once_where_one_python_is_enough(act, mixed, checks):
    asked = {"checks": [entry for entry in mixed["checks"] if entry["check"] in checks]}
    _result, sent = act(action, asked, stack_check_python=RUNTIME)
    assert asked_with(sent) == [(checks, RUNTIME if checks == ["oracle.connect"] else None)]


@pytest.mark.parametrize(("root", "python"), [("/batch/report", None), ("s3://reports/statement", RUNTIME)])
def test_what_needs_a_driver_for_its_parameters_alone_is_asked_with_that_python_then(act, root, python):
    asked = {"checks": [{"check": "attachments.present", "params": {"roots": [root]}}]}
    _result, sent = act(action, asked, stack_check_python=RUNTIME)
    assert asked_with(sent) == [(["attachments.present"], python)]


@pytest.mark.parametrize("variables", [{"stack_check_python": ""}, {"stack_check_python": None}])
def test_without_such_a_python_all_is_asked_at_once(act, mixed, variables):
    _result, sent = act(action, mixed, **variables)
    assert asked_with(sent) == [(["oracle.connect", "pm2.daemon"], None)]


def test_a_checker_does_not_use_the_hosts_python(act, mixed):
    _result, sent = act(action, mixed, delegate_to="checker", stack_check_python=RUNTIME)
    assert asked_with(sent) == [(["oracle.connect", "pm2.daemon"], None)]


def test_a_python_that_is_not_there_costs_only_what_needs_it(act, mixed):
    def answer(given):
        if given["checks"][0]["check"] == "oracle.connect":
            return {"failed": True, "msg": "not found", "rc": 127, "module_stderr": "/bin/sh: 1: not found"}
        return {"changed": False, "findings": [1], "warnings": ["disk full"]}

    result, _sent = act(action, mixed, answer, stack_check_python=RUNTIME)
    assert (result["failed"], result["findings"], result["warnings"]) == (True, [1], ["disk full"])
    assert (
        result["msg"] == f"stack_check_python: '{RUNTIME}' does not run on this host; make it with the role ops.remediation.check_runtime"
    )
    assert result["expected"] == ["oracle.connect", "pm2.daemon"]


def test_failures_with_both_pythons_are_both_told(act, mixed):
    result, _sent = act(action, mixed, lambda given: {"failed": True, "msg": given["checks"][0]["check"]}, stack_check_python=RUNTIME)
    assert (result["failed"], result["msg"], result["findings"]) == (True, "pm2.daemon; oracle.connect", [])


def test_a_host_out_of_reach_is_tried_once(act, mixed):
    result, sent = act(action, mixed, AnsibleConnectionFailure("no route"), stack_check_python=RUNTIME)
    assert len(sent) == 1
    assert (result["unreachable"], result["expected"]) == (True, ["oracle.connect", "pm2.daemon"])


def test_a_delegated_task_names_the_host_that_asks(act):
    assert act(action, ASKED, delegate_to="checker")[1][0]["asked_from"] == "checker"


def test_an_unreachable_host_still_tells_what_was_expected(act):
    result, _sent = act(action, ASKED, AnsibleConnectionFailure("no route"))
    assert result["unreachable"] is True
    assert result["expected"] == ["pm2.daemon"]
    assert "no route" in result["msg"]


def test_an_error_of_ansible_still_tells_what_was_expected(act):
    result, _sent = act(action, ASKED, AnsibleError("no become"))
    assert (result["failed"], result["expected"]) == (True, ["pm2.daemon"])


@pytest.mark.parametrize("checks", [None, "pm2.daemon", {"check": "pm2.daemon"}, ["pm2.daemon"], [{"check": "nope"}]])
def test_a_wrong_question_never_reaches_the_host(act, checks):
    result, sent = act(action, {"checks": checks})
    assert result["failed"] is True
    assert "\n" not in result["msg"]
    assert sent == []


def test_a_secret_never_reaches_the_host(act):
    result, sent = act(action, {"checks": [{"check": "pm2.daemon", "params": {"pm2_home": "/x", "db_password": "planted"}}]})
    assert sent == []
    assert "planted" not in json.dumps(result)


@pytest.mark.parametrize("dsn", ["scott/planted@db", "(DESCRIPTION=(ADDRESS=(HOST=h))(CONNECT_DATA=(PASSWORD=planted)))"])
def test_a_password_in_a_dsn_of_stack_oracle_targets_never_reaches_the_host(act, dsn):
    targets = [{"name": "customer-db", "dsn": dsn, "user": "scott", "password_from": {"file": "/etc/tank/password"}}]
    result, sent = act(action, {"checks": [{"check": "oracle.connect"}]}, stack_oracle_targets=targets)
    assert sent == []
    assert result["msg"].startswith("checks[0].params.targets: '(hidden)' looks like a secret")
    assert "planted" not in json.dumps(result)


def test_nothing_to_ask_needs_no_connection(act):
    result, sent = act(action, {"checks": []})
    assert sent == []
    assert result == {"changed": False, "findings": [], "expected": [], "site": "seoul", "asked_from": "tank-app"}


def test_the_verdict_fails_where_nobody_kept_a_record(act, monkeypatch):
    monkeypatch.delenv(record.VERDICT_VARIABLE, raising=False)
    result, _sent = act(run_verdict, {})
    assert result["failed"] is True
    assert "no run record was kept" in result["msg"]


def test_the_verdict_is_the_records(act, monkeypatch):
    monkeypatch.setenv(record.VERDICT_VARIABLE, json.dumps({"failed": True, "reason": "2 critical", "fail_on": "critical", "run_id": "x"}))
    result, _sent = act(run_verdict, {})
    assert (result["failed"], result["msg"]) == (True, "2 critical (remediation_fail_on: critical)")


def test_the_guard_refuses_without_the_callback(act, monkeypatch):
    monkeypatch.delenv(record.VERDICT_VARIABLE, raising=False)
    monkeypatch.setattr(ActionBase, "validate_argument_spec", lambda self, spec: (None, {"hosts": ["a"]}))
    result, _sent = act(run_guard, {})
    assert result["failed"] is True
    assert result["msg"].startswith("callbacks_enabled: ops.remediation.run_record is not enabled")


@pytest.mark.parametrize(("strict", "refused"), [("emergency_rollback_", True), (None, False), ("release_backup_", False)])
def test_the_guard_refuses_misspelt_variables_only_where_a_playbook_is_strict(act, monkeypatch, strict, refused):
    monkeypatch.setenv(record.VERDICT_VARIABLE, "null")
    given = {"cadence": "emergency_rollback", "hosts": ["a"], "pattern": "all", "fail_on": "critical", "language": "en", "home": ""}
    monkeypatch.setattr(ActionBase, "validate_argument_spec", lambda self, spec: (None, {**given, "strict": strict}))
    monkeypatch.setattr(run_guard.ActionModule, "_loader", None, raising=False)
    monkeypatch.setattr(run_guard, "load_extra_vars", lambda _loader: {"emergency_rollback_evn": "keep", "emergency_rollback_to": "latest"})
    result, _sent = act(run_guard, {})
    assert bool(result.get("failed")) is refused
    assert [remark["subject"] for remark in result["remediation_remarks"]] == ["emergency_rollback_evn"]
    if refused:
        assert result["msg"] == (
            "emergency_rollback_evn (given with -e) is not a variable of this collection; did you mean emergency_rollback_env?"
            " Nothing was changed: correct the name, or remove the variable"
        )
