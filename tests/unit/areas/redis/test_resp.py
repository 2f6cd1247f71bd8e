# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reader of Redis's protocol: whole replies in any pieces, and bytes that are none."""

from __future__ import annotations

import contextlib
import socket
import time

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.redis.resp import MAX_BULK, MAX_LINE, Conversation, Refusal
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import CannotRead
from hypothesis import given
from hypothesis import strategies as st


class Wire:
    """A connection that has these pieces to read, then ends."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces, self.sent, self.timeouts = list(pieces), b"", []

    def settimeout(self, value: float) -> None:
        self.timeouts.append(value)

    def sendall(self, data: bytes) -> None:
        self.sent += data

    def recv(self, size: int) -> bytes:
        piece = self.pieces.pop(0) if self.pieces else b""
        assert len(piece) <= size
        return piece


def talk(*pieces: bytes, until: float | None = None) -> Conversation:
    return Conversation(Wire(*pieces), "192.0.2.1:6379", time.monotonic() + 60 if until is None else until)


def ask(*pieces: bytes) -> str:
    return talk(*pieces).ask("PING")


def test_a_command_is_sent_by_its_lengths_in_bytes():
    wire = Wire(b"+OK\r\n")
    assert Conversation(wire, "x", time.monotonic() + 9).ask("AUTH", "비밀\r\n") == "OK"
    assert wire.sent == b"*2\r\n$4\r\nAUTH\r\n$8\r\n" + "비밀\r\n".encode() + b"\r\n"
    assert all(0 < timeout <= 9 for timeout in wire.timeouts)


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (b"+PONG\r\n", "PONG"),
        (b"+\r\n", ""),
        (b":-12\r\n", "-12"),
        (b"$5\r\na\r\nbc\r\n", "a\r\nbc"),
        (b"$0\r\n\r\n", ""),
        (b"$-1\r\n", ""),
    ],
)
def test_replies_whole_and_byte_by_byte(reply, text):
    assert ask(reply) == text
    assert ask(*(bytes([byte]) for byte in reply)) == text


def test_replies_that_come_together_are_told_apart():
    both = talk(b"+OK\r\n$2\r\nhi\r\n")
    assert [both.ask("AUTH", "x"), both.ask("PING")] == ["OK", "hi"]


def test_an_error_is_a_refusal_with_its_code():
    with pytest.raises(Refusal) as raised:
        ask(b"-NOAUTH Authentication required.\r\n")
    assert (raised.value.code, raised.value.text) == ("NOAUTH", "NOAUTH Authentication required.")


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 400 Bad Request\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"\r\n",
        b"*1\r\n$4\r\nPONG\r\n",
        b"$x\r\n",
        b"$\r\n",
        b"$ 5\r\n",
        b"$-2\r\n",
        b"$1_0\r\n",
        "$٣\r\n".encode(),
        b"$%d\r\n" % (MAX_BULK + 1),
        b"$99999999999999999999\r\n",
        b":1.5\r\n",
        b"$2\r\nabcd\r\n",
    ],
)
def test_what_is_no_reply_is_refused_in_one_line(reply):
    with pytest.raises(CannotRead) as raised:
        ask(reply)
    assert raised.value.message.startswith("192.0.2.1:6379 ")
    assert "\n" not in raised.value.message
    assert len(raised.value.message) < 200


def test_a_line_without_an_end_is_cut_off():
    pieces = [b"+" + b"x" * 500] + [b"x" * 500] * 100
    wire = Wire(*pieces)
    with pytest.raises(CannotRead, match=str(MAX_LINE)):
        Conversation(wire, "x", time.monotonic() + 60).ask("PING")
    assert len(wire.pieces) > 95
    assert ask(b"+" + b"x" * (MAX_LINE - 1) + b"\r\n") == "x" * (MAX_LINE - 1)
    with pytest.raises(CannotRead):
        ask(b"+" + b"x" * MAX_LINE + b"\r\n")


def test_an_end_and_a_time_limit():
    for pieces in ((), (b"+PO",), (b"$5\r\nab",)):
        with pytest.raises(EOFError):
            ask(*pieces)
    with pytest.raises(socket.timeout):
        talk(b"+PONG\r\n", until=time.monotonic()).ask("PING")


@given(st.lists(st.binary(min_size=1, max_size=60), max_size=6))
def test_any_bytes_are_a_reply_a_refusal_or_an_error(pieces):
    with contextlib.suppress(Refusal, CannotRead, EOFError):
        assert isinstance(ask(*pieces), str)


@given(st.sampled_from([b"+", b"-", b":", b"$"]), st.binary(max_size=40), st.binary(max_size=40))
def test_any_content_of_a_known_kind_too(kind, line, rest):
    with contextlib.suppress(Refusal, CannotRead, EOFError):
        assert isinstance(ask(kind + line + b"\r\n" + rest), str)
