# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ends of text files."""

from __future__ import annotations

import os

from ansible_collections.ops.remediation.plugins.module_utils._shared import text_files


def test_a_log_that_is_a_pipe_blocks_nobody(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    assert text_files.tail(str(tmp_path / "fifo"), 100) == ("", 0.0)
    assert text_files.tail(str(tmp_path / "none"), 100) == ("", 0.0)
    assert text_files.tail("a\0b", 100) == ("", 0.0)
