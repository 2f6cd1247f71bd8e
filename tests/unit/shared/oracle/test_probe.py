# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What answers at a listener's port."""

from __future__ import annotations

import socket

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._shared import tcp
from ansible_collections.ops.remediation.plugins.module_utils._shared.oracle import probe as _oracle_probe
from hypothesis import given
from hypothesis import strategies as st


@given(st.binary(max_size=80))
def test_any_answer_of_a_peer_is_judged(data):
    assert _oracle_probe.what_answers(data) in (_oracle_probe.LISTENER, _oracle_probe.CLOSED, *_oracle_probe.STRANGERS)


def test_the_ping_is_a_connect_packet():
    packet = _oracle_probe.ping_packet()
    assert int.from_bytes(packet[:2], "big") == len(packet)
    assert packet[4] == 1
    length, offset = int.from_bytes(packet[24:26], "big"), int.from_bytes(packet[26:28], "big")
    assert packet[offset : offset + length] == b"(DESCRIPTION=(CONNECT_DATA=(COMMAND=ping)))"
    assert offset + length == len(packet)


def test_a_name_that_is_unknown_leaves_the_others_and_each_address_counts_once():
    addresses = _oracle_probe.resolve([("a" * 70 + ".example", 1521), ("127.0.0.1", 1521), ("127.0.0.1", 1522), ("127.0.0.1", 1521)])
    assert [address.place for address in addresses] == ["127.0.0.1:1521", "127.0.0.1:1522"]


@pytest.mark.parametrize("places", [[], [("a" * 70 + ".example", 1521)]])
def test_without_a_known_name_there_is_no_address(places):
    with pytest.raises(tcp.NotConnected) as raised:
        _oracle_probe.resolve(places)
    assert raised.value.state == "name"


def test_a_name_may_have_more_addresses_than_others_try(monkeypatch):
    rows = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"192.0.2.{number}", 1521)) for number in range(20)]
    monkeypatch.setattr(tcp.socket, "getaddrinfo", lambda *_arguments, **_options: rows)
    assert len(_oracle_probe.resolve([("scan", 1521)])) == _oracle_probe.MOST_ADDRESSES
