# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ends of text files."""

from __future__ import annotations

import os

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._shared import text_files


def test_a_log_that_is_a_pipe_blocks_nobody(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    assert text_files.tail(str(tmp_path / "fifo"), 100) == ("", 0.0)
    assert text_files.tail(str(tmp_path / "none"), 100) == ("", 0.0)
    assert text_files.tail("a\0b", 100) == ("", 0.0)


def test_a_tail_begins_with_a_whole_line(tmp_path):
    path = tmp_path / "log"
    path.write_text("first line\nsecond line\nthird\n")
    assert text_files.tail(str(path), 15)[0] == "third\n"
    assert text_files.tail(str(path), 200) == (path.read_text(), path.stat().st_mtime)
    assert text_files.tail("/dev/null", 100) == ("", 0.0)


def test_a_readable_file_in_a_closed_folder_is_out_of_reach(tmp_path):
    opened = [(folder, folder.stat().st_mode) for folder in (tmp_path, *tmp_path.parents) if not folder.stat().st_mode & 0o001]
    for folder, mode in opened:
        folder.chmod(mode | 0o001)
    try:
        path = tmp_path / "home" / "file"
        path.parent.mkdir(mode=0o755)
        assert text_files.reachable_by_others(str(path)) is True
        path.parent.chmod(0o700)
        assert text_files.reachable_by_others(str(path)) is False
        assert text_files.reachable_by_others(str(tmp_path / "none" / "file")) is False
    finally:
        for folder, mode in opened:
            folder.chmod(mode)


def test_the_beginning_of_a_file_or_none(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abc\xffdef")
    assert text_files.text_of(str(path), 4) == "abc\ufffd"
    assert text_files.text_of(str(tmp_path / "none")) is None
    assert text_files.text_of("a\0b") is None


@pytest.mark.parametrize(("text", "number"), [(" 12\n", 12), ("-3", -3), ("", 7), ("1.5", 7), ("9" * 21, 7), (None, 7), (4, 4)])
def test_whole_numbers(text, number):
    assert text_files.whole(text, 7) == number
