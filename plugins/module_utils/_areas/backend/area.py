# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks of the area backend (manual 1, section 3)."""

from __future__ import annotations

from ..._core.check import Check
from ..._core.source import Source
from ..._shared import http_client
from ..web import checks as web_checks
from . import check_env, check_log

HEALTH = Source("backend.health", http_client.read_health, ("url", "timeout", "requests"))

CHECKS: tuple[Check, ...] = (
    Check("backend.health", "Does the health API answer, well and fast?", web_checks.health, (HEALTH,), web_checks.HEALTH_PARAMETERS),
    check_log.CHECK,
    check_env.CHECK,
)
