# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests over real sockets: slow and broken servers, redirects, addresses, and any bytes as an answer."""

from __future__ import annotations

import time

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import WrongQuestion
from ansible_collections.ops.remediation.plugins.module_utils._shared import http_client as _web
from hypothesis import given
from hypothesis import strategies as st

from ..areas.web import helpers as h
from ..areas.web.helpers import QUICK


def test_an_answer():
    with h.server(h.http("hello", content_type="text/plain; charset=utf-8", X_Frame_Options="DENY")) as url:
        answer = _web.get(url)
    assert (answer.status, answer.body, answer.type, answer.problem, answer.whole) == (200, b"hello", "text/plain", "", True)
    assert answer.headers["x-frame-options"] == "DENY"


def test_the_environments_proxy_is_not_asked(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with h.server(h.http("hello")) as url:
        assert _web.get(url).status == 200


@pytest.mark.parametrize(
    ("data", "pause", "hang"),
    [
        (b"", 0, True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"x" * 100, 0.05, True),
        (b"HTTP/1.1 200 OK\r\n" + b"X-Drip: 1\r\n" * 90, 0.05, True),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 100, 0.05, True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", 0, True),
    ],
    ids=["nothing", "body", "headers", "continue", "stops"],
)
def test_a_server_that_drips_or_hangs_is_cut_off(data, pause, hang):
    started = time.monotonic()
    with h.server(data, pause=pause, piece=1, hang=hang) as url:
        answer = _web.get(url, within=0.5)
    assert answer.problem == "silent"
    assert time.monotonic() - started < 1.5


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "closed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab", "closed"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nab", "closed"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "nonsense"),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 500 + b"\r\n", "nonsense"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100000 + b"\r\n\r\n", "nonsense"),
    ],
)
def test_broken_answers(data, problem):
    with h.server(data) as url:
        assert _web.get(url, within=2).problem == problem


def test_nothing_listens():
    with h.server(b"") as url:
        pass
    assert _web.get(url, within=1).problem == "refused"


def test_a_long_body_is_cut():
    with h.server(h.http(b"x" * 100_000)) as url:
        answer = _web.get(url, max_body=1000)
    assert (len(answer.body), answer.whole, answer.problem) == (1000, False, "")


def test_redirects_are_followed_a_little():
    there = {"/": h.http(status="302 Found", Location="/a"), "/a": h.http("here")}
    with h.server(there) as url:
        assert _web.get(url).body == b"here"
    with h.server(h.http(status="302 Found", Location="/")) as url:
        assert _web.get(url).problem == "nonsense"
    with h.server(h.http(status="302 Found", Location="file:///etc/passwd")) as url:
        assert _web.get(url).problem == "nonsense"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "file:///etc/passwd",
        "ftp://x/",
        "http://",
        "http://a:b@c/",
        "http://a b/",
        "http://x:99999/",
        "http://x:y/",
        "http://[::1/",
        None,
        7,
    ],
)
def test_what_is_no_address_is_refused(url):
    with pytest.raises(WrongQuestion) as raised:
        _web.split(url)
    assert "a:b" not in str(raised.value)


@QUICK
@given(st.text(max_size=200))
def test_any_text_is_an_address_or_refused(text):
    for url in (text, f"http://{text}", f"http://host/{text}"):
        try:
            scheme, host, port, target = _web.split(url)
        except WrongQuestion:
            continue
        assert scheme in ("http", "https") and host and 0 <= port < 65536
        assert not set(target) & set("\r\n \x00")
        target.encode("ascii")


class Fed:
    """A socket that has already received everything."""

    def __init__(self, data):
        self.data = data

    def settimeout(self, _seconds):
        pass

    def recv_into(self, buffer):
        piece = self.data[: len(buffer)]
        buffer[: len(piece)] = piece
        self.data = self.data[len(piece) :]
        return len(piece)


@QUICK
@given(
    st.binary(max_size=400),
    st.sampled_from(
        [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"HTTP/1.0 502 x\r\nContent-Length: "]
    ),
)
def test_any_answer_is_read_or_is_a_problem(data, begin):
    answer = _web.Answer("http://x/")
    try:
        _web._receive(Fed(begin + data), answer, time.monotonic() + 5, 1000)
    except (OSError, ValueError, _web.http.client.HTTPException) as error:
        assert _web.problem_of(error) in ("closed", "nonsense", "silent", "unreachable")
    assert len(answer.body) <= 1000


# --- certificates
