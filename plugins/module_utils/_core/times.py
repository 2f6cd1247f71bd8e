# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moments as text: RFC 3339 in UTC, the one form of all records, findings and state files."""

from __future__ import annotations

from datetime import datetime, timezone


def rfc3339(moment: datetime | float, timespec: str = "seconds") -> str:
    """Return a moment as RFC 3339 in UTC, such as 2026-11-21T09:10:12Z.

    moment: an aware datetime, or epoch seconds between the years 1 and 9999. timespec: seconds, or milliseconds; more is cut off.
    """
    known = moment if isinstance(moment, datetime) else datetime.fromtimestamp(moment, tz=timezone.utc)
    return known.astimezone(timezone.utc).isoformat(timespec=timespec).replace("+00:00", "Z")
