# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rollback is killed at every single operation, with applications that really run; the next run must put all in order."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from ansible_collections.ops.remediation.plugins.module_utils import _process, _release_layout, _release_preflight
from ansible_collections.ops.remediation.plugins.module_utils._errors import RemediationError
from ansible_collections.ops.remediation.plugins.module_utils._release_layout import Refused

from .release_helpers import CRASHES, Installation, killed_at, operations


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
            try:
                outcome = place.roll_back(place.id[then] if then else None, **options)
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


@pytest.mark.parametrize("way", ["rename", "link"])
def test_the_next_run_without_a_target_undoes_and_refuses(folder, way):
    for at, place, outcome in every_kill(folder, WAYS[way], "B", None, thin=True):
        assert isinstance(outcome, Refused), f"{at}: {outcome}"
        assert place.running() == "A", at
        assert place.lost() == [], at


@pytest.mark.parametrize("way", ["rename, the present .env kept", "copy", "link"])
def test_a_kill_while_a_bad_release_is_undone(folder, way):
    for at, place, outcome in every_kill(folder, WAYS[way], "B", "B", thin=True, worker=CRASHES):
        assert isinstance(outcome, RemediationError), f"{at}: {outcome}"
        assert "former release is back" in str(outcome), f"{at}: {outcome}"
        assert place.running() == "A", at
        assert place.lost() == [], at
