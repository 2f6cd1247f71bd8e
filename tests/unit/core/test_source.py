# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sources: what is prepared before a child becomes another user, and what shares a lock."""

from __future__ import annotations

import fcntl
import os
import time

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._core import children as _process
from ansible_collections.ops.remediation.plugins.module_utils._core import source as _sources
from ansible_collections.ops.remediation.plugins.module_utils._core import state as _state
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import Busy, CannotRead, WrongQuestion


def outcome(source, parameters, state, deadline=50.0):
    (answer,) = _sources.read_all([(source, parameters, deadline)], state).values()
    return answer


@pytest.fixture
def state(tmp_path):
    return _state.State(str(tmp_path / "state"), read_only=False)


def changed(directory, name):
    """Add a name to what is kept, slowly; the body of a process of its own."""
    state = _state.State(directory, read_only=False)

    def slowly(former):
        time.sleep(0.2)
        return [*(former or []), name]

    state.change("list", slowly)


def test_changes_at_the_same_time_lose_nothing(state):
    names = ["a", "b", "c"]
    calls = {name: _process.Call(lambda name=name: changed(state.directory, name), 5.0) for name in names}
    assert all(answer.error is None for answer in _process.call_all(calls).values())
    assert sorted(state.load("list")) == names


def test_a_change_waits_for_another_and_not_for_ever(state, monkeypatch):
    monkeypatch.setattr(_state, "CHANGE_WITHIN", 0.1)
    state.save("list", ["a"])
    with open(os.path.join(state.directory, "kept.lock"), "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(OSError, match="held by another run"):
            state.change("list", lambda former: [*former, "b"])
    assert state.load("list") == ["a"]
    state.change("list", lambda former: None)
    assert state.load("list") == ["a"]


def test_check_mode_keeps_nobody_out_and_writes_nothing(tmp_path):
    reader = _state.State(str(tmp_path / "none"), read_only=True)
    kept = reader.recall("x")
    assert kept == {}
    with kept.alone("account", lambda: True):
        kept.keep(lambda former: {"a": 1})
    assert not (tmp_path / "none").exists()


def test_what_is_kept_meanwhile_is_heard_under_the_lock(state):
    kept, other = state.recall("x"), state.recall("x")
    with kept.alone("account", lambda: True):
        with pytest.raises(Busy), other.alone("account", lambda: True):
            pass
        with other.alone("another", lambda: True):
            kept.keep(lambda former: {**(former or {}), "a": 1})
    with other.alone("account", lambda: True):
        assert (other == {}, other.again()) == (True, {"a": 1})


def test_who_waited_is_told_of_a_holder_that_never_came_back(state):
    kept = state.recall("x")
    state.save("x", {})

    def hang():
        with state.recall("x").alone("account", lambda: True):
            time.sleep(60)

    def wait():
        with state.recall("x").alone("account", lambda: False) as stuck:
            return stuck

    calls = {"hangs": _process.Call(hang, 0.5), "waits": _process.Call(lambda: (time.sleep(0.2), wait())[1], 5.0)}
    outcomes = _process.call_all(calls)
    assert outcomes["hangs"].error is not None
    assert outcomes["waits"].get() is True
    # Who comes later has not waited, and tries.
    with kept.alone("account", lambda: True) as stuck:
        assert stuck is False


@pytest.mark.parametrize("damage", ["", "[]", "3", "null"])
def test_a_damaged_memory_is_empty(state, damage):
    state.save("x", {})
    with open(os.path.join(state.directory, "x.json"), "w") as file:
        file.write(damage)
    assert state.recall("x") == {}


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
def test_what_is_prepared_is_read_before_the_child_becomes_its_owner(state):
    source = _sources.Source(
        "probe",
        lambda prepared, **_parameters: [prepared, os.geteuid()],
        owner=lambda **_parameters: _process.user_id("as_user", "nobody"),
        prepare=lambda **_parameters: os.geteuid(),
    )
    assert outcome(source, {}, state).get() == [0, _process.user_id("as_user", "nobody")]


def test_what_cannot_be_prepared_is_the_error_of_the_source(state):
    def fails(**_parameters):
        raise CannotRead("the list is absent")

    source = _sources.Source("probe", lambda prepared: prepared, prepare=fails)
    assert outcome(source, {}, state).error.message == "the list is absent"


def test_readings_of_the_same_thing_share_a_lock_whatever_else_they_ask(state, monkeypatch):
    hold = _process._hold
    # The child waits a moment for the lock, while we wait long for the child.
    monkeypatch.setattr(_process, "_hold", lambda path, _deadline, **options: hold(path, 0.1, **options))
    source = _sources.Source("probe", lambda **given: given["names"], ("roots", "names"), exclusive=("roots",))
    one, other = {"roots": ["/nas"], "names": ["a"]}, {"roots": ["/nas"], "names": ["b"]}
    assert source.key(one) != source.key(other)
    assert source.lock(one) == source.lock(other) != source.lock({"roots": ["/other"], "names": ["a"]})
    assert outcome(source, one, state).get() == ["a"]
    with open(state.lock_file(source.lock(one)), "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert outcome(source, other, state, deadline=50).error.kind == "busy"


def test_a_lock_that_cannot_be_made_costs_only_the_reading_that_needs_it(tmp_path):
    (tmp_path / "file").touch()
    nowhere = _state.State(str(tmp_path / "file" / "state"), read_only=False)
    locked = _sources.Source("nas", lambda **_given: "read", ("path",), exclusive=("path",))
    other = _sources.Source("pm2", lambda **_given: "read")
    answers = _sources.read_all([(locked, {}, 5.0), (other, {}, 5.0)], nowhere)
    assert answers[other.key({})].get() == "read"
    assert "state_dir" in answers[locked.key({})].error.message
    foreign = _sources.Source(
        "nas", lambda **_given: "read", ("path",), exclusive=("path",), owner=lambda **_given: _process.user_id("as_user", "no-such")
    )
    assert "as_user" in outcome(foreign, {}, nowhere).error.message, "which user is needed is told first"


def test_a_user_that_does_not_exist():
    with pytest.raises(WrongQuestion, match="as_user: 'nobody-of-that-name' does not exist"):
        _process.user_id("as_user", "nobody-of-that-name")
