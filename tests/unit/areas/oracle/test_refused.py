# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A wrong password is tried once: the replica's log of logins counts. And many targets at once, time limits, nothing left behind."""

from __future__ import annotations

import contextlib
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._core.state import State
from ansible_collections.ops.remediation.plugins.module_utils._shared.oracle import progress
from ansible_collections.ops.remediation.plugins.module_utils._shared.oracle.outcome import Outcome

from . import helpers as h

RIGHT, WRONG = "right-for-tests-1", "wrong-for-tests-1"
UNTOUCHED = 50.0  # a limit that no test reaches, on a busy machine either


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    made = h.start_replica(tmp_path_factory.mktemp("oracle"))
    yield made
    made.server.stop()


@pytest.fixture(scope="module")
def asker():
    made = h.Asker.start()
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def no_faults_left(place):
    yield
    place.server.control.clear_faults()


@pytest.fixture
def user(place, request):
    """A new account, so that each test has a count of its own."""
    name = f"U{abs(hash(request.node.name)) % 10**9}"
    place.server.control.account(name, password=RIGHT)
    return name


# --- within a run


def test_a_wrong_password_is_tried_once_for_all_targets_with_the_account(place, asker, user):
    same = {"user": user, "password": WRONG}
    targets = [place.target(f"t{number}", **same) for number in range(6)]
    targets += [place.target("sid", sid="ORCL", **same), place.target("name", host="localhost", **same)]
    targets.append(place.target("dsn", dsn=f"127.0.0.1:{place.server.ports['port']}/ORCLPDB1", **same))
    answer = asker.ask(*targets)
    assert set(answer.codes().values()) == {"ORA-01017"}
    assert place.tried(user) == ["ORA-01017"]
    first = [finding for finding in answer.findings if finding["check"] == "oracle.connect" and "refused_for" not in finding["evidence"]]
    assert len(first) == 1
    others = {finding["evidence"].get("refused_for") for finding in answer.findings if finding["check"] == "oracle.connect"}
    assert others == {None, first[0]["subject"]}


def test_another_password_of_the_account_is_tried(place, asker, user):
    answer = asker.ask(place.target("wrong", user=user, password=WRONG), place.target("right", user=user, password=RIGHT))
    assert answer.codes() == {"wrong": "ORA-01017", "right": ""}
    assert sorted(place.tried(user)) == ["OK", "ORA-01017"]


def test_a_target_that_fails_before_the_login_says_nothing_about_the_password(place, asker, user):
    answer = asker.ask(place.target("none", service="NOSUCH", user=user, password=WRONG), place.target("db", user=user, password=WRONG))
    assert answer.codes() == {"none": "ORA-12514", "db": "ORA-01017"} or answer.codes() == {"none": "ORA-01017", "db": "ORA-01017"}
    assert place.tried(user) == ["ORA-01017"]


def test_a_locked_account_is_asked_once(place, asker, user):
    place.server.control.account(user, status="LOCKED")
    answer = asker.ask(*[place.target(f"t{number}", user=user, password=RIGHT) for number in range(4)])
    assert set(answer.codes().values()) == {"ORA-28000"}
    assert place.tried(user) == ["ORA-28000"]


def test_a_login_that_hangs_is_not_followed_by_others(place, asker, user):
    place.server.control.set_fault("stage", stage="auth2", mode="silent")
    answer = asker.ask(*[place.target(f"t{number}", user=user, password=WRONG) for number in range(4)], stage_timeout=0.4)
    codes = list(answer.codes().values())
    assert sorted(codes) == ["ORA-12170", *["run.check_unknown"] * 3]
    behind = [
        finding["evidence"] for finding in answer.findings if finding["code"] == "run.check_unknown" and "stage" in finding["evidence"]
    ]
    assert {evidence["blocked_by"] for evidence in behind} == {"ORA-12170"}
    assert len(place.tried(user)) == 1
    assert answer.seconds < 2


def test_good_logins_go_together_after_the_first(place, asker, user):
    place.server.control.set_fault("stage", stage="auth1", mode="slow", seconds=0.4)
    answer = asker.ask(*[place.target(f"t{number}", user=user, password=RIGHT) for number in range(6)], stage_timeout=5)
    assert set(answer.codes().values()) == {""}
    assert answer.seconds < 6 * 0.4
    assert place.tried(user) == ["OK"] * 6


