# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that hold a port."""

from __future__ import annotations

import os
import socket

from ansible_collections.ops.remediation.plugins.module_utils._shared.logs import ports


def test_the_holder_of_a_port_is_seen():

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = str(listening.getsockname()[1])
        holder = ports.read_holders()[port]
    assert holder["pid"] == os.getpid()
    assert port not in ports.read_holders()
