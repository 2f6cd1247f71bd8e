# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading open ports."""

from __future__ import annotations

import os
import socket
import sys

from ansible_collections.ops.remediation.plugins.module_utils._areas.host import read_listeners

from .helpers import ALL


def test_listeners_are_those_of_others():
    text = (
        "  sl  local_address rem_address   st\n"
        "   0: 0100007F:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 11 1\n"
        "   1: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12 1\n"
        "   2: 00000000:1F91 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 13 1\n"
        "   3: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 0:0 00:0 0  33        0 14 1\n"
        "   4: 0000000000000000FFFF00000100007F:0051 00000000000000000000000000000000:0000 0A 0:0 00:0 0  33        0 15 1\n"
    )
    found = {entry["port"]: (entry["address"], entry["loopback"]) for entry in read_listeners.parse_listeners(text)}
    if sys.byteorder == "little":
        assert found == {22: ("127.0.0.1", True), 8080: (ALL, False), 80: ("::1", True), 81: ("::ffff:127.0.0.1", True)}


def test_our_own_port_is_seen_with_its_process():
    with socket.socket() as server:
        server.bind((ALL, 0))
        server.listen()
        port = server.getsockname()[1]
        entry = next(one for one in read_listeners.read_listeners()["open"] if one["port"] == port)
    assert entry["pid"] == os.getpid()
