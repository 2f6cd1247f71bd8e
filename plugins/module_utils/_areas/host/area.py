# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The area host: its checks (manual 1, section 9; manual 2, sections 7 and 9).

CPU, memory, disks with forecast, log rotation, clock, outbound and listening ports.
"""

from __future__ import annotations

from . import check_clock, check_cpu, check_disk, check_logs, check_memory, check_outbound, check_ports

CHECKS = (
    check_cpu.CHECK,
    check_memory.CHECK,
    check_disk.CHECK,
    check_logs.CHECK,
    check_clock.CHECK,
    check_outbound.CHECK,
    check_ports.CHECK,
)
