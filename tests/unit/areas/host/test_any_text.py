# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The readers of this machine, and their parsers with any text."""

from __future__ import annotations

import time

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.host import (
    counters,
    logrotate,
    processes,
    read_clock,
    read_cpu,
    read_listeners,
    read_log_files,
    read_memory,
)
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import CannotRead
from ansible_collections.ops.remediation.plugins.module_utils._shared import kernel_log, mounts
from hypothesis import example, given

from .helpers import FUZZ, MOUNTS, NOW, TEXTS


def test_this_machine(tmp_path):
    cpu, memory = read_cpu.read_cpu(), read_memory.read_memory()
    assert cpu["used"] > 0
    assert memory["total"] > memory["available"] > 0
    assert read_clock.read_clock()["synchronised"] in (True, False, None)
    # Two looks a moment apart: no waiting in between, and counters that do not go back.
    again = read_cpu.read_cpu()
    assert again["used"] >= cpu["used"]


def test_a_machine_without_proc(monkeypatch, tmp_path):
    for module in (counters, processes, read_cpu, read_memory, read_listeners):
        monkeypatch.setattr(module, "PROC", str(tmp_path))
    for read in (read_cpu.read_cpu, read_memory.read_memory, read_listeners.read_listeners):
        with pytest.raises(CannotRead):
            read()


@FUZZ
@given(TEXTS)
@example("some avg10=1 avg60=1 avg300=999999999999999999999999")
@example("cpu " + "9" * 30 + " 1 1 1\nbtime 99999999999999")
@example("1 (" * 500 + ")" * 500)
@example("Jan 99 99:99:99 x" + "\n2026-02-31T23:59:60+99:99 Out of memory: Killed process 1 (x)")
@example("9999-12-31 23:59:59")
@example("{" * 2000)
@example("\\777" * 300)
def test_any_text_is_read(text):
    began = time.process_time()
    for parse in (
        counters.parse_pressure,
        read_cpu.parse_load,
        counters.parse_stat,
        processes.parse_process,
        read_memory.parse_sizes,
        counters.parse_counters,
        mounts.parse_mounts,
        logrotate.parse_rules,
        logrotate.rotated_from,
        read_listeners.parse_listeners,
    ):
        parse(text)
    kernel_log.parse_kills((kernel_log.syslog_time(line, NOW), line) for line in text.split("\n"))
    read_log_files.date_in(text, NOW)
    assert time.process_time() - began < 0.5


def test_large_texts_take_little_time():
    line = "   1: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12 1\n"
    texts = [line * 40_000, MOUNTS * 3000, "(" * 1_000_000, "/a " * 300_000, "- " * 500_000]
    for text in texts:
        began = time.process_time()
        for parse in (
            read_listeners.parse_listeners,
            mounts.parse_mounts,
            processes.parse_process,
            logrotate.parse_rules,
            counters.parse_stat,
        ):
            parse(text)
        assert time.process_time() - began < 3
