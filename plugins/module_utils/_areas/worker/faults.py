# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The faults of the worker: what each code means for machines. Texts for people are in texts.yml."""

from __future__ import annotations

from ..._core.faults import APPROVAL, Fault, Follows, Remedy, table
from ..._core.finding import reporter

_BELOW_APPLICATIONS = (
    Follows("pm2.*"),
    Follows("oracle.*"),
    Follows("ses.*"),
    Follows("nas.*"),
    Follows("attachments.*"),
    Follows("logsdb.unreachable"),
)

FAULTS = table(
    "worker",
    Fault("worker.stalled", "P0", "M1-4, M2-5", remedies=(Remedy("pm2.restart", APPROVAL),), follows=_BELOW_APPLICATIONS),
    Fault("worker.scheduler_silent", "P1", "M2-5", remedies=(Remedy("pm2.restart", APPROVAL),), follows=_BELOW_APPLICATIONS),
    Fault("worker.oracle_failed", "P1", "M1-4", follows=_BELOW_APPLICATIONS),
    Fault("worker.ses_error", "P1", "M1-4", follows=_BELOW_APPLICATIONS),
    Fault("worker.file_not_found", "P1", "M1-4", follows=_BELOW_APPLICATIONS),
    Fault("worker.template_mismatch", "P1", "M1-4", follows=_BELOW_APPLICATIONS),
    Fault("worker.unknown_error", "P2", "M1-4", follows=_BELOW_APPLICATIONS),
)
fault = reporter(FAULTS)
