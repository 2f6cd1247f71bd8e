# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading logs: cursors, every kind of rotation, bounds, and the pass of grep and of Python side by side."""

from __future__ import annotations

import gzip
import json
import os
import resource
import shutil
import time

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import WrongQuestion
from ansible_collections.ops.remediation.plugins.module_utils._shared.logs import reader as _logs
from ansible_collections.ops.remediation.plugins.module_utils._shared.logs import records as _log_text
from hypothesis import given, settings
from hypothesis import strategies as st

from ...areas.pm2 import helpers as pm2_helpers
from . import helpers as h

ORACLE, FILE = h.nest("Oracle connection failed: NJS-503"), h.nest("File not found: A.pdf (NOT_FOUND: x)")
CALM = h.nest("Processing job 7", level="LOG")


@pytest.fixture
def log(tmp_path):
    return tmp_path / "worker-error.log"


def append(path, text):
    with open(path, "a", encoding="utf-8") as file:
        file.write(text)


def test_a_second_run_reads_what_is_new(log):
    append(log, ORACLE + CALM)
    progress, cursors, groups = h.read(log)
    assert h.counts(groups) == {"worker_oracle": 1}
    assert progress.read == len((ORACLE + CALM).encode())
    progress, cursors, groups = h.read(log, cursors)
    assert (progress.read, groups) == (0, {})
    append(log, FILE)
    progress, cursors, groups = h.read(log, cursors)
    assert h.counts(groups) == {"worker_file": 1}
    assert progress.read == len(FILE.encode())


def test_a_line_that_is_being_written_is_left_for_the_next_run(log):
    append(log, ORACLE + FILE[:40])
    _progress, cursors, groups = h.read(log)
    assert h.counts(groups) == {"worker_oracle": 1}
    append(log, FILE[40:])
    _progress, _cursors, groups = h.read(log, cursors)
    assert h.counts(groups) == {"worker_file": 1}


def test_a_last_line_without_an_end_counts_when_nobody_goes_on(log):
    append(log, ORACLE + FILE.rstrip("\n"))
    _progress, _cursors, groups = h.read(log, now=time.time() + 60)
    assert h.counts(groups) == {"worker_oracle": 1, "worker_file": 1}


def rename(log):
    log.rename(log.with_name(log.name + ".1"))


def rename_and_pack(log):
    rename(log)
    pack(log.with_name(log.name + ".1"))


def pack(path):
    with open(path, "rb") as plain, gzip.open(f"{path}.gz", "wb") as packed:
        shutil.copyfileobj(plain, packed)
    path.unlink()


def copy_and_truncate(log):
    shutil.copy2(log, log.with_name(log.name + ".1"))
    os.truncate(log, 0)


def copy_pack_and_truncate(log):
    copy_and_truncate(log)
    pack(log.with_name(log.name + ".1"))


def as_pm2_logrotate_does(log):
    copy = log.with_name("worker-error__2026-11-21_00-00-00.log")
    shutil.copy2(log, copy)
    os.truncate(log, 0)


@pytest.mark.parametrize("rotate", [rename, rename_and_pack, copy_and_truncate, copy_pack_and_truncate, as_pm2_logrotate_does])
@pytest.mark.parametrize("grown", [False, True])
def test_nothing_is_lost_or_read_twice_over_a_rotation(log, rotate, grown):
    append(log, CALM + ORACLE)
    _progress, cursors, _groups = h.read(log)
    append(log, FILE + FILE)  # written after the run and before the rotation
    rotate(log)
    append(log, ORACLE + (h.nest("Processing job 8", level="LOG") * 50 if grown else ""))
    progress, cursors, groups = h.read(log, cursors)
    assert h.counts(groups) == {"worker_file": 2, "worker_oracle": 1}
    assert progress.truncated
    assert len(progress.rotated) == 1
    assert not progress.lost
    assert h.read(log, cursors)[2] == {}


