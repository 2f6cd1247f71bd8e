# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the folder of the built page."""

from __future__ import annotations

import json

from ansible_collections.ops.remediation.plugins.module_utils._areas.web import read_build
from ansible_collections.ops.remediation.plugins.module_utils._shared import http_client

from . import helpers as h


def test_a_build(tmp_path):
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text(h.INDEX)
    (tmp_path / "assets" / "a.js.map").write_text('{"sourcesContent":["const dbPassword = \'tiger-1234\'"]}')
    (tmp_path / "link").symlink_to("/etc/passwd")
    found = read_build.read_build(str(tmp_path))
    assert (found["present"], found["index"]["present"], found["files"]) == (True, True, 2)
    assert found["secrets"] == [{"file": "assets/a.js.map", "kind": "database password"}]
    assert "tiger" not in json.dumps(found)


def test_what_is_too_long_is_said_to_be_cut(tmp_path, monkeypatch):
    monkeypatch.setattr(read_build, "MAX_BODY", 100)
    (tmp_path / "a.js").write_text("x" * 100)
    assert read_build.read_build(str(tmp_path))["unread"] == 0
    (tmp_path / "b.js").write_text("x" * 101)
    assert read_build.read_build(str(tmp_path))["unread"] == 1
    with h.server({"/": h.http("x" * 101)}) as url:
        assert http_client.summary(http_client.get(url, max_body=100))["whole"] is False
        assert http_client.summary(http_client.get(url, max_body=101))["whole"] is True


def test_no_build(tmp_path):
    assert read_build.read_build(None)["given"] is False
    found = read_build.read_build(str(tmp_path / "none"))
    assert (found["given"], found["present"], found["index"]["present"], found["files"]) == (True, False, False, 0)


def test_a_closed_file_is_named(tmp_path):
    (tmp_path / "index.html").write_text("x")
    (tmp_path / "index.html").chmod(0o600)
    closed = read_build.read_build(str(tmp_path))["closed"]
    assert closed is not None
    assert str(tmp_path / "index.html").startswith(closed["path"])
