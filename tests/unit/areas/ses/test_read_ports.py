# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a port of SES accepts connections: each state."""

from __future__ import annotations

import errno
import socket
import time

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.ses import read_ports
from ansible_collections.ops.remediation.plugins.module_utils._shared import tcp


def reached(host, port):
    ports = {}
    read_ports.reach("api", host, port, time.monotonic() + 2, ports)
    assert ports["api"].pop("place") == f"{host}:{port}"
    assert 0 <= ports["api"].pop("waited") <= 2
    return ports["api"]


def test_open_and_closed():
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert reached("127.0.0.1", server.getsockname()[1]) == {"state": "open", "said": ""}
    assert reached("127.0.0.1", 1) == {"state": "refused", "said": "Connection refused"}


@pytest.mark.parametrize(
    ("state", "error", "expected"),
    [
        ("name", socket.gaierror(socket.EAI_NONAME, "Name or service not known"), ("no_name", "Name or service not known")),
        ("timeout", socket.timeout("timed out"), ("silent", "timed out")),
        ("denied", OSError(errno.EACCES, "Permission denied"), ("refused", "Permission denied")),
        # A machine without a route fails at once; its port must not count as open.
        ("unreachable", OSError(errno.ENETUNREACH, "Network is unreachable"), ("refused", "Network is unreachable")),
    ],
)
def test_each_failure(state, error, expected, monkeypatch):
    def fail(*_arguments):
        raise tcp.NotConnected(state, error)

    monkeypatch.setattr(tcp, "connect", fail)
    assert reached("ses.example", 443) == {"state": expected[0], "said": expected[1]}
