# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks of the area logsdb (M2-11).

Does it answer, and is work waiting? (PostgreSQL, MySQL/MariaDB, Oracle, SQLite)
"""

from __future__ import annotations

from . import check_reach as reach
from . import check_sending as sending
from . import check_work as work

CHECKS = (reach.CHECK, work.CHECK, sending.CHECK)
