# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nginx.config: the result of the test, and the ports."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.nginx import check_config

from .helpers import GOOD, ask, state


def port(held, address="127.0.0.1", pid=9, here=True):
    holder = {"uid": 5, "user": "tank", "pid": pid, "program": "node" if pid else ""}
    return {"address": address, "port": 80, "here": here, "held": held, "holder": holder if held == "other" else None}


BAD = {**GOOD, "good": False, "message": "unknown directive", "file": "/etc/nginx/a.conf", "line": 3}


@pytest.mark.parametrize(
    ("test", "ports", "codes"),
    [
        (GOOD, [port("ours"), port("")], [""]),
        (BAD, [], ["nginx.config_invalid"]),
        (GOOD, [port("other", address="")], ["nginx.port_conflict"]),
        (GOOD, [port("other", pid=0)], ["nginx.port_conflict"]),
        (BAD, [port("other")], ["nginx.port_conflict", "nginx.config_invalid"]),
        (GOOD, [port("", here=False)], ["nginx.config_invalid"]),
        ({**BAD, "denied": True}, [], [""]),
        ({**BAD, "denied": True, "parsed": False}, [], ["run.check_unknown"]),
    ],
)
def test_config(test, ports, codes):
    for master in ("up", None):
        found = ask(check_config.judge, state(master, ports=ports), test=test)
        assert [one.code for one in found] == codes
    if ports and ports[0]["holder"] and not ports[0]["holder"]["pid"]:
        assert found[0].evidence["not_asked"]
