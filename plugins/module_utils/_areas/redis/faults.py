# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The faults of redis: what each code means for machines. Texts for people are in texts.yml."""

from __future__ import annotations

from ..._core.faults import Fault, table
from ..._core.finding import reporter

FAULTS = table(
    "redis",
    Fault("redis.no_answer", "P1", "+"),
    Fault("redis.refused", "P1", "+"),
    Fault("redis.loading", "P2", "+"),
    Fault("redis.read_only", "P1", "+"),
    Fault("redis.memory_80", "P2", "+"),
    Fault("redis.memory_95", "P1", "+"),
    Fault("redis.save_failed", "P2", "+"),
)
fault = reporter(FAULTS)
