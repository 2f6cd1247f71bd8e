# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the memory and the kills of the kernel's log."""

from __future__ import annotations

import time

from ansible_collections.ops.remediation.plugins.module_utils._areas.host import read_memory
from ansible_collections.ops.remediation.plugins.module_utils._shared import kernel_log


def test_a_text_log_stands_in_for_the_kernels(monkeypatch, tmp_path):
    stamp = time.strftime("%b %e %H:%M:%S", time.localtime(time.time() - 60))
    log = tmp_path / "kern.log"
    log.write_text(f"{stamp} host kernel: Out of memory: Killed process 7 (node) total\n")
    monkeypatch.setattr(kernel_log, "KERNEL_MESSAGES", str(tmp_path / "none"))
    monkeypatch.setattr(kernel_log, "KERNEL_LOGS", (str(log),))
    answer = read_memory.read_memory()
    assert (answer["killed"][0]["pid"], answer["killed_in"]) == (7, str(log))
    assert 55 < time.time() - answer["killed"][0]["at"] < 65
    monkeypatch.setattr(kernel_log, "KERNEL_LOGS", ())
    assert read_memory.read_memory()["killed"] is None
