# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks of the area backend (manual 1, section 3).

Does the health API answer well and fast, do the logs say why the backend does not start, who may read `.env`?
"""

from __future__ import annotations

from ..._core.check import Check
from . import check_env, check_health, check_log

CHECKS: tuple[Check, ...] = (check_health.CHECK, check_log.CHECK, check_env.CHECK)
