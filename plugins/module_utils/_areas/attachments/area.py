# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The area attachments: its checks (manual 1, section 6; manual 2, sections 7 and 11).

Is every wanted file there once and whole, has the batch run, do files of former days go?
"""

from __future__ import annotations

from . import check_present, check_retention

CHECKS = (check_present.CHECK, check_retention.CHECK)
