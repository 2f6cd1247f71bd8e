# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each ansible-core that the collection supports has an environment; what has no Python here is skipped and said."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import yaml

CHECKOUT = Path(__file__).resolve().parents[3]


@pytest.fixture
def versions(monkeypatch):
    monkeypatch.syspath_prepend(str(CHECKOUT))
    from tools import versions

    monkeypatch.setattr(versions.subprocess, "run", lambda *_argv, **_options: None)
    return versions


def test_the_oldest_and_the_newest_are_those_that_are_promised(versions):
    oldest = yaml.safe_load((CHECKOUT / "meta/runtime.yml").read_text(encoding="utf-8"))["requires_ansible"]
    promised = re.search(r"ansible-core (\S+) to (\S+)\. ", (CHECKOUT / "README.md").read_text(encoding="utf-8"))
    assert (min(versions.CORES), max(versions.CORES)) == (promised[1], promised[2])
    assert oldest == f">={promised[1]}.0"


def test_what_has_no_python_is_skipped_and_what_fails_is_counted(versions, monkeypatch, capsys):
    monkeypatch.setattr(versions, "find_python", lambda version: sys.executable if version == "3.11" else "")
    monkeypatch.setattr(versions, "passes", lambda core, _python: core != "2.18")
    assert versions.main([]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "versions: ansible-core 2.21: skipped, there is no Python 3.12 or 3.13 or 3.14" in lines
    assert "versions: 2.18: FAILED" in lines
    assert lines[-1] == "versions: 3 passed, 1 failed, 2 skipped"


def test_a_version_that_is_not_known_is_refused(versions, capsys):
    assert versions.main(["2.9"]) == 2
    assert "there are 2.16, " in capsys.readouterr().err


def test_nothing_that_is_left_out_is_needed_and_ansible_is_the_chosen_one(versions):
    listed = (CHECKOUT / "requirements-dev.txt").read_text(encoding="utf-8").splitlines()
    kept = {line.split("==")[0] for line in listed if "==" in line and not versions.LEFT_OUT.match(line)}
    assert {"pytest", "pytest-xdist", "hypothesis", "moto[s3]", "oracledb", "SQLAlchemy"} <= kept
    assert not any(name.startswith("ansible-core") for name in kept)
