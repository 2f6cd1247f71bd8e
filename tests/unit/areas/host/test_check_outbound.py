# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""host.outbound: each way in which a connection fails."""

from __future__ import annotations

import pytest

from . import helpers as h


@pytest.mark.parametrize("state", ["open", "refused", "timeout", "name", "name_timeout", "unreachable", "denied"])
def test_a_target(state):
    answer = {"host": "db.example.com", "port": 1521, "state": state, "detail": "", "address": "", "duration_ms": 7}
    (found,) = h.ask("host.outbound", host_connections=[answer])
    assert (found.code, found.subject) == ("" if state == "open" else "host.outbound_blocked", "db.example.com:1521")


def test_no_target_is_said():
    (found,) = h.ask("host.outbound", host_connections=[])
    assert (found.status, len(found.evidence["not_asked"])) == ("ok", 1)
