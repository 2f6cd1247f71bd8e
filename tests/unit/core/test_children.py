# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bounded child: nothing hangs, nothing is left behind, one sick child harms no other."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._core import children as _process
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import (
    Busy,
    CannotRead,
    Crashed,
    NeedsUser,
    TooSlow,
    WrongQuestion,
)

NOT_WAITED_FOR_S = 30  # what takes a minute was not waited for, also on a busy machine

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def ends(pid: int) -> bool:
    deadline = time.monotonic() + NOT_WAITED_FOR_S
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not alive(pid)


def test_a_value_comes_back():
    outcome = _process.call(lambda: {"ok": [1, "둘", None]}, 5)
    assert outcome.get() == {"ok": [1, "둘", None]}
    assert 0 <= outcome.duration_ms < 5000


def test_a_large_value_comes_back_whole():
    assert len(_process.call(lambda: "x" * 3_000_000, 10).get()) == 3_000_000


def test_a_value_that_is_too_large_is_an_error():
    with pytest.raises(Crashed, match="bytes, over"):
        _process.call(lambda: "x" * (_process.MAX_ANSWER + 1), 20).get()


def test_our_errors_keep_their_kind_and_message():
    def wrong():
        raise WrongQuestion("pm2_home", "/nope", "does not exist", "give another")

    def unreadable():
        raise CannotRead("the list is cut off", path="/x")

    with pytest.raises(WrongQuestion, match=r"pm2_home: '/nope' does not exist; give another"):
        _process.call(wrong, 5).get()
    with pytest.raises(CannotRead) as caught:
        _process.call(unreadable, 5).get()
    assert caught.value.details == {"path": "/x"}


def test_an_unexpected_error_says_where():
    with pytest.raises(Crashed, match=r"ZeroDivisionError: division by zero at test_children.py:\d+"):
        _process.call(lambda: 1 / 0, 5).get()


def test_a_value_that_json_cannot_carry_is_a_crash_not_a_hang():
    assert isinstance(_process.call(object, 5).error, Crashed)


def test_a_child_that_is_killed_is_a_crash():
    with pytest.raises(Crashed, match="ended without an answer"):
        _process.call(lambda: os.kill(os.getpid(), signal.SIGKILL), 5).get()


def test_a_hanging_child_is_killed_at_its_deadline_and_harms_no_other():
    started = time.monotonic()
    outcomes = _process.call_all({"hung": _process.Call(lambda: time.sleep(60), 0.5), "well": _process.Call(lambda: "yes", 50)})
    assert time.monotonic() - started < NOT_WAITED_FOR_S
    assert isinstance(outcomes["hung"].error, TooSlow)
    assert "0.5 s" in outcomes["hung"].error.message
    assert outcomes["well"].get() == "yes"


def test_a_child_that_ignores_signals_and_its_children_are_gone(tmp_path):
    note = tmp_path / "pids"

    def stubborn():
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM):
            signal.signal(number, signal.SIG_IGN)
        grandchild = os.fork()
        if grandchild == 0:
            time.sleep(60)
            os._exit(0)
        note.write_text(f"{os.getpid()} {grandchild}")
        time.sleep(60)

    assert isinstance(_process.call(stubborn, 0.7).error, TooSlow)
    for pid in map(int, note.read_text().split()):
        assert ends(pid)


def test_an_answering_child_leaves_nothing_running(tmp_path):
    note = tmp_path / "pid"

    def leaves_one():
        pid = os.fork()
        if pid == 0:
            time.sleep(60)
            os._exit(0)
        note.write_text(str(pid))
        return "done"

    assert _process.call(leaves_one, 5).get() == "done"
    assert ends(int(note.read_text()))


def test_more_calls_than_children_all_get_their_outcome():
    calls = {number: _process.Call(lambda number=number: number * number, 10) for number in range(25)}
    assert {key: outcome.get() for key, outcome in _process.call_all(calls).items()} == {n: n * n for n in range(25)}


def test_children_work_at_the_same_time(tmp_path):
    def meets_the_others(number):
        (tmp_path / str(number)).touch()
        while len(os.listdir(tmp_path)) < 6:
            time.sleep(0.01)
        return "met"

    outcomes = _process.call_all({n: _process.Call(lambda n=n: meets_the_others(n), 50) for n in range(6)})
    assert [outcome.get() for outcome in outcomes.values()] == ["met"] * 6


def test_no_descriptor_is_left_open():
    before = set(os.listdir("/proc/self/fd"))
    for _round in range(5):
        _process.call(lambda: 1, 5)
        _process.call(lambda: time.sleep(9), 0.05)
        _process.run(["true"], deadline=5)
    assert set(os.listdir("/proc/self/fd")) <= before


def test_output_of_a_child_does_not_reach_our_own_output(capfd):
    def noisy():
        print("noise")
        os.write(1, b"noise")
        os.write(2, b"noise")
        return 1

    assert _process.call(noisy, 5).get() == 1
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def gives_up_soon(monkeypatch):
    """A child waits a moment for a lock, while the caller waits long for the child."""
    hold = _process._hold
    monkeypatch.setattr(_process, "_hold", lambda path, _deadline, **options: hold(path, 0.1, **options))


