# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What /proc knows of a process."""

from __future__ import annotations

import os
import subprocess
import time

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._shared import proc


def test_the_user_of_a_process_comes_from_its_status():
    assert proc.uid_of(os.getpid()) == os.geteuid()
    assert proc.uid_of(2**22 + 5) is None


def test_a_frozen_process_is_seen():
    with subprocess.Popen(["sleep", "30"]) as child:
        child.send_signal(19)
        time.sleep(0.1)
        assert proc.state_of(child.pid) == "T"
        child.kill()


@pytest.mark.parametrize(("text", "count"), [("nr_free_pages 5\noom_kill 3\n", 3), ("nr_free_pages 5\n", None), (None, None)])
def test_the_kernels_count_of_kills(tmp_path, monkeypatch, text, count):
    monkeypatch.setattr(proc, "PROC", str(tmp_path))
    if text:
        (tmp_path / "vmstat").write_text(text)
    assert proc.oom_kill_count() == count


def test_a_process_that_is_gone_has_no_state():
    assert (proc.state_of(2**22 + 5), proc.uid_of(2**22 + 5), proc.text_of_process(2**22 + 5, "status")) == ("", None, "")
