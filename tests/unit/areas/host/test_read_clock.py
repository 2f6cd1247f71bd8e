# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the offset of time servers, good and bad ones."""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import contextmanager, suppress

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.host import read_clock
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import CannotRead, WrongQuestion
from hypothesis import given
from hypothesis import strategies as st

from .helpers import FUZZ, NOW


def stamp(moment):
    return struct.pack("!II", (int(moment) + read_clock.NTP_EPOCH) % (1 << 32), int(moment % 1 * (1 << 32)))


def reply(question, *, offset=0.0, first=0x24, stratum=2, nonce=None):
    now = time.time() + offset
    return struct.pack("!BBbb", first, stratum, 6, -20) + bytes(20) + (nonce or question[40:48]) + stamp(now) + stamp(now)


@contextmanager
def time_server(answer):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    server.settimeout(5)

    def serve():
        for _number in range(2):
            try:
                question, client = server.recvfrom(512)
            except OSError:
                return
            data = answer(question)
            if data is not None:
                server.sendto(data, client)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.getsockname()[1]}"
    finally:
        server.close()


@pytest.mark.parametrize("offset", [0.0, 120.5, -86400.0])
def test_the_offset_of_a_time_server(offset):
    with time_server(lambda question: reply(question, offset=offset)) as server:
        answer = read_clock.read_time_server(server)
    assert abs(answer["offset"] - offset) < 0.2
    assert answer["stratum"] == 2


@pytest.mark.parametrize(
    "answer",
    [
        lambda question: None,
        lambda question: b"short",
        lambda question: reply(question, stratum=0),
        lambda question: reply(question, first=0xE4),
        lambda question: reply(question, first=0x23),
        lambda question: reply(question, nonce=b"not ours"),
        lambda question: reply(question)[:32] + bytes(16),
    ],
)
def test_a_time_server_that_is_of_no_use(monkeypatch, answer):
    monkeypatch.setattr(read_clock, "NTP_WITHIN", 0.1)
    with time_server(answer) as server, pytest.raises(CannotRead):
        read_clock.read_time_server(server)


def test_no_time_server():
    assert read_clock.read_time_server(None) is None
    with pytest.raises(WrongQuestion):
        read_clock.read_time_server("http://ntp.example.com")


@FUZZ
@given(st.binary(max_size=100))
def test_any_answer_of_a_time_server(data):
    with suppress(ValueError):
        assert abs(read_clock.parse_time(data, data[24:32], NOW, NOW + 0.1)["offset"]) < 1 << 33
