# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What answers at a listener's port."""

from __future__ import annotations

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