def test_two_rotations_between_two_runs(log):
    append(log, CALM + ORACLE)
    _progress, cursors, _groups = h.read(log)
    append(log, FILE)
    rename(log)
    os.utime(log.with_name(log.name + ".1"), (time.time() - 100, time.time() - 100))
    log.with_name(log.name + ".1").rename(log.with_name(log.name + ".2"))
    append(log, ORACLE)
    rename(log)
    append(log, FILE)
    progress, _cursors, groups = h.read(log, cursors)
    assert h.counts(groups) == {"worker_file": 2, "worker_oracle": 1}
    assert len(progress.rotated) == 2


def test_what_was_thrown_away_is_said_to_be_lost(log):
    append(log, ORACLE * 3)
    _progress, cursors, _groups = h.read(log)
    os.truncate(log, 0)
    append(log, FILE)
    progress, _cursors, groups = h.read(log, cursors)
    assert progress.truncated
    assert progress.lost
    assert h.counts(groups) == {"worker_file": 1}


def test_a_file_that_was_renamed_to_another_log_is_not_read_again(log):
    append(log, ORACLE)
    _progress, cursors, _groups = h.read(log)
    other = log.with_name("worker-error-1.log")
    log.rename(other)
    append(other, FILE)
    _progress, _cursors, groups = h.read(other, cursors)
    assert h.counts(groups) == {"worker_file": 1}


def test_a_first_read_is_bounded_and_begins_with_a_whole_line(log):
    append(log, ORACLE * 1000 + FILE * 3)
    progress, _cursors, groups = h.read(log, first=len(FILE.encode()) * 3 + 20)
    assert h.counts(groups) == {"worker_file": 3}
    assert progress.skipped > 0
    assert progress.skipped + progress.read == progress.size


def test_a_first_read_does_not_open_what_nobody_writes_to(log):
    append(log, ORACLE)
    os.utime(log, (time.time() - 9 * 86400,) * 2)
    progress, _cursors, groups = h.read(log)
    assert (progress.read, groups) == (0, {})


@pytest.mark.parametrize(("make", "problem"), [(lambda path: path.mkdir(), "is not a file"), (os.mkfifo, "is not a file")])
def test_what_is_no_file_does_not_hang(log, make, problem):
    make(log)
    assert h.read(log)[0].problem == problem


def test_an_absent_log_is_a_problem_of_its_own(log):
    assert "No such file" in h.read(log)[0].problem


def test_when_the_time_is_over_the_next_run_goes_on(log):
    append(log, (CALM * 50 + ORACLE) * 400)
    progress, cursors, _groups = h.read(log, within=-1)
    assert progress.behind
    reached = cursors[str(log)]["offset"]
    assert reached < progress.size
    progress, _cursors, _groups = h.read(log, cursors)
    assert not progress.behind
    assert progress.read == progress.size - reached


