# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connecting to targets over real sockets."""

from __future__ import annotations

import socket
import time

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.host import read_connections
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import WrongQuestion


def test_connections_are_told_apart():
    with socket.socket() as full, socket.socket() as server:
        for one in (full, server):
            one.bind(("127.0.0.1", 0))
        server.listen()
        full.listen(0)
        held = []
        for _number in range(4):  # a full backlog: the kernel drops what comes next
            extra = socket.socket()
            extra.setblocking(False)
            extra.connect_ex(full.getsockname())
            held.append(extra)
        targets = [f"127.0.0.1:{server.getsockname()[1]}", f"127.0.0.1:{full.getsockname()[1]}", "127.0.0.1:1", "no.such.invalid:443"]
        began = time.monotonic()
        answers = read_connections.read_connections(targets, 0.5)
        took = time.monotonic() - began
        for extra in held:
            extra.close()
    assert [answer["state"] for answer in answers][:3] == ["open", "timeout", "refused"]
    assert answers[3]["state"] in ("name", "name_timeout")
    assert took < 3


@pytest.mark.parametrize("given_target", ["", "host", "host:0", "host:99999", "host:x", "user@host:1", "a b:1", "[::1", 7, None])
def test_a_target_that_is_none(given_target):
    with pytest.raises(WrongQuestion):
        read_connections.parse_targets([given_target])


def test_targets():
    assert read_connections.parse_targets(["a.example:443", "[::1]:1521", "a.example:443"]) == [("a.example", 443), ("::1", 1521)]
    with pytest.raises(WrongQuestion):
        read_connections.parse_targets([f"a:{port}" for port in range(1, 30)])