# --- the next runs


def test_it_is_not_tried_again_before_the_credentials_change(place, asker, user, tmp_path):
    def ask(password=WRONG, **more):
        options = {name: more.pop(name) for name in ("forget_refused", "stage_timeout") if name in more}
        return asker.ask(place.target(user=user, password=password, **more), state_dir=tmp_path / "state", **options)

    assert ask().codes() == {"db": "ORA-01017"}
    assert "held_since" not in str(ask(host="127.0.0.1").about()["evidence"].get("refused_for", ""))
    for more in ({}, {"query": "SELECT 2 FROM DUAL"}, {"stage_timeout": 2.0}):
        held = ask(**more).about()
        assert (held["code"], held["status"]) == ("ORA-01017", "critical")
        assert held["evidence"]["held_since"].endswith("Z")
        assert held["evidence"].get("driver_code", "") == ""
    assert place.tried(user) == ["ORA-01017"]
    # Other credentials are tried.
    assert ask(password=WRONG + "2").codes() == {"db": "ORA-01017"}
    assert place.tried(user) == ["ORA-01017"] * 2
    assert ask(password=RIGHT).codes() == {"db": ""}
    # A good login forgets.
    assert json.loads((tmp_path / "state" / "oracle-refused.json").read_text()) == {"refused": {}}
    assert ask(password=WRONG).codes() == {"db": "ORA-01017"}
    assert place.tried(user).count("ORA-01017") == 3
    # The password was set right in the database: only a person knows that.
    place.server.control.account(user, password=WRONG)
    assert ask(password=WRONG).about()["evidence"]["held_since"]
    assert ask(password=WRONG, forget_refused=True).codes() == {"db": ""}
    assert ask(password=WRONG).codes() == {"db": ""}


def test_another_target_of_the_account_does_not_try_what_is_held(place, asker, user, tmp_path):
    asker.ask(place.target(user=user, password=WRONG), state_dir=tmp_path)
    both = asker.ask(
        place.target("new", sid="ORCL", user=user, password=WRONG), place.target("db", user=user, password=WRONG), state_dir=tmp_path
    )
    assert both.codes() == {"new": "ORA-01017", "db": "ORA-01017"}
    held = {finding["subject"] for finding in both.findings if finding["code"] == "run.credentials_held"}
    assert held == {"new", "db"}
    assert place.tried(user) == ["ORA-01017"]


def test_what_is_kept_is_a_salted_hash_for_its_owner_only(place, asker, user, tmp_path):
    state = tmp_path / "state"
    asker.ask(place.target(user=user, password=WRONG), state_dir=state)
    kept = state / "oracle-refused.json"
    text = kept.read_text()
    assert WRONG not in text
    assert (os.stat(state).st_mode & 0o777, os.stat(kept).st_mode & 0o777) == (0o700, 0o600)
    entry = json.loads(text)["refused"][f"{user}@127.0.0.1:{place.server.ports['port']}/orclpdb1".lower()]
    assert (set(entry), len(entry["salt"]), len(entry["hash"])) == ({"salt", "hash", "at"}, 32, 64)
    other = asker.ask(place.target(user=user, password=WRONG), state_dir=tmp_path / "other")
    assert json.loads((tmp_path / "other" / "oracle-refused.json").read_text())["refused"].popitem()[1]["hash"] != entry["hash"]
    assert other.codes() == {"db": "ORA-01017"}


@pytest.mark.parametrize("damage", ["", "[]", '{"refused": 3}', '{"refused": {"x": 1}}', "null"])
def test_a_damaged_memory_is_none(place, asker, damage, tmp_path):
    (tmp_path / "oracle-refused.json").write_text(damage)
    assert asker.ask(place.target(), state_dir=tmp_path).codes() == {"db": ""}


def test_without_a_memory_nothing_is_written(place, asker, user, tmp_path):
    asker.ask(place.target(user=user, password=WRONG))
    assert os.listdir(tmp_path) == []


# --- two runs at the same time: hosts that delegate to one checker


@pytest.fixture
def second():
    made = h.Asker.start()
    yield made
    made.stop()


def at_once(*questions):
    with ThreadPoolExecutor(len(questions)) as pool:
        return [future.result() for future in [pool.submit(question) for question in questions]]


