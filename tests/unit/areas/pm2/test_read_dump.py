# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""dump.pm2 and its backup."""

from __future__ import annotations

import json
import os

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.pm2 import read_dump

from . import helpers as h


def write_dump(folder, content, mode=0o644):
    path = folder / "dump.pm2"
    path.write_text(content)
    path.chmod(mode)
    return read_dump.read_dump(str(folder))["dump"]


def test_a_dump_gives_named_fields_only(tmp_path):
    recorded = h.transcript("7")
    value = write_dump(tmp_path, json.dumps(recorded["dump"]), 0o600)
    assert h.PLANTED in json.dumps(recorded["dump"])
    assert h.PLANTED not in json.dumps(value)
    assert (value["problem"], value["mode"], value["exposed"]) == ("", "0600", False)
    backends = [entry for entry in value["entries"] if entry["name"] == "backend"]
    assert [entry["exec_mode"] for entry in backends] == ["cluster", "cluster"]


@pytest.mark.parametrize("content", ["", "{", "[" * 100000, '{"a": 1}', "null", "planted-secret"])
def test_a_dump_that_is_none_says_so(tmp_path, content):
    value = write_dump(tmp_path, content)
    assert value["problem"] in ("is not JSON", "is not a list of processes")
    assert value["entries"] == []


def test_a_dump_with_strange_entries(tmp_path):
    assert len(write_dump(tmp_path, '[1, null, {}, {"name": {"x": 1}, "exec_mode": 7}]')["entries"]) == 2


def test_no_dump_is_absent(tmp_path):
    assert read_dump.read_dump(str(tmp_path))["dump"]["present"] is False
    (tmp_path / "dump.pm2").mkdir()
    assert read_dump.read_dump(str(tmp_path))["dump"]["problem"] == "is not a regular file"


def test_a_dump_behind_a_closed_folder_is_out_of_reach(tmp_path):
    opened = [(folder, folder.stat().st_mode) for folder in (tmp_path, *tmp_path.parents) if not folder.stat().st_mode & 0o001]
    for folder, mode in opened:
        folder.chmod(mode | 0o001)
    try:
        assert write_dump(tmp_path, "[]")["exposed"] is True
        tmp_path.chmod(0o700)
        assert write_dump(tmp_path, "[]")["exposed"] is False
    finally:
        for folder, mode in opened:
            folder.chmod(mode)


def test_a_dump_that_is_a_link_is_not_read_through(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text('[{"name": "x"}]')
    (tmp_path / "dump.pm2").symlink_to(secret)
    value = read_dump.read_dump(str(tmp_path))["dump"]
    assert (value["kind"], value["problem"], value["mode"], value["exposed"], value["entries"]) == (
        "link",
        "is a symbolic link",
        "",
        False,
        [],
    )


def test_a_dump_that_is_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "dump.pm2")
    value = read_dump.read_dump(str(tmp_path))["dump"]
    assert (value["kind"], value["problem"], value["mode"]) == ("other", "is not a regular file", "")
