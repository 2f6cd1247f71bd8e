# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Units and their texts: the seconds of a day, sizes for people, times as RFC 3339."""

from __future__ import annotations

from datetime import timedelta, timezone
from typing import Any

from .._core.times import rfc3339

DAY = 86400.0  # seconds
END_OF_TIME = 1e11  # epoch seconds; a later value is no time
KOREA = timezone(timedelta(hours=9))


def is_number(value: Any) -> bool:
    """Whether something is a finite number (JSON knows others)."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300


def size_text(size: float) -> str:
    """Return a number of bytes for people: ``1.2 GB``."""
    for unit, factor in (("TB", 1 << 40), ("GB", 1 << 30), ("MB", 1 << 20)):
        if abs(size) >= factor:
            number = size / factor
            return f"{number:.0f} {unit}" if number >= 100 else f"{number:.1f} {unit}"
    return f"{size / 1024:.0f} kB"


def stamp(moment: Any) -> str | None:
    """Return a time (epoch seconds) as RFC 3339 in UTC, None for an unknown one."""
    if not is_number(moment) or not 0 < moment < END_OF_TIME:
        return None
    return rfc3339(moment)
