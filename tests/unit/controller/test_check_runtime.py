# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's half of check_runtime: what it sends, when, and what it tells the run record."""

from __future__ import annotations

import posixpath
from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible_collections.ops.remediation.plugins.action import check_runtime as action

PLANNED = {"changed": True, "wheels": ["six-1.17.0-py3-none-any.whl", "../../etc/shadow"]}


@pytest.fixture
def act(monkeypatch, tmp_path):
    """Return a function that runs the action with a wheelhouse of two wheels; ``answers`` are what the module says, in turn, or raises."""
    for name in ("six-1.17.0-py3-none-any.whl", "oracledb-26.1.0-cp310-cp310-manylinux2014_x86_64.whl", "README"):
        (tmp_path / name).write_text("")
    monkeypatch.setattr(ActionBase, "run", lambda self, tmp=None, task_vars=None: {})

    def run(answers, check_mode=False, **arguments):
        asked, sent, left = [], [], list(answers)

        def execute(self, module_name, module_args, task_vars):
            asked.append(module_args)
            answer = left.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(ActionBase, "_execute_module", execute)
        monkeypatch.setattr(ActionBase, "_transfer_file", lambda self, local, remote: sent.append(remote) or remote)
        monkeypatch.setattr(ActionBase, "_fixup_perms2", lambda self, paths: None)
        made = action.ActionModule.__new__(action.ActionModule)
        made._task = SimpleNamespace(args={"wheelhouse": str(tmp_path), **arguments}, check_mode=check_mode)
        made._connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir="/remote/tmp", join_path=posixpath.join))
        return made.run(task_vars={"inventory_hostname": "tank-app", "stack_site": "seoul"}), asked, sent

    return run


def test_only_offered_wheels_that_the_host_needs_are_sent(act):
    result, asked, sent = act([PLANNED, {"changed": True, "version": "3.11"}])
    assert sent == ["/remote/tmp/six-1.17.0-py3-none-any.whl"]
    assert [arguments.get("wheelhouse") for arguments in asked] == [None, "/remote/tmp"]
    assert len(asked[0]["wheels"]) == 2
    assert (result["expected"], result["site"], result["asked_from"]) == (["run.runtime"], "seoul", "tank-app")
    assert [(finding["check"], finding["status"], finding["evidence"]["version"]) for finding in result["findings"]] == [
        ("run.runtime", "ok", "3.11")
    ]


@pytest.mark.parametrize(("planned", "check_mode"), [({"changed": False}, False), (PLANNED, True), ({"failed": True, "msg": "no"}, False)])
def test_nothing_is_sent_where_nothing_is_to_be_done(act, planned, check_mode):
    result, asked, sent = act([planned], check_mode=check_mode)
    assert (len(asked), sent) == (1, [])
    assert bool(result.get("failed")) == bool(planned.get("failed"))
    assert bool(result["findings"]) != bool(planned.get("failed"))


def test_a_host_sets_no_facts(act):
    result, _asked, _sent = act([{"changed": False, "ansible_facts": {"x": 1}, "remediation_run": {}, "expected": ["x"]}])
    assert "ansible_facts" not in result
    assert "remediation_run" not in result
    assert result["expected"] == ["run.runtime"]


@pytest.mark.parametrize("arguments", [{"state": "absent"}, {"wheelhouse": ""}])
def test_without_wheels_the_module_runs_once(act, arguments):
    _result, asked, sent = act([{"changed": True}], **arguments)
    assert (len(asked), sent) == (1, [])
    assert "wheels" not in asked[0]


def test_a_host_out_of_reach_is_expected_all_the_same(act):
    result, _asked, _sent = act([AnsibleConnectionFailure("no route")])
    assert (result["unreachable"], result["expected"]) == (True, ["run.runtime"])


def test_a_wheelhouse_that_is_not_there(act, tmp_path):
    result, asked, _sent = act([], wheelhouse=str(tmp_path / "nope"))
    assert asked == []
    assert result["msg"].startswith(f"wheelhouse: '{tmp_path}/nope' cannot be read on the controller")
