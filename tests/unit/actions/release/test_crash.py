# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rollback is killed at every single operation, with applications that really run; the next run must put all in order."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._actions.release import layout as _release_layout
from ansible_collections.ops.remediation.plugins.module_utils._actions.release import preflight as _release_preflight
from ansible_collections.ops.remediation.plugins.module_utils._actions.release import rollback as _release
from ansible_collections.ops.remediation.plugins.module_utils._actions.release.layout import Refused
from ansible_collections.ops.remediation.plugins.module_utils._core import children as _process
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import RemediationError

from .helpers import CRASHES, Installation, killed_at, operations


@pytest.fixture(autouse=True)
def without_children(monkeypatch):
    """Read in this process: only the operations that change something are of interest here, and there are thousands of runs."""

    def here(function, _deadline, **_options):
        return _process.Outcome(function())

    for module in (_release_layout, _release_preflight):
        monkeypatch.setattr(module, "call", here)


WAYS = {
    "rename": {},
    "rename, the present .env kept": {"options": {"env_policy": "keep"}},
    "copy": {"options": {"copy": True}},
    "link": {"layout": "link"},
    "link, the present .env kept": {"layout": "link", "options": {"env_policy": "keep"}},
}

AS_LEFT = "as left"  # by the kill: no next run yet


@pytest.fixture
def folder(tmp_path):
    """A folder in memory where there is one: what is waited for here is the disk."""
    memory = "/dev/shm"
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory, prefix="release-") as name:
        yield Path(name)


def every_kill(folder, way, to, then, *, thin=False, **of_b):
    """Kill at the first operation, the second, ... and run again each time; yields (operation, installation, outcome of the next run).

    thin: of many files that are copied one after the other, only the first and the last one.
    """
    layout, options = way.get("layout", "folder"), way.get("options", {})

    def work(place):
        return lambda hook: place.roll_back(place.id[to], hook, **options)

    place = Installation(folder / "0", layout, **of_b).start()
    names = operations(work(place))
    place.end()
    assert len(names) > 10, "hardly anything was counted, so this proved nothing"
    for number, name in enumerate(names, 1):
        kinds = {each.split()[0] for each in names[max(0, number - 2) : number + 1]}
        if thin and kinds <= {"copy", "sync"}:
            continue
        place = Installation(folder / str(number), layout, **of_b).start()
        try:
            assert killed_at(number, work(place)).split()[0] == name.split()[0]
            outcome = None
            try:
                outcome = None if then == AS_LEFT else place.roll_back(place.id[then], **options)
            except RemediationError as error:
                outcome = error
            yield f"{number}: {name}", place, outcome
        finally:
            place.end()


@pytest.mark.parametrize("way", WAYS)
def test_the_next_run_with_the_same_target_reaches_it(folder, way):
    for at, place, outcome in every_kill(folder, WAYS[way], "B", "B"):
        assert not isinstance(outcome, Exception), f"{at}: {outcome}"
        assert place.running() == "B", at
        assert place.lost() == [], at
        again = place.roll_back(place.id["B"], **WAYS[way].get("options", {}))
        assert (again.changed, again.state) == (False, "already"), at


@pytest.mark.parametrize("way", ["rename, the present .env kept", "link"])
def test_the_next_run_with_another_target_reaches_that_one(folder, way):
    for at, place, outcome in every_kill(folder, WAYS[way], "B", "C"):
        assert not isinstance(outcome, Exception), f"{at}: {outcome}"
        assert place.running() == "C", at
        assert place.lost() == [], at


def as_it_is(place):
    """Return what a run that is refused must leave alone: every name, and what runs."""
    names = sorted(str(path) for path in place.folder.rglob("*") if not path.name.endswith(".lock"))
    return names, {name: place.applications.pid(name) for name in ("backend", "worker")}


