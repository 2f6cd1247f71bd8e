# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks of the area worker (manual 1, section 4; manual 2, section 5).

What do the logs say of Oracle, SES and files; do jobs and the scheduler go on while work waits?
"""

from __future__ import annotations

from ..._core.check import Check
from . import check_log, check_rhythm, check_ses

CHECKS: tuple[Check, ...] = (check_log.CHECK, check_ses.CHECK, check_rhythm.CHECK)
