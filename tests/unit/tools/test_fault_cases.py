# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows of the fault bench name codes of the catalogue: a misspelt one would leave a row out without a word."""

from __future__ import annotations

import contextlib
import importlib.util
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from ansible_collections.ops.remediation.plugins.module_utils._areas.catalogue import FAULTS

CHECKOUT = Path(__file__).resolve().parents[3]
# The outcomes of a rollback are rows of tests/bench/rollback_rows.py.
ELSEWHERE = {"run.rollback_refused", "run.rollback_undone", "run.rollback_broken"}


@pytest.fixture(scope="module")
def bench():
    sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "tests" / "faults")]
    try:
        import cases
    finally:
        del sys.path[:2]
    return cases


@pytest.fixture
def runner(bench, monkeypatch):
    """Return the fault bench, which notes what it asks of its replica instead of making one."""
    monkeypatch.syspath_prepend(str(CHECKOUT))
    monkeypatch.syspath_prepend(str(CHECKOUT / "tests" / "faults"))
    spec = importlib.util.spec_from_file_location("fault_bench", CHECKOUT / "tests" / "faults" / "run.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "fault_bench", module)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("kind", "down"), [("local", ("down",)), ("containers", ("down", "--purge"))])
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, None])
def test_the_replica_ends_whatever_comes_of_the_rows(runner, monkeypatch, kind, down, error):
    calls = []
    monkeypatch.setattr(runner, "replica", lambda *words: calls.append(words))
    with pytest.raises(error) if error else contextlib.nullcontext(), runner.at_work(kind):
        if error:
            raise error
    assert calls[-1] == down


def test_a_replica_that_does_not_go_hides_not_what_ended_the_rows(runner, monkeypatch, capsys):
    def replica(*words):
        if words[0] != "fault":
            raise runner.BenchError(f"{words[0]} failed")

    monkeypatch.setattr(runner, "replica", replica)
    with pytest.raises(runner.BenchError, match=r"^up failed$"), runner.at_work("containers"):
        pass
    assert "is not down: down failed" in capsys.readouterr().err


def test_when_the_bench_is_stopped_it_waits_for_its_lanes(runner, tmp_path):
    lane = (
        "import signal, sys, time; signal.signal(15, lambda *_: (time.sleep(0.5), open(sys.argv[1] + '/down', 'w').close(), sys.exit(1)))"
    )
    lane += "; open(sys.argv[1] + '/runs', 'w').close(); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", lane, str(tmp_path)]) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "runs").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        runner.end_lanes([process])
    assert (tmp_path / "down").exists()


def test_what_runs_in_containers_too_is_of_the_catalogue_and_has_a_row(bench):
    assert set(bench._OF_THE_CONNECTION) <= {case.code for case in bench.cases()} & set(FAULTS)


@pytest.mark.parametrize("kind", ["local", "containers"])
def test_every_row_is_a_fault_of_the_catalogue(bench, kind):
    assert {case.code for case in bench.cases(kind)} <= set(FAULTS)


def test_every_fault_of_the_run_has_a_row(bench):
    assert {code for code in FAULTS if code.startswith("run.")} - {case.code for case in bench.cases()} == ELSEWHERE


def test_what_is_expected_is_expected_of_a_row(bench):
    files = (CHECKOUT / "tests" / "faults").glob("*/expected.yml")
    expected = {name for file in files for name in yaml.safe_load(file.read_text(encoding="utf-8"))}
    rows = {case.address for case in bench.cases()}
    assert {name.partition(":")[0] for name in expected} <= {case.code for case in bench.cases()}
    assert {name for name in expected if ":" in name} <= rows


def test_severities_and_remedies_that_are_expected_are_those_of_the_catalogue(bench):
    for case in bench.cases():
        entry = FAULTS[case.code]
        assert (case.code, case.expected["severity"]) == (case.code, entry.severity)
        assert (case.code, case.expected["remedies"]) == (case.code, [remedy.id for remedy in entry.remedies])


@pytest.mark.parametrize("kind", ["local", "containers"])
def test_each_row_is_made_once_or_is_one_of_the_rest(runner, bench, kind):
    every = bench.cases(kind)
    once, rest = (runner.chosen_by(rows, kind, every) for rows in ("once", "rest"))
    assert sorted(case.address for case in [*once, *rest]) == sorted(case.address for case in every)
    if kind == "local":
        assert [case.code for case in once] == list(dict.fromkeys(case.code for case in every))


def test_ci_makes_each_fault_in_one_way_that_can_be_made(runner, bench, monkeypatch):
    """On a machine that can mount nothing, as a user without root: what cannot be made there is made in containers."""
    here = {"local": frozenset({"local"}), "containers": frozenset({"root", "systemd", "cgroup", "container", "mount", "fuse"})}
    monkeypatch.setattr(runner, "offers", here.__getitem__)
    local = {case.code for case in runner.chosen_by("once", "local", bench.cases()) if not case.needs - here["local"]}
    hosts = [case for case in bench.cases("containers") if bench.differs_in_containers(case)]
    made = local | {case.code for case in runner.chosen_by("once", "containers", hosts)}
    assert {case.code for case in bench.cases()} - made == {"run.check_unknown"}  # needs both: root, and no containers


def test_the_sample_has_a_row_of_each_area(runner, bench):
    sample = runner.chosen_by("sample", "local", bench.cases())
    assert sorted(case.area for case in sample) == sorted({case.area for case in bench.cases()})


def test_the_lanes_make_each_row_once_and_together_only_what_does_not_disturb(runner, bench):
    every = bench.cases()
    groups = [group for lane in runner.lanes_of(every, 2) for group in lane]
    assert sorted(case.address for group in groups for case in group) == sorted(case.address for case in every)
    for group in groups:
        assert not any(runner.disturb(one, other) for one in group for other in group if one is not other), group
        assert len(group) == 1 or all(runner.areas_of(case) for case in group), group


def test_a_later_part_of_the_replica_is_broken_together_with_others(runner, bench):
    every = bench.cases()
    shared = [group for lane in runner.lanes_of(every, 2) for group in lane if len(group) > 1]
    areas = {case.area: [other.area for other in group] for group in shared for case in group}
    for part in runner.parts():
        assert part.name in areas, f"the rows of {part.name} are made by themselves"
        assert [case.address for case in every if case.area == part.name and runner.areas_of(case) != (part.name,)] == []


def test_a_lane_is_called_with_its_groups(runner, bench, monkeypatch, tmp_path):
    ran = []
    monkeypatch.setattr(runner, "run_rows", lambda groups, clean_runs, kind: ran.extend(groups) or [])
    monkeypatch.setattr(sys, "argv", ["run.py", "--json", str(tmp_path / "rows.json"), "pm2.stopped,ses.sandbox", "pm2.stopped:exited"])
    assert runner.main() == 0
    assert [[case.address for case in group] for group in ran] == [["pm2.stopped", "ses.sandbox"], ["pm2.stopped:exited"]]


def test_what_may_be_folded_under_another_fault_is_not_made_with_it(runner, bench):
    rows = {case.address: case for case in bench.cases()}
    assert bench.may_explain(rows["ses.unreachable"], rows["backend.no_answer"])
    assert runner.disturb(rows["backend.no_answer"], rows["ses.unreachable"])
    assert not runner.disturb(rows["backend.di_error"], rows["ses.unreachable"])
    # A readable dump explains no silent backend.
    assert not bench.may_explain(rows["pm2.dump_readable"], rows["backend.no_answer"])
