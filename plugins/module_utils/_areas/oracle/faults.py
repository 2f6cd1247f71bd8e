# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The faults of Oracle: what each code means for machines. Texts for people are in texts.yml."""

from __future__ import annotations

from ..._core.faults import APPROVAL, Fault, Remedy, table
from ..._core.finding import reporter

FAULTS = table(
    "oracle",
    Fault("ORA-12514", "P0", "M1-5, M2-6"),
    Fault("ORA-12505", "P0", "M1-5, M2-6"),
    Fault("ORA-12518", "P0", "+"),
    Fault("ORA-12541", "P0", "M1-5, M2-6"),
    Fault("ORA-12170", "P0", "M1-5, M2-6"),
    Fault("ORA-12537", "P0", "M1-5, M2-6"),
    Fault("oracle.name_unknown", "P0", "M1-5"),
    Fault("oracle.tns_alias", "P0", "M1-5"),
    Fault("ORA-01017", "P0", "M1-5, M2-6"),
    Fault("ORA-28000", "P0", "M1-5, M2-6"),
    Fault("ORA-28001", "P0", "M1-5, M2-6"),
    Fault("ORA-28009", "P0", "M1-5, M2-6"),
    Fault("ORA-28002", "P3", "+"),
    Fault("ORA-01034", "P0", "+"),
    Fault("ORA-01033", "P0", "+"),
    Fault("ORA-03113", "P0", "+"),
    Fault("oracle.no_privilege", "P1", "M2-6, F"),
    Fault("oracle.too_much_privilege", "P3", "M2-6, F"),
    Fault("oracle.needs_thick", "P1", "M1-5"),
    Fault("oracle.instant_client_missing", "P1", "M1-5"),
    Fault("oracle.slow", "P2", "F", remedies=(Remedy("worker.reduce_parallel", APPROVAL),)),
    Fault("oracle.pool_exhausted", "P2", "F", remedies=(Remedy("worker.reduce_parallel", APPROVAL),)),
)
fault = reporter(FAULTS)
