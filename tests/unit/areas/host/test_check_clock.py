# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""host.clock: the kernel's report and the time server."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import CannotRead, WrongQuestion

from . import helpers as h

SERVER = {"server": "ntp.example.com", "offset": 0.01, "delay": 0.002, "stratum": 2}
SILENT = CannotRead("no answer")


def kernel(synchronised):
    return {"synchronised": synchronised, "max_error_ms": 10.0, "service": ""}


@pytest.mark.parametrize(
    ("synchronised", "server", "wanted", "status", "how"),
    [
        (True, None, True, "ok", ""),
        (True, SERVER, True, "ok", ""),
        (True, SILENT, True, "ok", ""),
        (False, None, True, "warning", "unsynchronised"),
        (False, SERVER, True, "warning", "unsynchronised"),
        (False, SERVER, False, "ok", ""),
        (False, {**SERVER, "offset": 3.0}, False, "warning", "offset"),
        (True, {**SERVER, "offset": -3.0}, True, "warning", "offset"),
        (False, None, False, "unknown", ""),
        (None, SILENT, True, "unknown", ""),
    ],
)
def test_the_clock(synchronised, server, wanted, status, how):
    (found,) = h.ask("host.clock", host_clock=kernel(synchronised), host_time_server=server, clock_synchronised=wanted)
    assert (found.status, found.evidence.get("how", "")) == (status, how)


def test_a_wrong_time_server_is_a_wrong_question():
    with pytest.raises(WrongQuestion):
        h.ask("host.clock", host_clock=kernel(True), host_time_server=WrongQuestion("ntp_server", "x:y", "is none", "give one"))
