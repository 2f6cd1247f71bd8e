# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first pass by grep and by Python side by side."""

from __future__ import annotations

import resource

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._shared.logs import first_pass

from . import helpers as h
from .helpers import CALM, FILE, ORACLE, append


def by_python(path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(first_pass.shutil, "which", lambda _name: None)
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
    assert first.size > 2 * first_pass.PIECE
    assert {key: group.as_dict() for key, group in groups.items()} == {key: group.as_dict() for key, group in other.items()}
    assert cursors == other_cursors
    assert h.counts(groups)["worker_file"] == 60


@pytest.mark.parametrize("exit_code", [2, 3])
def test_a_grep_that_fails_leaves_the_work_to_python(log, tmp_path, monkeypatch, exit_code):
    program = tmp_path / "grep"
    program.write_text(f"#!/bin/sh\necho '12:nonsense'\nexit {exit_code}\n")
    program.chmod(0o755)
    append(log, CALM * 20000 + ORACLE)
    monkeypatch.setattr(first_pass.shutil, "which", lambda _name: str(program))
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


@pytest.mark.parametrize("looks", [2, 3])
def test_python_ends_at_a_line_when_the_time_is_over_and_nothing_is_lost_or_counted_twice(log, monkeypatch, looks):
    append(log, (CALM * 50 + ORACLE) * 400)
    monkeypatch.setattr(first_pass.shutil, "which", lambda _name: None)
    progress, cursors, first = h.read(log, watch=h.over_after(looks))
    assert progress.behind
    assert 0 < progress.read < progress.size
    _progress, _cursors, second = h.read(log, cursors)
    assert h.counts(first)["worker_oracle"] + h.counts(second)["worker_oracle"] == 400


def test_what_grep_has_written_is_read_when_the_time_is_over(log, tmp_path, monkeypatch):
    append(log, (ORACLE + CALM * 50) * 400)
    program = tmp_path / "grep"
    size = len((ORACLE + CALM * 50).encode())
    program.write_text(f"#!/bin/sh\nprintf '%s' '0:{ORACLE}{size}:{ORACLE}'\nexec sleep 60\n")
    program.chmod(0o755)
    with monkeypatch.context() as patch:
        patch.setattr(first_pass.shutil, "which", lambda _name: str(program))
        progress, cursors, first = h.read(log, watch=h.over_after(2))
    assert progress.behind
    assert h.counts(first) == {"worker_oracle": 2}
    _progress, _cursors, second = h.read(log, cursors)
    assert h.counts(second) == {"worker_oracle": 398}
