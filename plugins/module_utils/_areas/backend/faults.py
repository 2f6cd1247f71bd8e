# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The faults of the backend: what each code means for machines. Texts for people are in texts.yml."""

from __future__ import annotations

from ..._core.faults import APPROVAL, AUTO, Fault, Follows, Remedy, table
from ..._core.finding import reporter

_CAUSES = (
    Follows("pm2.*"),
    Follows("oracle.*"),
    Follows("ses.*"),
    Follows("nas.*"),
    Follows("attachments.*"),
    Follows("logsdb.unreachable"),
    Follows("backend.di_error"),
    Follows("backend.env_invalid"),
    Follows("backend.module_missing"),
    Follows("backend.port_conflict"),
)
_BELOW_APPLICATIONS = (
    Follows("pm2.*"),
    Follows("oracle.*"),
    Follows("ses.*"),
    Follows("nas.*"),
    Follows("attachments.*"),
    Follows("logsdb.unreachable"),
)

FAULTS = table(
    "backend",
    Fault("backend.di_error", "P1", "M1-3"),
    Fault("backend.env_invalid", "P1", "M1-3"),
    Fault("backend.module_missing", "P1", "M1-3"),
    Fault("backend.port_conflict", "P1", "M1-3", remedies=(Remedy("backend.change_port", APPROVAL),)),
    Fault("backend.env_readable", "P2", "F", remedies=(Remedy("file.tighten", AUTO),)),
    Fault("backend.no_answer", "P1", "M1-3, M2-4", remedies=(Remedy("pm2.restart", AUTO),), follows=_CAUSES),
    Fault("backend.error_5xx", "P1", "M1-3, M2-4", remedies=(Remedy("pm2.restart", AUTO),), follows=_CAUSES),
    Fault("backend.wrong_body", "P1", "M1-3, M2-4", remedies=(Remedy("pm2.restart", AUTO),), follows=_CAUSES),
    Fault("backend.slow", "P2", "F", follows=_BELOW_APPLICATIONS),
)
fault = reporter(FAULTS)
