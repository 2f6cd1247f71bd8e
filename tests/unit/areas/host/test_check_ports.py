# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""host.ports: open ports that are not expected."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import WrongQuestion

from . import helpers as h


def listening(*ports):
    entries = [{"port": port, "addresses": ["192.0.2.1"], "user": "root", "process": "sshd", "pid": 9} for port in ports]
    return {"open": entries, "loopback": 3}


@pytest.mark.parametrize(
    ("ports", "expected", "among", "subjects"),
    [
        ([22, 80], ["22", "80-90"], [], [""]),
        ([22, 6379], ["22"], [], ["6379/tcp"]),
        ([22, 6379, 9229], ["22"], [], ["6379/tcp", "9229/tcp"]),
        ([22, 6379, 9229], ["22"], ["6000-7000"], ["6379/tcp"]),
        ([22], [], [], [""]),
    ],
)
def test_open_ports(ports, expected, among, subjects):
    findings = h.ask("host.ports", host_listeners=listening(*ports), expected_ports=expected, among_ports=among)
    assert [found.subject for found in findings] == subjects


@pytest.mark.parametrize("entry", ["", "0", "65536", "80-70", "http", "-1", "1-2-3"])
def test_a_port_that_is_none(entry):
    with pytest.raises(WrongQuestion, match=r"expected_ports\[0\]"):
        h.ask("host.ports", host_listeners=listening(), expected_ports=[entry])
