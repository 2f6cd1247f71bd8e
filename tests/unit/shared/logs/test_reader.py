# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading one log: cursors, every kind of rotation, bounds."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from . import helpers as h
from .helpers import CALM, FILE, ORACLE, append


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
    progress, cursors, _groups = h.read(log, watch=h.over_after(0))
    assert progress.behind
    reached = cursors[str(log)]["offset"]
    assert reached < progress.size
    progress, _cursors, groups = h.read(log, cursors)
    assert not progress.behind
    assert progress.read == progress.size - reached
    assert h.counts(groups) == {"worker_oracle": 400}


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
