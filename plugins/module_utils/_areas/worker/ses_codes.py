# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The faults of SES that only the worker's log reports, with the name of the log signature of each."""

from __future__ import annotations

SES_CODES = {"ses.throttled": "ses_rate", "ses.invalid_address": "ses_address"}
