# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kills in the kernel's log."""

from __future__ import annotations

from ansible_collections.ops.remediation.plugins.module_utils._shared import kernel_log


def test_kills_in_the_kernels_words():
    lines = [
        (1.0, "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),oom_memcg=/tank,task_memcg=/tank/a,task=node,pid=77,uid=0"),
        (2.0, "Memory cgroup out of memory: Killed process 77 (node) total-vm:1kB"),
        (3.0, "Out of memory: Kill process 78 (java (x)) score 900 or sacrifice child"),
        (4.0, "nothing of that kind"),
    ]
    assert kernel_log.parse_kills(lines) == [
        {"at": 2.0, "pid": 77, "name": "node", "group": "/tank/a"},
        {"at": 3.0, "pid": 78, "name": "java (x", "group": ""},
    ]
