# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of the logs one run may read."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

MEGABYTE = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """The bounds of one run.

    first: bytes of a file that has no cursor yet, from its end. more: bytes of any file. until: reading ends at this time of
    ``clock`` (seconds); the next run continues there.
    """

    first: int
    more: int
    until: float
    clock: Callable[[], float] = time.monotonic

    def left(self) -> float:
        """Return the seconds that are left, at least 0."""
        return max(0.0, self.until - self.clock())

    def over(self) -> bool:
        """Return whether the time is over."""
        return self.clock() >= self.until
