# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The access rights of .env, judged."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.backend import check_env, read_env
from ansible_collections.ops.remediation.plugins.module_utils._core.children import Outcome
from ansible_collections.ops.remediation.plugins.module_utils._core.source import Asked

from ...shared.logs.application_facts import NOW, words


@pytest.fixture
def env(tmp_path):
    path = tmp_path / ".env"
    path.write_text("ORACLE_PASS=planted-secret\n")
    path.chmod(0o600)
    return path


def env_finding(path):
    return check_env.judge(Asked({"env_file": str(path)}, NOW, {"backend.env_file": Outcome(value=read_env.read_env_file(str(path)))}))[0]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o400])
def test_a_private_env_is_well(env, mode):
    env.chmod(mode)
    assert env_finding(env).status == "ok"


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602])
def test_an_open_env_is_a_fault(env, mode, monkeypatch):
    env.chmod(mode)
    monkeypatch.setattr(read_env, "reachable_by_others", lambda _path: True)
    finding = env_finding(env)
    assert (finding.code, finding.remedies, finding.evidence["mode"]) == ("backend.env_readable", ("file.tighten",), f"{mode:04o}")
    assert "sudo chmod o= " in words(finding)
    monkeypatch.setattr(read_env, "reachable_by_others", lambda _path: False)
    assert env_finding(env).status == "ok"


def test_an_absent_env_is_unknown(tmp_path):
    finding = env_finding(tmp_path / ".env")
    assert finding.status == "unknown"
    assert "does not exist" in finding.evidence["reason"]
