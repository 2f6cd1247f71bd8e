# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's half of the modules about releases: what the run record is told."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible_collections.ops.remediation.plugins.action import release_backup, release_info, release_rollback


@pytest.fixture
def act(monkeypatch):
    """Return a function that runs an action; ``answer`` is what the module returns, or raises."""
    monkeypatch.setattr(ActionBase, "run", lambda self, tmp=None, task_vars=None: {})

    def run(plugin, answer, *, check_mode=False, **variables):
        def execute(self, module_name, module_args, task_vars):
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(ActionBase, "_execute_module", execute)
        made = plugin.ActionModule.__new__(plugin.ActionModule)
        made._task = SimpleNamespace(args={}, check_mode=check_mode)
        return made.run(task_vars={"inventory_hostname": "app1", **variables})

    return run


@pytest.mark.parametrize(
    ("plugin", "check_mode", "told"),
    [(release_rollback, False, True), (release_backup, False, True), (release_rollback, True, False), (release_info, False, False)],
)
def test_a_lost_connection_says_what_to_do_where_the_host_may_have_begun(act, plugin, check_mode, told):
    answer = act(plugin, AnsibleConnectionFailure("no route"), check_mode=check_mode)
    assert answer["unreachable"] is True
    assert answer["msg"].startswith("no route")
    assert ("goes on there alone: wait some minutes, then run the same command again" in answer["msg"]) is told
    assert answer["expected"] == [plugin.CHECK]


def test_a_look_before_the_rollback_is_no_answer_unless_it_is_refused(act):
    """The record must not take the look at a host for its rollback, which may never come."""
    good = {"changed": True, "state": "planned", "release": "202611210930", "msg": "would be"}
    assert "findings" not in act(release_rollback, good, __emergency_rollback_look=True)
    assert [finding["status"] for finding in act(release_rollback, good)["findings"]] == ["ok"]
    bad = {"failed": True, "msg": "no", "refusals": [{"reason": "space", "message": "no"}]}
    answer = act(release_rollback, bad, __emergency_rollback_look=True)
    assert [finding["code"] for finding in answer["findings"]] == ["run.rollback_refused"]
