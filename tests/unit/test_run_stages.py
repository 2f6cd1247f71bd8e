# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the stages of the tests count: a stage whose last line is not understood would have run no test."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
SPEC = importlib.util.spec_from_file_location("run_stages", CHECKOUT / "tools" / "run_stages.py")
run_stages = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(run_stages)


@pytest.mark.parametrize(
    ("line", "numbers"),
    [
        ("2098 passed in 119.21s (0:01:59)", {"passed": 2098}),
        ("====== 1 failed, 24 passed, 2 skipped in 3.10s ======", {"failed": 1, "passed": 24, "skipped": 2}),
        ("integration: 12 passed, 0 failed", {"passed": 12, "failed": 0}),
        ("molecule: 11 passed, 0 failed in 568 s", {"passed": 11, "failed": 0}),
        ("molecule: 10 passed, 1 failed in 568 s", {"passed": 10, "failed": 1}),
        ("24 passed, 0 failed", {"passed": 24, "failed": 0}),
        ("faults: 24 of 25 found first, 24 explained, 0 of 0 mended, 2 false", {"passed": 24, "failed": 1}),
        ("molecule: default              ok         46.1 s", {}),
        ("tests/unit/test_a.py .... 3 passed the gate", {}),
    ],
)
def test_last_lines_are_understood(line, numbers):
    assert dict(run_stages.count(line)) == numbers


@pytest.mark.parametrize(
    ("counts", "rc", "problem"),
    [({"passed": 3}, 0, ""), ({}, 0, "ran no test"), ({"passed": 3}, 2, "exit code 2"), ({"passed": 3, "failed": 1}, 0, "1 failed")],
)
def test_a_stage_is_well_only_with_tests_that_passed(counts, rc, problem):
    assert run_stages.problem_of(run_stages.Outcome("unit", 1.0, run_stages.Counter(counts)), rc) == problem


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("FAILED tests/unit/test_mask.py::test_a - assert 1 == 2", True),
        ("ERROR tests/unit/test_mask.py::test_a - OSError", True),
        ("molecule: reboot               FAILED    63.0 s: Start: fatal: [tank-app]: FAILED! => it is not there", True),
        ("integration: pm2_control: FAILED (12.1 s)", True),
        ("lint: yamllint: FAILED", True),
        ("not as the table says: pm2.stopped (first root is missing)", True),
        ("molecule: reboot               ok         63.0 s", False),
        ("ERRORS are counted", False),
    ],
)
def test_what_failed_is_told_again_in_the_last_lines(line, named):
    assert bool(run_stages.NAMED_AS_FAILED.match(line)) is named


def test_the_last_lines_name_what_failed(capsys):
    broken = run_stages.Outcome("molecule", 5.0, run_stages.Counter(passed=3, failed=1), "1 failed", ["molecule: reboot FAILED: it hangs"])
    run_stages.tell([run_stages.Outcome("unit", 1.0, run_stages.Counter(passed=2)), broken], (), 6.0)
    assert capsys.readouterr().out.splitlines()[-2:] == ["total: 5 passed, 1 failed, 0 skipped", "molecule: reboot FAILED: it hangs"]


@pytest.fixture
def ran(monkeypatch):
    """Return the stages that were run, in place of running them; all of them are well."""
    names = []

    def run_all(chosen):
        names.extend(chosen)
        return [run_stages.Outcome(name, 1.0, run_stages.Counter(passed=1)) for name in chosen]

    monkeypatch.setattr(run_stages, "run_all", run_all)
    return names


def test_without_root_one_line_says_so_before_any_stage(ran, monkeypatch, capsys):
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    for chosen in (["all"], ["molecule"], ["unit", "container-faults"]):
        assert run_stages.main(chosen) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "podman needs root" in line
        assert "make test" in line
    assert ran == []


def test_an_engine_that_is_not_known_is_one_line_too(ran, monkeypatch, capsys):
    monkeypatch.setenv("TANK_CONTAINER_ENGINE", "lxd")
    assert run_stages.main(["all"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "'lxd'" in line
    assert ran == []


def test_what_needs_no_containers_does_not_ask_for_them(ran, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda _name: None)
    assert run_stages.main([]) == 0
    assert run_stages.main(["integration"]) == 0
    assert {"unit", "faults", "integration"} <= set(ran)
    assert not set(ran) & set(run_stages.IN_CONTAINERS)


def test_with_containers_all_stages_run(ran, monkeypatch):
    monkeypatch.setattr(run_stages, "no_containers", lambda: "")
    assert run_stages.main(["all"]) == 0
    assert ran == list(run_stages.STAGES)
