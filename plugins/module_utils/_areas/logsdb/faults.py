# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The faults of LogsDB: what each code means for machines. Texts for people are in texts.yml."""

from __future__ import annotations

from ..._core.faults import Fault, table
from ..._core.finding import reporter

FAULTS = table(
    "logsdb",
    Fault("logsdb.unreachable", "P1", "M2-11"),
)
fault = reporter(FAULTS)
