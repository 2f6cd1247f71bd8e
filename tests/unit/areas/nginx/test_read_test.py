# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Testing a configuration with the real nginx: it writes nothing and opens no port."""

from __future__ import annotations

import os
import socket
import threading

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.nginx import (
    layout,
    read_test,
)
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import WrongQuestion
from hypothesis import given
from hypothesis import strategies as st

from .helpers import PROGRAM, QUICK, needs_nginx, tree_hash


def run_test(folder):
    return read_test.read_test(executable=PROGRAM, conf=str(folder / "nginx.conf"), prefix=str(folder))


@needs_nginx
def test_a_test_writes_nothing_and_opens_no_port(place):
    folder, port = place
    before, seen, stop = tree_hash(folder), [], threading.Event()

    def knock():
        while not stop.is_set():
            with socket.socket() as probe:
                seen.append(probe.connect_ex(("127.0.0.1", port)))

    thread = threading.Thread(target=knock)
    thread.start()
    found = [run_test(folder) for _number in range(5)]
    stop.set()
    thread.join()
    assert all(one["good"] for one in found), found
    assert tree_hash(folder) == before
    assert set(seen) == {111}


@needs_nginx
def test_a_mistake_in_an_included_file_is_named_by_its_own_path(place):
    folder, _port = place
    (folder / "sites" / "a.conf").write_text("server {\n    lisen 80;\n}\n")
    found = run_test(folder)
    assert (found["good"], found["file"], found["line"]) == (False, str(folder / "sites" / "a.conf"), 2)
    assert 'unknown directive "lisen"' in found["message"]
    (folder / "sites" / "a.conf").write_text("server {\n    listen 80;\n")
    found = run_test(folder)
    assert (found["good"], found["file"]) == (False, str(folder / "sites" / "a.conf"))
    assert "ops-nginx" not in found["message"]


@needs_nginx
@pytest.mark.parametrize(
    "text", ["", "}", "events {", 'pid "', "http { include /no/such; }\nevents { }", "events {} http { server { listen 80; listen 80; } }"]
)
def test_configurations_that_nginx_refuses(tmp_path, text):
    (tmp_path / "nginx.conf").write_text(text)
    found = run_test(tmp_path)
    assert found["good"] is False
    assert found["message"]


@needs_nginx
def test_nothing_is_left_of_the_copy(place, tmp_path_factory, monkeypatch):
    temporary = tmp_path_factory.mktemp("t")
    monkeypatch.setattr(read_test.tempfile, "tempdir", str(temporary))
    run_test(place[0])
    assert os.listdir(temporary) == []


def test_what_is_not_there():
    with pytest.raises(WrongQuestion):
        layout.layout("/no/such/nginx", None, None)
    if PROGRAM:
        with pytest.raises(WrongQuestion):
            layout.layout(PROGRAM, "/no/such/nginx.conf", None)


@pytest.mark.parametrize(
    ("stderr", "code", "good", "line"),
    [
        ("nginx: the configuration file /x syntax is ok\nnginx: configuration file /x test is successful\n", 0, True, 0),
        ('nginx: [emerg] unknown directive "a" in /t/0.conf:12\nnginx: configuration file /t/0.conf test failed\n', 1, False, 12),
        ('2026/11/21 10:00:00 [emerg] 7#7: host not found in upstream "b" in /t/0.conf:3\n', 1, False, 3),
        ("Segmentation fault", -11, False, 0),
        ("", 1, False, 0),
    ],
)
def test_answers_of_nginx(stderr, code, good, line):
    found = read_test.verdict(code, stderr, {"/t/0.conf": "/etc/nginx/nginx.conf"}, "/t")
    assert (found["good"], found["line"]) == (good, line)
    assert "/t/" not in found["message"] + found["file"]
    assert found["message"] or good


@QUICK
@given(st.text(max_size=300), st.sampled_from([0, 1, None]))
def test_any_answer_of_nginx(text, code):
    for said in (text, f"nginx: [emerg] {text} in /a:1", f"nginx: [emerg] a in /a:{text}"):
        found = read_test.verdict(code, said, {}, "/t")
        assert len(found["message"]) <= 300
