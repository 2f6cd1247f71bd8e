# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The area attachments: its sources and its checks (manual 1, section 6; manual 2, sections 7 and 11)."""

from __future__ import annotations

from ..._core.check import Check
from ..._core.source import Source
from . import checks as _attachments_checks
from . import read as _attachments_read

FILES = Source(
    "attachments.files",
    _attachments_read.read,
    _attachments_read.PARAMETERS,
    owner=_attachments_read.owner,
    prepare=_attachments_read.prepare,
    remember=_attachments_read.remember,
    # The memory of refused passwords that the checks of Oracle have.
    kept_as="oracle-refused",
    exclusive=("roots",),
)
KEPT = Source(
    "attachments.kept",
    _attachments_read.read_retention,
    _attachments_read.RETENTION_PARAMETERS,
    owner=_attachments_read.owner,
    exclusive=("roots",),
)

CHECKS = (
    Check(
        "attachments.present",
        "Is every wanted file there, once and whole, and has the batch run?",
        _attachments_checks.present,
        (FILES,),
        _attachments_checks.PRESENT_PARAMETERS,
        run_as="app",
        driver_of=_attachments_checks.driver_of,
    ),
    Check(
        "attachments.retention",
        "Are files kept longer than the policy says?",
        _attachments_checks.retention,
        (KEPT,),
        _attachments_checks.RETENTION_PARAMETERS,
        run_as="app",
    ),
)
