# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks of the area oracle (M1-5, M2-6).

How far does a connection to each database get, and why no further? Is it slow or near its limit; does the account have the
privileges it needs, and no more?
"""

from __future__ import annotations

from . import check_connect as connect
from . import check_privileges as privileges

CHECKS = (connect.CHECK, privileges.CHECK)
