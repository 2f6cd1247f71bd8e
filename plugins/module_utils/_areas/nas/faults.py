# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The faults of the NAS: what each code means for machines. Texts for people are in texts.yml."""

from __future__ import annotations

from ..._core.faults import APPROVAL, Fault, Follows, Remedy, table
from ..._core.finding import reporter

_SICK_MOUNT = (
    Follows("nas.not_mounted"),
    Follows("nas.wrong_source"),
    Follows("nas.stale"),
    Follows("nas.hung"),
)

FAULTS = table(
    "nas",
    Fault("nas.not_mounted", "P0", "M1-6, M2-7", remedies=(Remedy("nas.remount", APPROVAL),)),
    Fault("nas.wrong_source", "P0", "M1-6, M2-7", remedies=(Remedy("nas.remount", APPROVAL),)),
    Fault("nas.stale", "P0", "M1-6, M2-7", remedies=(Remedy("nas.remount", APPROVAL),)),
    Fault("nas.hung", "P0", "M1-6, M2-7", remedies=(Remedy("nas.remount", APPROVAL),)),
    Fault("nas.path_missing", "P1", "M1-6, M2-7", follows=_SICK_MOUNT),
    Fault("nas.no_permission", "P1", "M1-6, M2-7", follows=_SICK_MOUNT),
    Fault("nas.writable", "P3", "F", follows=_SICK_MOUNT),
    Fault("nas.disk_80", "P2", "M2-7", follows=_SICK_MOUNT),
    Fault("nas.disk_90", "P1", "M2-7", follows=_SICK_MOUNT),
)
fault = reporter(FAULTS)
