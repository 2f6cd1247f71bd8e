# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The faults of nginx: what each code means for machines. Texts for people are in texts.yml."""

from __future__ import annotations

from ..._core.faults import AUTO, Fault, Follows, Remedy, table
from ..._core.finding import reporter

_CAUSES = (
    Follows("nginx.config_invalid"),
    Follows("nginx.port_conflict"),
)

FAULTS = table(
    "nginx",
    Fault("nginx.stopped", "P1", "M1-8, M2-10", remedies=(Remedy("nginx.start", AUTO),), follows=_CAUSES),
    Fault("nginx.config_invalid", "P1", "M1-8, M2-10", remedies=(Remedy("nginx.start", AUTO),)),
    Fault("nginx.port_conflict", "P1", "M1-8, M2-10", remedies=(Remedy("nginx.start", AUTO),)),
    Fault("nginx.restarted", "P3", "M2-10"),
    Fault("nginx.old_config", "P2", "M2-10", remedies=(Remedy("nginx.reload", AUTO),), follows=_CAUSES),
)
fault = reporter(FAULTS)