def behind_one_lock(place, user, state_dir, askers, ask):
    """The answers of runs that all wait for the account's lock before the first one logs in, however late each process begins."""
    account = f"127.0.0.1:{place.server.ports['port']} {user} default"
    with ThreadPoolExecutor(len(askers)) as pool:
        with State(str(state_dir), read_only=False).recall("oracle-refused").alone(account, lambda: True):
            answers = [pool.submit(ask, one) for one in askers]
            give_up = time.monotonic() + h.LONGEST_ANSWER
            while not all(waits_for_a_login(one, state_dir) for one in askers):
                assert time.monotonic() < give_up, "not all runs came as far as the lock"
                time.sleep(0.01)
        return [answer.result() for answer in answers]


def waits_for_a_login(asker, state_dir):
    """Whether the child of an asker has the lock of an account open."""
    for child in Path(f"/proc/{asker.process.pid}/task/{asker.process.pid}/children").read_text().split():
        with contextlib.suppress(OSError):
            files = [os.readlink(path) for path in Path(f"/proc/{child}/fd").iterdir()]
            if any(file.startswith(f"{state_dir}/oracle-refused-") for file in files):
                return True
    return False


@pytest.mark.parametrize("forget", [False, True])
def test_runs_at_the_same_time_try_a_password_once(place, asker, second, user, tmp_path, forget):
    target = place.target(user=user, password=WRONG)
    if forget:
        asker.ask(target, state_dir=tmp_path)
    before = len(place.tried(user))

    def ask(one):
        return one.ask(target, state_dir=tmp_path, timeout=UNTOUCHED, stage_timeout=UNTOUCHED, forget_refused=forget)

    answers = behind_one_lock(place, user, tmp_path, (asker, second), ask)
    assert [answer.codes() for answer in answers] == [{"db": "ORA-01017"}] * 2
    assert place.tried(user)[before:] == ["ORA-01017"]
    assert sorted("held_since" in answer.about()["evidence"] for answer in answers) == [False, True]
    assert not any(answer.warnings or answer.wrong for answer in answers)


def test_a_run_that_begins_after_a_refusal_may_forget_it(place, asker, second, user, tmp_path):
    target = place.target(user=user, password=WRONG)
    for one in (asker, second):
        assert "held_since" not in one.ask(target, state_dir=tmp_path, forget_refused=True).about()["evidence"]
    assert place.tried(user) == ["ORA-01017"] * 2


def test_a_good_password_is_no_reason_to_wait_for_long(place, asker, second, user, tmp_path):
    place.server.control.set_fault("stage", stage="auth1", mode="slow", seconds=0.4)
    target = place.target(user=user, password=RIGHT)
    answers = at_once(*[lambda one=one: one.ask(target, state_dir=tmp_path, stage_timeout=5) for one in (asker, second)])
    assert [answer.codes() for answer in answers] == [{"db": ""}] * 2
    assert place.tried(user) == ["OK", "OK"]
    assert all(answer.seconds < 3 for answer in answers)


def test_a_login_that_hangs_is_not_followed_by_another_run(place, asker, second, user, tmp_path):
    place.server.control.set_fault("stage", stage="auth2", mode="silent")
    target = place.target(user=user, password=WRONG)
    answers = behind_one_lock(
        place, user, tmp_path, (asker, second), lambda one: one.ask(target, state_dir=tmp_path, stage_timeout=1.0, timeout=UNTOUCHED)
    )
    assert [answer.codes() for answer in answers] == [{"db": "ORA-12170"}] * 2
    assert {answer.about()["evidence"]["stage"] for answer in answers} == {"login"}
    assert len(place.tried(user)) == 1
    place.server.control.clear_faults()
    assert asker.ask(place.target(user=user, password=RIGHT), state_dir=tmp_path).codes() == {"db": ""}


def test_no_run_loses_what_another_has_learnt(place, asker, second, tmp_path):
    names = [f"LOSE{number}" for number in range(2)]
    for name in names:
        place.server.control.account(name, password=RIGHT)
    place.server.control.set_fault("stage", stage="auth1", mode="slow", seconds=0.3)
    targets = [place.target(user=name, password=WRONG) for name in names]
    at_once(*[lambda one=one, target=target: one.ask(target, state_dir=tmp_path) for one, target in zip((asker, second), targets)])
    kept = json.loads((tmp_path / "oracle-refused.json").read_text())["refused"]
    assert sorted(name.split("@")[0] for name in kept) == ["lose0", "lose1"]


