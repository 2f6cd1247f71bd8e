# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of logrotate, and names of rotated parts."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.host import logrotate


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("worker.log", ""),
        ("worker.log.1", "worker.log"),
        ("worker.log.2.gz", "worker.log"),
        ("worker.log-20261121", "worker.log"),
        ("worker.log-20261121.gz", "worker.log"),
        ("worker.log-2026-11-21", "worker.log"),
        ("worker-2026-11-21.log", "worker.log"),
        ("worker-out__2026-11-21_00-00-00.log", "worker-out.log"),
        ("access.log.old", "access.log"),
        ("messages", ""),
        ("messages-20261121", "messages"),
    ],
)
def test_rotated_parts_know_their_log(name, base):
    assert logrotate.rotated_from(name) == base


def test_patterns_of_logrotate():
    text = """\
# a comment { /not/this
include /etc/logrotate.d
weekly
/var/log/nginx/*.log /opt/a.log {
    postrotate
        /usr/bin/true
    endscript
}
"/var/log/with space/*.log"
/var/log/two
{
    rotate 4
}
"""
    assert logrotate.parse_rules(text) == ["/var/log/nginx/*.log", "/opt/a.log", "/var/log/with space/*.log", "/var/log/two"]
