# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The faults of SES: severity, source, remedies, and what they follow from. Their texts are in texts.yml."""

from __future__ import annotations

from ..._core.faults import APPROVAL, Fault, Follows, Remedy, table
from ..._core.finding import reporter

FAULTS = table(
    "ses",
    Fault("ses.quota_80", "P2", "F, M2-8", remedies=(Remedy("worker.pause", APPROVAL),)),
    Fault("ses.quota_forecast", "P2", "F, M2-8", remedies=(Remedy("worker.pause", APPROVAL),)),
    Fault("ses.quota_exhausted", "P0", "F, M2-8", remedies=(Remedy("worker.pause", APPROVAL),)),
    Fault("ses.rate_near_limit", "P2", "M1-7, M2-8", remedies=(Remedy("worker.reduce_parallel", APPROVAL),)),
    Fault(
        "ses.throttled",
        "P1",
        "M1-7, M2-8",
        remedies=(Remedy("worker.reduce_parallel", APPROVAL),),
        follows=(Follows("ses.quota_exhausted"),),
    ),
    Fault("ses.bounce_5", "P2", "M2-8, M1-7"),
    Fault("ses.bounce_10", "P0", "M2-8, M1-7", remedies=(Remedy("worker.pause", APPROVAL),)),
    Fault("ses.bounce_rising", "P2", "M2-8, M1-7"),
    Fault("ses.complaint_01", "P2", "M2-8, F"),
    Fault("ses.complaint_05", "P0", "M2-8, F", remedies=(Remedy("worker.pause", APPROVAL),)),
    Fault("ses.complaint_rising", "P2", "M2-8, F"),
    Fault("ses.reject_5", "P1", "M2-8"),
    Fault("ses.account_paused", "P0", "F"),
    Fault("ses.account_probation", "P1", "F"),
    Fault("ses.sandbox", "P1", "F"),
    Fault("ses.identity_unverified", "P1", "M1-7, F", follows=(Follows("ses.dkim", same_subject=True),)),
    Fault("ses.spf", "P1", "M1-7, F"),
    Fault("ses.dkim", "P1", "M1-7, F"),
    Fault("ses.mail_from", "P1", "M1-7, F"),
    Fault("ses.access_denied", "P0", "M1-7, F"),
    Fault("ses.policy_too_wide", "P3", "M1-7, F"),
    Fault("ses.key_invalid", "P0", "M2-8"),
    Fault("ses.key_inactive", "P0", "M2-8"),
    Fault("ses.clock", "P0", "M2-8"),
    Fault("ses.key_old", "P3", "M1-13"),
    Fault("ses.invalid_address", "P2", "M1-7"),
    Fault("ses.unreachable", "P0", "F"),
)
fault = reporter(FAULTS)