# --- many at once, and time


def test_many_targets_of_all_kinds_at_once(place, asker):
    accounts = [f"MANY{number}" for number in range(6)]
    for name in accounts:
        place.server.control.account(name, password=RIGHT)
    place.server.control.set_fault("stage", stage="auth1", mode="slow", seconds=0.5)
    with h.stranger(b"SSH-2.0-x\r\n", at_once=True) as ssh, h.stranger(b"", at_once=True) as mute:
        answer = asker.ask(
            *[place.target(name.lower(), user=name, password=RIGHT) for name in accounts],
            place.target("ssh", port=ssh),
            place.target("mute", port=mute),
            place.target("nowhere", host="nosuch.invalid"),
            place.target("service", service="NOSUCH"),
            place.target("file", password=None, password_from={"file": "/nonexistent"}),
            stage_timeout=2.0,
        )
    assert answer.codes() == {
        **{name.lower(): "" for name in accounts},
        "ssh": "ORA-12537",
        "mute": "ORA-12170",
        "nowhere": "oracle.name_unknown",
        "service": "ORA-12514",
        "file": "run.check_unknown",
    }
    assert "password_from of targets[file], file: '" in answer.about("file")["evidence"]["reason"]
    assert answer.seconds < 3.2  # the mute one's time, not that of six slow logins


def test_the_whole_ends_within_its_limit(place, asker):
    accounts = [f"LATE{number}" for number in range(3)]
    for name in accounts:
        place.server.control.account(name, password=RIGHT)
    place.server.control.set_fault("stage", stage="auth1", mode="silent")
    with h.stranger(b"", at_once=True) as mute:
        answer = asker.ask(
            *[place.target(name, user=name, password=RIGHT) for name in accounts],
            place.target("mute", port=mute),
            timeout=0.6,
            stage_timeout=30.0,
        )
    assert answer.seconds < 1.6
    assert set(answer.codes().values()) == {"run.check_timeout"}
    assert {answer.about(name)["evidence"]["stage"] for name in accounts} == {"login"}
    assert answer.about("mute")["evidence"]["stage"] == "listener"


@pytest.mark.parametrize(
    ("ago", "left", "reason", "state"),
    [
        (0.5, 0.0, "timeout", "late"),
        (0.5, 0.0, "silent", "late"),
        (0.5, 1.0, "timeout", ""),
        (2.5, 0.0, "timeout", ""),
        (0.5, 0.0, "refused", ""),
    ],
)
def test_a_wait_that_ended_with_the_whole_blames_no_stage(ago, left, reason, state):
    """Whether the thread or the watch sees first that the time is over makes no difference."""
    now = time.monotonic()
    run = progress.Run(driver=None, until=now + left, stage_timeout=2.0)
    one = progress.Progress(target=None, answer={"times": {}}, doing="listener", since=now - ago)
    assert progress.cut_short(run, one, Outcome("ORA-12170", reason, "")) is bool(state)
    assert one.answer.get("state", "") == state
    assert one.over is bool(state)


def test_a_hundred_runs_leave_nothing_behind(place, asker):
    """Good ones, refused ones, silent ones; descriptors, children, sessions and threads of the server are counted."""
    first = asker.ask(place.target())
    with h.stranger(b"", at_once=True) as mute:
        for number in range(100):
            targets = [place.target() if number % 3 else place.target(service="NOSUCH")]
            if number % 10 == 0:
                targets.append(place.target("mute", port=mute))
            answer = asker.ask(*targets, stage_timeout=0.4 if number % 10 == 0 else 5.0)
            assert answer.codes()["db"] == ("" if number % 3 else "ORA-12514")
    last = asker.ask(place.target())
    assert last.descriptors == first.descriptors
    assert last.children == []
    give_up = time.monotonic() + 5
    while place.server.control.status()["sessions"] and time.monotonic() < give_up:
        time.sleep(0.05)
    assert place.server.control.status()["sessions"] == []


def test_a_limit_that_is_too_short_for_anything(place, asker):
    answer = asker.ask(place.target(), slow_names=30, timeout=0.1, stage_timeout=30)
    assert set(answer.codes().values()) == {"run.check_timeout"}
    assert answer.children == []