def by_python(path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(_logs.shutil, "which", lambda _name: None)
        return h.read(path)


def test_grep_and_python_see_the_same(log, monkeypatch):
    text = []
    for number in range(30000):
        text.append(h.nest(f"Processing job {number}", level="LOG"))
        if number % 500 == 0:
            text += [
                ORACLE,
                "Error: NJS-503\n",
                "    at x (y.js:1:1)\n",
                "\0\xff binary \0\n",
                FILE,
                "Error [ERR_X]: broken\n",
                "  code: 'ENOENT: '\n",
            ]
    append(log, "".join(text))
    first, cursors, groups = h.read(log)
    _second, other_cursors, other = by_python(log, monkeypatch)
    assert first.size > 2 * _logs.PIECE
    assert {key: group.as_dict() for key, group in groups.items()} == {key: group.as_dict() for key, group in other.items()}
    assert cursors == other_cursors
    assert h.counts(groups)["worker_file"] == 60


@pytest.mark.parametrize("exit_code", [2, 3])
def test_a_grep_that_fails_leaves_the_work_to_python(log, tmp_path, monkeypatch, exit_code):
    program = tmp_path / "grep"
    program.write_text(f"#!/bin/sh\necho '12:nonsense'\nexit {exit_code}\n")
    program.chmod(0o755)
    append(log, CALM * 20000 + ORACLE)
    monkeypatch.setattr(_logs.shutil, "which", lambda _name: str(program))
    assert h.counts(h.read(log)[2]) == {"worker_oracle": 1}


def test_a_huge_line_costs_no_memory(log):
    with open(log, "wb") as file:
        for _number in range(40):
            file.write(b"x" * (1 << 20))
        file.write(b" ERROR \n" + ORACLE.encode())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    progress, _cursors, groups = h.read(log)
    assert h.counts(groups) == {"worker_oracle": 1}
    assert not progress.behind
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30 * 1024


def test_which_logs_get_no_errors(monkeypatch):
    paths = {"pm_err_log_path": "/l/backend-error.log", "pm_out_log_path": "/l/backend-out.log"}
    both = {"pm_err_log_path": "/l/worker.log", "pm_out_log_path": "/l/worker.log"}
    listed = [pm2_helpers.entry("backend", **paths), pm2_helpers.entry("worker", **both)]
    monkeypatch.setattr(_logs.pm2_list, "call", lambda *_arguments, **_options: listed)
    processes = _logs.application_logs("/home/tankmail/.pm2", None, 1.0)["processes"]
    assert processes["backend"]["paths"] == ["/l/backend-error.log", "/l/backend-out.log"]
    assert (processes["backend"]["outputs"], processes["worker"]["outputs"]) == (["/l/backend-out.log"], [])


def test_paths_must_be_absolute_and_patterns_are_expanded(tmp_path):
    for name in ("a.log", "b.log", "b.log.gz"):
        (tmp_path / name).write_text("x")
    found, left = _logs.expand([f"{tmp_path}/*.log*"])
    assert (sorted(found), left) == ([f"{tmp_path}/a.log", f"{tmp_path}/b.log"], {})
    assert _logs.expand([f"{tmp_path}/absent.log"]) == ([f"{tmp_path}/absent.log"], {})
    with pytest.raises(WrongQuestion):
        _logs.expand(["a.log"])


def test_what_paths_leave_out_is_named(tmp_path):
    for number in range(_logs.MAX_FILES + 2):
        (tmp_path / f"{number}.txt").write_text("x")
    (tmp_path / "old.gz").write_text("x")
    found, left = _logs.expand([f"{tmp_path}/*.log", f"{tmp_path}/old.gz", f"{tmp_path}/one.log", f"{tmp_path}/*.txt"])
    assert len(found) == _logs.MAX_FILES
    assert "no file matches" in left.pop(f"{tmp_path}/*.log")
    assert "is packed" in left.pop(f"{tmp_path}/old.gz")
    assert "62 files match" in left.pop(f"{tmp_path}/*.txt")
    beyond = next(iter(left))
    assert len(left) == 1
    assert beyond.endswith(".txt")
    assert beyond not in found


def entries(now, **more):
    return [{"pid": 4711, "status": "online", "started_at": now - 3600, "created_at": (now - 3600) * 1000, "restarts": 1, **more}]


def process(log, memory, now, **more):
    remembered, kept = _logs.usable(memory), {"version": 1, "files": {}, "clocks": {}, "groups": {}}
    limits = _logs.Limits(1 << 30, 1 << 30, time.monotonic() + 20)
    told = _logs.read_process("worker", [str(log)], entries(now, **more), remembered, kept, limits, now, 86400.0)
    return told, json.loads(json.dumps(kept))


def now_line(message, at, **more):
    """Return a line of a process in Seoul."""
    return h.nest(message, date=time.strftime("%m/%d/%Y, %I:%M:%S %p", time.gmtime(at + 9 * 3600)), **more)


def test_what_is_known_is_kept_and_added_to(log):
    now = time.time()
    append(log, now_line("Oracle connection failed: NJS-503", now - 60))
    told, memory = process(log, None, now)
    assert told["groups"]["worker_oracle"]["count"] == 1
    told, memory = process(log, memory, now + 5)
    assert (told["groups"]["worker_oracle"]["count"], told["new"]) == (1, {})
    append(log, now_line("Oracle connection failed: NJS-503", now - 10))
    told, memory = process(log, memory, now + 10)
    assert (told["groups"]["worker_oracle"]["count"], told["new"]) == (2, {"worker_oracle": 1})


def test_a_restart_on_purpose_forgets(log):
    now = time.time()
    append(log, now_line("Oracle connection failed: NJS-503", now - 60, pid=1))
    _told, memory = process(log, None, now)
    told, memory = process(log, memory, now, created_at=(now - 30) * 1000, started_at=now - 30)
    assert told["groups"] == {}


def test_what_is_known_of_a_process_that_is_not_listed_now_is_kept(log):
    now = time.time()
    append(log, now_line("Oracle connection failed: NJS-503", now - 60))
    _told, memory = process(log, None, now)
    kept = _logs.with_absent(_logs.usable(None), memory, now)
    assert kept == memory
    _told, again = process(log, kept, now)
    assert again["groups"]["worker"]["worker_oracle"]["count"] == 1
    memory["files"][str(log)]["at"] = now - 31 * 86400
    assert _logs.with_absent(_logs.usable(None), memory, now)["files"] == {}


@pytest.mark.parametrize("memory", [None, 7, [], {"version": 1}, {"version": 0, "files": {}, "clocks": {}, "groups": {}}])
def test_a_memory_of_no_use_counts_as_none(memory):
    assert _logs.usable(memory)["files"] == {}


@pytest.mark.parametrize(
    "damage",
    [
        {"files": {"PATH": {"inode": "x"}}},
        {"files": {"PATH": 7}},
        {"groups": {"worker": {"a": 7, "b": {"name": 1}, "c": {"strange": 1}}}},
        {"groups": {"worker": 7}},
        {"clocks": {"worker": {"order": 7, "offset": "x"}}},
        {"clocks": {"worker": 7}},
    ],
)
def test_a_damaged_memory_does_no_harm(log, damage):
    append(log, ORACLE)
    memory = {"version": 1, "files": {}, "clocks": {}, "groups": {}, **json.loads(json.dumps(damage).replace("PATH", str(log)))}
    told, _memory = process(log, memory, time.time())
    assert told["new"] == {"worker_oracle": 1}


WORDS = st.sampled_from(
    [
        "[Nest] 1  - 11/21/2026, 7:16:12 PM   ERROR [X] ",
        "Error: ",
        "Oracle connection failed",
        "File not found: a.pdf",
        "NJS-503",
        "Config validation error: ",
        "    at x",
        "\n",
        "\x1b[31m",
        '{"level":"error","msg":"',
        "2026/11/21 07:16:40 [error] 1#1: bind() to ",
        "\0",
        "'",
        "Cannot find module '",
        "EADDRINUSE: address already in use ",
    ]
)


@settings(max_examples=150, deadline=2000)
@given(st.lists(st.one_of(WORDS, st.text(max_size=40)), max_size=60), st.integers(0, 4000))
def test_no_log_breaks_the_reader(tmp_path_factory, parts, first):
    log = tmp_path_factory.mktemp("fuzz") / "x.log"
    log.write_bytes("".join(parts).encode("utf-8", "surrogatepass"))
    progress, cursors, groups = h.read(log, first=max(1, first), now=time.time() + 60)
    assert progress.read + progress.skipped == progress.size
    json.dumps([group.as_dict() for group in groups.values()])
    assert sum(group.count for group in groups.values()) == progress.records
    assert h.read(log, cursors, now=time.time() + 60)[2] == {}


@settings(max_examples=100, deadline=2000)
@given(st.binary(max_size=3000), st.binary(max_size=300))
def test_no_packed_file_breaks_the_reader(tmp_path_factory, junk, text):
    log = tmp_path_factory.mktemp("fuzz") / "x.log"
    log.write_bytes(ORACLE.encode() + text)
    _progress, cursors, _groups = h.read(log, now=time.time() + 60)
    log.unlink()
    log.with_name("x.log.1.gz").write_bytes(b"\x1f\x8b" + junk)
    log.write_bytes(b"")
    progress, _cursors, _groups = h.read(log, cursors)
    assert progress.lost


@settings(max_examples=300)
@given(st.text(max_size=300))
def test_no_line_breaks_what_understands_lines(text):
    start = _log_text.start_of(text)
    assert start is None or isinstance(start.message, str)
    _log_text.naive(text)
    _log_text.clock_of(text, 1e9)
    assert len(_log_text.shape(text)) <= 160
