# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the stages of the tests count: a stage whose last line is not understood would have run no test."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]
SPEC = importlib.util.spec_from_file_location("run_stages", CHECKOUT / "tools" / "run_stages.py")
# Says that it runs; on a signal it needs a moment to clean up.
CLEANS_UP = """
import signal, sys, time
def stop(*_):
    time.sleep(float(sys.argv[2]))
    open(sys.argv[1] + "/cleaned", "w").close()
    sys.exit(130)
signal.signal(signal.SIGINT, stop)
signal.signal(signal.SIGTERM, stop)
print("3 passed, 0 failed", flush=True)
open(sys.argv[1] + "/runs", "w").close()
time.sleep(60)
"""
# The stages with another one among them.
HARNESS = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tools import run_stages
run_stages.STAGES["cleans-up"] = run_stages.Stage([sys.executable, "-c", (Path(sys.argv[2]) / "stage.py").read_text(), sys.argv[2], "0.7"], 1, 1)
sys.exit(run_stages.main(["cleans-up"]))
"""
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
    run_stages.report([run_stages.Outcome("unit", 1.0, run_stages.Counter(passed=2)), broken], (), 6.0)
    assert capsys.readouterr().out.splitlines()[-2:] == ["total: 5 passed, 1 failed, 0 skipped", "molecule: reboot FAILED: it hangs"]


@pytest.fixture
def ran(monkeypatch):
    """Return the stages that were run, in place of running them; all of them are well."""
    names = []

    def run_all(chosen):
        names.extend(chosen)
        return [run_stages.Outcome(name, 1.0, run_stages.Counter(passed=1)) for name in chosen]

    monkeypatch.setattr(run_stages, "run_all", run_all)
    monkeypatch.setattr(run_stages.signal, "signal", lambda *_heard: None)  # pytest keeps its own
    return names


def test_without_root_one_line_says_so_before_any_stage(ran, monkeypatch, capsys):
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    for chosen in (["ci"], ["full"], ["molecule"], ["unit", "container-faults"]):
        assert run_stages.main(chosen) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "podman needs root" in line
        assert "make test" in line
    assert ran == []


def test_an_engine_that_is_not_known_is_one_line_too(ran, monkeypatch, capsys):
    monkeypatch.setenv("TANK_CONTAINER_ENGINE", "lxd")
    assert run_stages.main(["ci"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "'lxd'" in line
    assert ran == []


def test_what_is_neither_a_plan_nor_a_stage_is_refused(ran, capsys):
    for chosen in (["units"], ["test", "unit"], ["unit", "ci"]):
        assert run_stages.main(chosen) == 2
        assert "there are unit, lint, " in capsys.readouterr().err
    assert ran == []


def test_what_needs_no_containers_does_not_ask_for_them(ran, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda _name: None)
    assert run_stages.main([]) == 0
    assert run_stages.main(["integration"]) == 0
    assert {"unit", "faults-sample", "integration"} <= set(ran)
    assert not any(run_stages.STAGES[name].in_containers for name in ran)


@pytest.mark.parametrize("plan", run_stages.PLANS)
def test_a_plan_runs_its_stages_and_names_what_it_leaves_out(ran, monkeypatch, capsys, plan):
    monkeypatch.setattr(run_stages, "no_containers", lambda: "")
    assert run_stages.main([plan]) == 0
    assert ran == list(run_stages.PLANS[plan])
    left_out = [name for name in run_stages.PLANS["full"] if name not in ran]
    assert (f"left out: {', '.join(left_out)} " in capsys.readouterr().out) == bool(left_out)


def test_every_stage_is_in_a_plan_and_the_whole_of_ci_is_in_full():
    assert {name for plan in run_stages.PLANS.values() for name in plan} == set(run_stages.STAGES)
    assert set(run_stages.PLANS["ci"]) < set(run_stages.PLANS["full"])
    # Of the faults `make test` takes a sample of what CI makes.
    assert set(run_stages.PLANS["test"]) - {"faults-sample"} < set(run_stages.PLANS["ci"])


@pytest.fixture
def stages(monkeypatch):
    """Return a function that sets the stages: name, processors, seconds, and whether they need containers."""

    def have(**stages):
        monkeypatch.setattr(run_stages, "STAGES", {name: run_stages.Stage([], *given) for name, given in stages.items()})
        monkeypatch.setattr(run_stages, "PROCESSORS", 2.0)

    return have


def test_stages_begin_while_the_processors_suffice(stages):
    stages(long=(0.5, 500), wide=(1.6, 200), narrow=(1.0, 100), small=(0.1, 10))
    names = list(run_stages.STAGES)
    assert run_stages.next_of(names, []) == ["long", "wide", "small"]
    assert run_stages.next_of(["narrow"], ["long", "wide"]) == []
    assert run_stages.next_of(["narrow"], ["long"]) == ["narrow"]


def test_one_stage_in_containers_runs_at_a_time(stages):
    stages(one=(0.5, 500, True), other=(0.5, 200, True), third=(0.5, 100))
    assert run_stages.next_of(["one", "other", "third"], []) == ["one", "third"]
    assert run_stages.next_of(["other"], ["third"]) == ["other"]


def test_a_stage_that_needs_more_than_there_is_runs_by_itself(stages):
    stages(huge=(8.0, 500), small=(0.5, 100))
    assert run_stages.next_of(["huge", "small"], []) == ["huge"]
    assert run_stages.next_of(["huge"], ["small"]) == []


def test_all_stages_run_and_are_reported_in_the_order_of_the_plan(stages, monkeypatch):
    stages(first=(1.0, 10), second=(2.0, 500), third=(1.0, 100))
    began = []

    def run(name, _prefix):
        began.append(name)
        return run_stages.Outcome(name, 1.0)

    monkeypatch.setattr(run_stages, "run", run)
    assert [outcome.name for outcome in run_stages.run_all(["first", "second", "third"])] == ["first", "second", "third"]
    assert began[0] == "second"


def test_the_processor_time_of_a_stage_is_counted(monkeypatch, capsys):
    burn = "import subprocess, sys, time; subprocess.run([sys.executable, '-c', 'import time\\nwhile time.process_time() < 0.5: pass'])"
    monkeypatch.setitem(run_stages.STAGES, "burns", run_stages.Stage([sys.executable, "-c", burn + "; print('1 passed, 0 failed')"], 1, 1))
    outcome = run_stages.run("burns")
    assert outcome.problem == ""
    assert 0.5 <= outcome.work < 5


@pytest.fixture
def cleans_up(tmp_path, monkeypatch, capsys):
    """Return a function that adds a stage whose cleaning up takes some seconds; its time runs from when it is ready for signals."""

    class FromWhenItRuns(threading.Timer):
        def run(self):
            while not (tmp_path / "runs").exists() and not self.finished.wait(0.02):
                pass
            super().run()

    def add(seconds):
        stage = run_stages.Stage([sys.executable, "-c", CLEANS_UP, str(tmp_path), str(seconds)], 1, 1)
        monkeypatch.setitem(run_stages.STAGES, "cleans-up", stage)

    monkeypatch.setattr(run_stages, "Timer", FromWhenItRuns)
    monkeypatch.setattr(run_stages, "LONGEST", 0.2)
    return add


def test_a_stage_that_took_too_long_may_clean_up(tmp_path, cleans_up):
    assert run_stages.CLEANS_UP >= 60  # two replicas in containers go in less
    cleans_up(0.7)
    outcome = run_stages.run("cleans-up")
    assert outcome.problem == "ended after 0.2 s"
    assert (tmp_path / "cleaned").exists()


def test_a_stage_that_does_not_end_is_ended(tmp_path, monkeypatch, cleans_up):
    monkeypatch.setattr(run_stages, "CLEANS_UP", 0.2)
    cleans_up(600)
    assert run_stages.run("cleans-up").problem == "ended after 0.2 s"
    assert not (tmp_path / "cleaned").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_when_it_is_stopped_it_waits_until_the_stage_has_cleaned_up(tmp_path, number):
    (tmp_path / "stage.py").write_text(CLEANS_UP, encoding="utf-8")
    with subprocess.Popen([sys.executable, "-c", HARNESS, str(CHECKOUT), str(tmp_path)], stdout=subprocess.DEVNULL) as stages:
        deadline = time.monotonic() + 60
        while not (tmp_path / "runs").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        stages.send_signal(number)
        assert stages.wait(60) == 130
    assert (tmp_path / "cleaned").exists()


def test_a_stage_that_had_just_begun_when_it_was_stopped_is_stopped_too(monkeypatch):
    monkeypatch.setattr(run_stages, "INTERRUPTED", [signal.SIGINT])
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as begun, run_stages.known(begun):
        assert begun.wait(30) == -signal.SIGINT
