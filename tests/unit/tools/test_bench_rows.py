# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows of the bench about logs: a time counts only when the run read what was there."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(CHECKOUT / "tests" / "bench"))  # its files import each other by name
SPEC = importlib.util.spec_from_file_location("log_rows", CHECKOUT / "tests" / "bench" / "log_rows.py")
log_rows = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(log_rows)
SIZE = 3_000_000


def test_the_second_run_reads_what_is_new(tmp_path):
    told = log_rows.measure(tmp_path, CHECKOUT / ".cache" / "collections", rounds=1, size=SIZE)
    assert set(told) == {"seconds", "grep", "mb", "second"}
    assert min(told.values()) > 0


@pytest.mark.parametrize("second", [{"read": 0}, {"read": log_rows.NEW, "counts": {}}, {"read": SIZE}])
def test_a_second_run_that_read_something_else_ends_the_bench(tmp_path, monkeypatch, second):
    real, times = log_rows.scan, []

    def scan(*arguments):
        times.append(1)
        return real(*arguments) if len(times) == 1 else {"seconds": 0.01, "mb": 1.0, "counts": {"unknown": 1}, **second}

    monkeypatch.setattr(log_rows, "scan", scan)
    with pytest.raises(SystemExit, match="the second run did not read"):
        log_rows.measure(tmp_path, CHECKOUT / ".cache" / "collections", rounds=1, size=SIZE)
