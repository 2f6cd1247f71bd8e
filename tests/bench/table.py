# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows of the bench: what one is, how it is printed, and whether the machine did anything else meanwhile."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

IDLE = 0.2  # processors in use by others; with more, times say little
WATCHED = 1.0  # seconds
# Start a measured program by this: it takes no memory over from the bench.
FRESH = (sys.executable, "-S", "-E", str(Path(__file__).with_name("fresh.py")))


@dataclass
class Row:
    """One comparison: medians of ours and of the reference, the median of the ratios pair by pair, and the most it may be.

    in_use: processors that others had in use right before.
    """

    name: str
    ours: float
    reference: float
    ratio: float
    bar: float
    in_use: float = 0.0

    @property
    def within(self) -> bool:
        """Whether the ratio is within its bar."""
        return self.ratio <= self.bar

    @property
    def idle(self) -> bool:
        """Whether the row ran alone on the machine."""
        return self.in_use <= IDLE

    def __str__(self) -> str:
        verdict = "ok" if self.within else "OVER"
        beside = "" if self.idle else f"  NOT IDLE: others used {self.in_use:.1f} processors"
        return (
            f"{self.name:<56} {self.ours:>10.4f} {self.reference:>10.4f}  ratio {self.ratio:>7.4f}  bar {self.bar:<6.3g} {verdict}{beside}"
        )


def processors_in_use(seconds: float = WATCHED) -> float:
    """Return how many processors were busy on average for some seconds in which the bench itself slept."""
    before = _ticks()
    time.sleep(seconds)
    busy, whole = (after - earlier for after, earlier in zip(_ticks(), before))
    return busy / whole * (os.cpu_count() or 1) if whole else 0.0


def _ticks() -> tuple[int, int]:
    """Return the busy and all clock ticks of all processors since the start of the machine."""
    counted = [int(word) for word in Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:9]]
    waiting = counted[3] + counted[4]
    return sum(counted) - waiting, sum(counted)


def measured(makers: Iterable[Callable[[], Iterable[Row]]]) -> Iterator[Row]:
    """Make rows and print each; before each row the machine is watched (a maker may measure several rows at once)."""
    for make in makers:
        in_use = processors_in_use()
        for row in make():
            row.in_use = in_use
            print(row, flush=True)
            yield row
            in_use = max(in_use, processors_in_use())
