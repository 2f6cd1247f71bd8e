# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module host_check: what it returns, what it keeps, what it rejects."""

from __future__ import annotations

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ops.remediation.plugins.modules import host_check


def test_the_module(capsys, tmp_path):
    with (
        patch_module_args({"ask": ["disk", "memory"], "only": ["/"], "state_dir": str(tmp_path / "s")}),
        pytest.raises(SystemExit) as ended,
    ):
        host_check.main()
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert '"expected": ["host.disk", "host.memory"]' in out
    assert sorted(path.name.split("-")[0] for path in (tmp_path / "s").glob("*.json")) == ["host.disks", "host.memory"]


def test_the_module_in_check_mode_keeps_nothing(capsys, tmp_path):
    arguments = {"ask": ["disk"], "state_dir": str(tmp_path / "s"), "_ansible_check_mode": True}
    with patch_module_args(arguments), pytest.raises(SystemExit):
        host_check.main()
    assert not (tmp_path / "s").exists()


def test_a_wrong_question_to_the_module(capsys, tmp_path):
    arguments = {"ask": ["outbound"], "targets": ["nonsense"], "state_dir": str(tmp_path / "s")}
    with patch_module_args(arguments), pytest.raises(SystemExit) as ended:
        host_check.main()
    assert ended.value.code == 1
    assert "targets[0]: 'nonsense' is not a place to connect to" in capsys.readouterr().out
