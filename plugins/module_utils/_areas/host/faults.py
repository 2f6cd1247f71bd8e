# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The faults of the machine: what each code means for machines. Texts for people are in texts.yml."""

from __future__ import annotations

from ..._core.faults import APPROVAL, AUTO, Fault, Follows, Remedy, table
from ..._core.finding import reporter

_SAME_PLACE = (
    Follows("logsdb.unreachable", same_subject=True),
    Follows("ORA-12541", same_subject=True),
    Follows("ORA-12170", same_subject=True),
    Follows("ORA-12537", same_subject=True),
    Follows("oracle.name_unknown", same_subject=True),
    Follows("ses.unreachable", same_subject=True),
)

FAULTS = table(
    "host",
    Fault("host.cpu_80", "P2", "M1-9, M2-9", remedies=(Remedy("worker.reduce_parallel", APPROVAL),)),
    Fault("host.cpu_saturated", "P1", "M1-9, M2-9", remedies=(Remedy("worker.reduce_parallel", APPROVAL),)),
    Fault("host.memory_low", "P2", "M1-9, M2-9"),
    Fault("host.oom_killed", "P1", "M1-9, M2-9"),
    Fault("host.disk_80", "P2", "M1-9, M2-9", remedies=(Remedy("logs.rotate", APPROVAL),)),
    Fault("host.disk_90", "P1", "M1-9, M2-9", remedies=(Remedy("logs.rotate", AUTO),)),
    Fault("host.inodes", "P1", "M1-9, M2-9"),
    Fault("host.disk_forecast", "P2", "M1-9, M2-9", remedies=(Remedy("logs.rotate", APPROVAL),)),
    Fault("host.log_not_rotated", "P3", "M1-9, F", remedies=(Remedy("logs.rotate", AUTO),)),
    Fault("host.log_readable", "P2", "M1-9, F", remedies=(Remedy("file.tighten", AUTO),)),
    Fault("host.port_open", "P3", "F"),
    Fault("host.outbound_blocked", "P1", "F", follows=_SAME_PLACE),
    Fault("host.clock", "P2", "F"),
)
fault = reporter(FAULTS)
