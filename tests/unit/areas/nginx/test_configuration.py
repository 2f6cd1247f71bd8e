# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuration files: words, blocks, ports, includes."""

from __future__ import annotations

import time

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.nginx import configuration
from hypothesis import given
from hypothesis import strategies as st

from .helpers import QUICK


def write(folder, **files):
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_conf", ".conf")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return configuration.read_tree(str(folder / "nginx.conf"))


def test_words_blocks_quotes_and_comments():
    text = '# pid x;\npid "/run/a b.pid"; http { log_format m \'{"a": "$b"}\'; server { listen 80; if ($x) { return 1; } } } worker_processes 1;'
    found = [(one.name, one.argument(), one.blocks, one.opens) for one in configuration.directives(text)]
    assert found == [
        ("pid", "/run/a b.pid", (), False),
        ("http", "", (), True),
        ("log_format", "m", ("http",), False),
        ("server", "", ("http",), True),
        ("listen", "80", ("http", "server"), False),
        ("if", "($x)", ("http", "server"), True),
        ("return", "1", ("http", "server", "if"), False),
        ("worker_processes", "1", (), False),
    ]


def test_variables_escapes_and_other_languages():
    text = "set $a ${b}c; set $d a\\;b; content_by_lua_block { local x = { 1, 2 } } pid p;"
    assert [(one.name, one.argument(2) or one.argument()) for one in configuration.directives(text)] == [
        ("set", "${b}c"),
        ("set", "a\\;b"),
        ("content_by_lua_block", ""),
        ("pid", "p"),
    ]


@QUICK
@given(st.text(alphabet=st.sampled_from("ab ;{}\"'#\\$\n"), max_size=300))
def test_any_text_is_read_as_a_configuration(text):
    assert len(list(configuration.directives(text))) <= len(text)


def test_a_large_configuration_is_read_in_bounded_time():
    for piece in ("a b;", "{", '"', "a{", "\\", "${", "# x\n", "a "):
        started = time.process_time()
        list(configuration.directives(piece * 20_000))
        assert time.process_time() - started < 5, piece


@pytest.mark.parametrize(
    ("listen", "found"),
    [
        ("80", [("", 80)]),
        ("*:80", [("", 80)]),
        ("0.0.0.0:8080", [("", 8080)]),
        ("127.0.0.1:80", [("127.0.0.1", 80)]),
        ("127.0.0.1", [("127.0.0.1", 80)]),
        ("localhost:81", [("127.0.0.1", 81)]),
        ("[::]:80", [("::", 80)]),
        ("[2001:db8::1]:443", [("2001:db8::1", 443)]),
        ("8000-8002", [("", 8000), ("", 8001), ("", 8002)]),
        ("unix:/run/x.sock", []),
    ],
)
def test_where_a_server_listens(tmp_path, listen, found):
    assert configuration.listens(write(tmp_path, nginx_conf=f"http {{ server {{ listen {listen} ssl; }} }}")) == found


def test_includes_are_read_in_their_blocks(tmp_path):
    tree = write(
        tmp_path,
        nginx_conf="pid a; include missing.conf; http { include sites/*.conf; include nginx.conf; }",
        sites__a_conf="server { listen 81; error_log here; }",
        sites__b_conf="server { listen 82; }",
    )
    assert configuration.listens(tree) == [("", 81), ("", 82)]
    assert list(tree.unreadable) == [str(tmp_path / "missing.conf")]
    assert configuration.error_log(tree) == ("", "error")
    assert tree.value("pid") == "a"
