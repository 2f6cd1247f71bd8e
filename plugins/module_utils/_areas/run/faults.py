# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The faults of a run itself: what could not be checked, and what became of a rollback. Texts for people are in texts.yml."""

from __future__ import annotations

from ..._core.faults import ENGINE, Fault, table
from ..._core.finding import reporter

FAULTS = {
    **ENGINE,
    **table(
        "run",
        Fault("run.rollback_refused", "P1", "M1-12"),
        Fault("run.rollback_undone", "P1", "M1-12"),
        Fault("run.rollback_broken", "P0", "M1-12"),
    ),
}
fault = reporter(FAULTS)
