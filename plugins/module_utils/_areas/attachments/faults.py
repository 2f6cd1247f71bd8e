# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The faults of attachments: what each code means for machines. Texts for people are in texts.yml."""

from __future__ import annotations

from ..._core.faults import APPROVAL, Fault, Follows, Remedy, table
from ..._core.finding import reporter

_CAUSES = (Follows("nas.*"),)

FAULTS = table(
    "attachments",
    Fault("attachments.batch_missing", "P1", "M1-6", follows=_CAUSES),
    Fault(
        "attachments.not_found",
        "P2",
        "M1-6",
        follows=(
            Follows("nas.*"),
            Follows("attachments.batch_missing"),
        ),
    ),
    Fault("attachments.case_differs", "P2", "M1-6", remedies=(Remedy("attachments.rename", APPROVAL),), follows=_CAUSES),
    Fault("attachments.near_name", "P2", "M1-6", follows=_CAUSES),
    Fault("attachments.duplicated", "P2", "M1-6", follows=_CAUSES),
    Fault("attachments.empty", "P2", "M1-6, F", follows=_CAUSES),
    Fault("attachments.unreadable", "P2", "M1-6, F", follows=_CAUSES),
    Fault("attachments.damaged", "P2", "M1-6, F", follows=_CAUSES),
    Fault("attachments.wrong_type", "P2", "M1-6, F", follows=_CAUSES),
    Fault("attachments.extension", "P2", "M1-6, F", follows=_CAUSES),
    Fault("attachments.bad_name", "P2", "M1-6, F", follows=_CAUSES),
    Fault("attachments.no_name", "P2", "M1-6, F", follows=_CAUSES),
    Fault("attachments.still_written", "P2", "M1-6, F", follows=_CAUSES),
    Fault("attachments.retention", "P3", "F", follows=_CAUSES),
)
fault = reporter(FAULTS)
