# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The faults of the served page: what each code means for machines. Texts for people are in texts.yml."""

from __future__ import annotations

from ..._core.faults import APPROVAL, Fault, Follows, Remedy, table
from ..._core.finding import reporter

_CAUSES = (Follows("nginx.*"),)
_BELOW_GATEWAY = (
    Follows("backend.*"),
    Follows("pm2.*"),
    Follows("nginx.*"),
)

FAULTS = table(
    "web",
    Fault("web.no_answer", "P1", "+", follows=_CAUSES),
    Fault("web.blank", "P1", "M1-8, M2-10", remedies=(Remedy("web.restore_build", APPROVAL),), follows=_CAUSES),
    Fault("web.build_missing", "P1", "M1-8, M2-10", remedies=(Remedy("web.restore_build", APPROVAL),), follows=_CAUSES),
    Fault("web.asset_missing", "P1", "M1-8, M2-10", remedies=(Remedy("web.restore_build", APPROVAL),), follows=_CAUSES),
    Fault("web.asset_empty", "P1", "M1-8, M2-10", remedies=(Remedy("web.restore_build", APPROVAL),), follows=_CAUSES),
    Fault("web.forbidden", "P1", "M1-8, M2-10", remedies=(Remedy("web.restore_build", APPROVAL),), follows=_CAUSES),
    Fault("web.not_found", "P1", "M1-8", follows=_CAUSES),
    Fault("web.bad_gateway", "P1", "M1-8", follows=_BELOW_GATEWAY),
    Fault("web.gateway_timeout", "P1", "M1-8", follows=_BELOW_GATEWAY),
    Fault("web.secret_in_build", "P0", "F", follows=_CAUSES),
    Fault("web.certificate_30", "P3", "F", follows=_CAUSES),
    Fault("web.certificate_expired", "P1", "F", follows=_CAUSES),
    Fault("web.headers_missing", "P3", "F", follows=_CAUSES),
)
fault = reporter(FAULTS)