@pytest.mark.parametrize("to", [None, "202612312359"])
@pytest.mark.parametrize("way", ["rename", "link"])
def test_the_next_run_with_no_or_an_unknown_target_touches_nothing_and_names_the_interruption(folder, way, to):
    for at, place, _outcome in every_kill(folder, WAYS[way], "B", AS_LEFT, thin=True):
        before = as_it_is(place)
        interrupted = _release.listing(place.request(None))["interrupted"]
        with pytest.raises(Refused) as error:
            place.roll_back(to)
        partial = error.value.details["partial"]
        assert as_it_is(place) == before, at
        assert (partial.changed, [each.get("interrupted", "") for each in partial.refusals]) == (False, [interrupted]), at
        if interrupted:
            assert f"a rollback to {interrupted} was interrupted and is left as it is; emergency_rollback_to={interrupted}" in str(
                error.value
            )
        assert place.roll_back(place.id["B"]).release == place.id["B"], at
        assert (place.running(), place.lost()) == ("B", []), at


@pytest.mark.parametrize("way", ["rename", "copy", "link"])
def test_the_next_run_stops_no_worker_while_a_mail_run_is_open(folder, way):
    refused = 0
    for at, place, _outcome in every_kill(folder, WAYS[way], "B", AS_LEFT, thin=True):
        before, worker = as_it_is(place), place.applications.pid("worker")
        try:
            outcome = place.roll_back(place.id["B"], open_runs=1, **WAYS[way].get("options", {}))
        except Refused as error:
            assert error.details["reason"] == "open_run", at
            partial = error.details["partial"]
            if partial.changed:  # no worker ran, or none was stopped yet; the former release is back with its own
                assert worker in (0, place.applications.pid("worker")), at
                assert place.running() == "A", at
                assert "the former release is back" in partial.refusals[0]["touched"], at
            else:
                assert as_it_is(place) == before, at
                assert worker, f"{at}: nothing ran that a stop could have torn apart"
            refused += 1
            continue
        assert outcome.release == place.id["B"], at
        assert place.applications.pid("worker") == worker or not worker, at
    assert refused > 3


@pytest.mark.parametrize("way", ["rename", "link"])
def test_a_release_that_runs_well_is_finished_whatever_is_wanted_next(folder, way):
    """The last operations are those after both processes run: there nothing may be put back."""
    finished = 0
    for at, place, _outcome in every_kill(folder, WAYS[way], "B", AS_LEFT, thin=True):
        if place.running() != "B":
            continue
        seen = []
        with pytest.raises(RemediationError):  # of C, after B was finished
            (place.paths["C"] / "backend/dist/main.js").write_text("exit 1")
            place.codes["C"] = ""
            place.digests.pop("C", None)
            place.roll_back(place.id["C"], seen.append)
        ends = [each for each in seen if each.startswith("journal ")]
        finished += ends[:2] == ["journal placed", "journal finished"]
        assert place.running() == "B", at
        assert place.lost() == [], at
    assert finished >= 3


def test_the_former_release_can_be_asked_for_after_a_kill(folder):
    """By the name under which it was put aside; behind a link it has its own."""
    for at, place, _outcome in every_kill(folder, WAYS["link"], "B", AS_LEFT, thin=True):
        outcome = None
        try:
            outcome = place.roll_back(place.id["A"])
        except Refused as error:
            assert error.details["reason"] == "running", at  # nothing was begun, or nothing was touched yet
        assert place.running() == "A", f"{at}: {outcome}"
        assert place.lost() == [], at


@pytest.mark.parametrize("way", ["rename", "copy", "link"])
def test_check_mode_after_a_kill_says_what_the_real_run_does(folder, way):
    options = WAYS[way].get("options", {})
    for at, place, _outcome in every_kill(folder, WAYS[way], "B", AS_LEFT, thin=True):
        for to in ("B", "C"):
            before = as_it_is(place)
            would = place.roll_back(place.id[to], check_mode=True, **options)
            assert as_it_is(place) == before, at
        done = place.roll_back(place.id["C"], **options)
        known = [step for step in would.steps if "aside-" not in step and ".rollback-" not in step]
        assert [step for step in done.steps if "aside-" not in step and ".rollback-" not in step] == known, at
        assert len(done.steps) == len(would.steps), at


@pytest.mark.parametrize("way", ["rename, the present .env kept", "copy", "link"])
def test_a_kill_while_a_bad_release_is_undone(folder, way):
    for at, place, outcome in every_kill(folder, WAYS[way], "B", "B", thin=True, worker=CRASHES):
        assert isinstance(outcome, RemediationError), f"{at}: {outcome}"
        assert "former release is back" in str(outcome), f"{at}: {outcome}"
        assert place.running() == "A", at
        assert place.lost() == [], at
