# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard against refused passwords: what counts, what is forgotten, what other runs add."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._core.refusals import Refusals, is_of, refusal, without
from ansible_collections.ops.remediation.plugins.module_utils._core.state import State


def entries(memory):
    return memory.get("refused") or {}


def refused(*credentials):
    return {**refusal(*credentials), "at": "2026-01-01T00:00:00Z"}


def test_a_refusal_is_of_its_credentials_only_and_holds_no_password():
    entry = refused("tank@db", "hunter2")
    assert is_of(entry, "tank@db", "hunter2")
    assert not is_of(entry, "tank@db", "hunter3")
    assert not is_of(entry, "tank@other", "hunter2")
    assert "hunter2" not in str(entry)
    assert refused("tank@db", "hunter2")["hash"] != entry["hash"]


@pytest.mark.parametrize(
    "entry", [None, 3, "x", [], {}, {"salt": "00"}, {"salt": "zz", "hash": "11", "at": "x"}, {"salt": "00", "hash": "é", "at": "x"}]
)
def test_a_damaged_entry_is_of_no_credentials(entry):
    assert not is_of(entry, "a", "b")


def test_what_is_forgotten_is_what_the_memory_held_and_nothing_that_another_run_adds(tmp_path):
    state = State(str(tmp_path), read_only=False)
    state.save("x", {"refused": {"a": refused("a", "old"), "b": refused("b", "old")}})
    guard = Refusals(state.recall("x"), entries, forget=True)
    assert (guard.known, sorted(guard.recalled)) == ({}, ["a", "b"])
    newer = refused("a", "old")
    State(str(tmp_path), read_only=False).change("x", lambda former: {"refused": {**former["refused"], "a": newer}})
    assert guard.again() == {"a": newer}
    assert without(state.load("x")["refused"], guard.forgotten) == {"a": newer}


def test_without_a_wish_to_forget_all_counts(tmp_path):
    state = State(str(tmp_path), read_only=False)
    guard = Refusals(state.recall("x"), entries)
    assert (guard.known, guard.again(), guard.shared) == ({}, {}, True)
    guard.keep(lambda former: {"refused": {"a": {"salt": "00", "hash": "11", "at": "x"}}})
    assert set(guard.again()) == {"a"}
    assert guard.known == {}


def test_a_plain_memory_is_of_this_run_alone(tmp_path):
    guard = Refusals({"refused": {"a": {"hash": "1"}}}, entries)
    with guard.alone("a", lambda: True) as hung:
        assert not hung
    guard.keep(lambda former: 1 / 0)
    assert (guard.again(), guard.shared) == ({"a": {"hash": "1"}}, False)
    assert Refusals(None, entries).known == {}


def test_a_folder_that_cannot_be_written_costs_nothing(tmp_path):
    (tmp_path / "file").touch()
    guard = Refusals(State(str(tmp_path / "file"), read_only=False).recall("x"), entries)
    guard.keep(lambda former: {"refused": {}})
    with guard.alone("a", lambda: True) as hung:
        assert not hung
