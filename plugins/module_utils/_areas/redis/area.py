# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The area redis: its checks.

Does it answer and accept the login, can it be written to, how full is its memory, did the last save work?
"""

from __future__ import annotations

from . import check_ping

CHECKS = (check_ping.CHECK,)
