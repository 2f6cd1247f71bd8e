# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks of the area ses (manual 1 section 7, manual 2 section 8).

Quota with forecast, send rate, bounces and complaints (also when they only rise), account, identities and their DNS, keys, clock, ports.
"""

from __future__ import annotations

from . import check_account, check_identities, check_key, check_quota, check_reach, check_reputation

CHECKS = (
    check_reach.CHECK,
    check_key.CHECK,
    check_account.CHECK,
    check_quota.CHECK,
    check_reputation.CHECK,
    check_identities.CHECK,
)