def test_a_locked_source_is_busy_and_names_its_holder(tmp_path, gives_up_soon):
    lock = str(tmp_path / "nas.lock")
    held = tmp_path / "held"

    def hold():
        held.write_text("now")
        time.sleep(60)

    pid = os.fork()
    if pid == 0:
        _process.call(hold, 60, lock=lock)
        os._exit(0)
    try:
        while not held.exists():
            time.sleep(0.01)
        with pytest.raises(Busy, match=r"has not ended \(process \d+ since 20"):
            _process.call(lambda: "never", 50, lock=lock).get()
    finally:
        holder = int(Path(lock).read_text(encoding="ascii").split()[1])
        os.kill(holder, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert _process.call(lambda: "free again", 50, lock=lock).get() == "free again"


def test_a_lock_that_is_not_signed_is_held_and_not_changed(tmp_path, gives_up_soon):
    lock = tmp_path / "nas.lock"
    lock.write_text(f"process {2**22 + 1} since 2020-01-01T00:00:00Z", encoding="ascii")
    before = (lock.read_bytes(), lock.stat().st_mtime_ns)
    held, refused = tmp_path / "held", tmp_path / "refused"

    def hold():
        held.write_text("now")
        while not refused.exists():
            time.sleep(0.01)
        return "done"

    pid = os.fork()
    if pid == 0:
        os._exit(_process.call(hold, 60, lock=str(lock), unsigned=True).get() != "done")
    while not held.exists():
        time.sleep(0.01)
    with pytest.raises(Busy, match=r"has not ended \(unknown\)"):
        _process.call(lambda: "never", 50, lock=str(lock), unsigned=True).get()
    refused.touch()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert (lock.read_bytes(), lock.stat().st_mtime_ns) == before


@as_root
def test_a_child_becomes_the_user_for_good():
    def who():
        try:
            os.setuid(0)
            back = True
        except PermissionError:
            back = False
        return [os.getuid(), os.geteuid(), os.getgid(), back, os.environ["USER"]]

    uid = __import__("pwd").getpwnam("nobody").pw_uid
    assert _process.call(who, 5, user=lambda: uid).get() == [uid, uid, __import__("pwd").getpwnam("nobody").pw_gid, False, "nobody"]
    assert os.geteuid() == 0


@as_root
def test_without_root_another_user_is_named():
    def ask():
        return _process.call(lambda: 1, 5, user=lambda: 0).error.as_dict()

    uid = __import__("pwd").getpwnam("nobody").pw_uid
    answer = _process.call(ask, 5, user=lambda: uid).get()
    assert answer["kind"] == "needs_user"
    assert "root" in answer["message"]
    with pytest.raises(NeedsUser):
        _process.call(lambda: _process.run(["true"], deadline=1, uid=0), 5, user=lambda: uid).get()


def test_a_program_gives_code_and_output():
    program = _process.run(["sh", "-c", "echo out; echo err >&2; exit 3"], deadline=5)
    assert (program.code, program.stdout, program.stderr, program.timed_out) == (3, "out\n", "err\n", False)


def test_a_program_gets_a_clean_environment_and_no_input(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_KEY", "planted")
    program = _process.run([sys.executable, "-c", "import os,sys; print(sorted(os.environ)); print(repr(sys.stdin.read()))"], deadline=10)
    assert "AWS_SECRET_KEY" not in program.stdout
    assert "LC_ALL" in program.stdout
    assert program.stdout.endswith("''\n")


def test_a_program_is_killed_with_its_children(tmp_path):
    note = tmp_path / "pid"
    started = time.monotonic()
    program = _process.run(["sh", "-c", f"sleep 60 & echo $! > {note}; sleep 60"], deadline=0.5)
    assert program.timed_out
    assert time.monotonic() - started < NOT_WAITED_FOR_S
    assert ends(int(note.read_text()))


def test_a_daemon_that_keeps_the_pipes_does_not_keep_us(tmp_path):
    note = tmp_path / "pid"
    started = time.monotonic()
    program = _process.run(["sh", "-c", f"setsid sleep 60 & echo $! > {note}; echo started"], deadline=50)
    try:
        assert (program.code, program.stdout) == (0, "started\n")
        assert time.monotonic() - started < NOT_WAITED_FOR_S
    finally:
        os.kill(int(note.read_text()), signal.SIGKILL)


def test_endless_output_is_bounded():
    program = _process.run(["sh", "-c", "yes | head -c 5000000; echo end >&2"], deadline=20, max_output=1000)
    assert len(program.stdout) == 1000
    assert program.stderr == "end\n"


def test_a_program_that_does_not_exist_is_an_os_error():
    with pytest.raises(FileNotFoundError):
        _process.run(["/nonexistent/program"], deadline=1)
