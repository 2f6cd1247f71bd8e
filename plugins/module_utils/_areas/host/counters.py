# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parse counters of the kernel that both CPU and memory need: pressure information, /proc/stat, lists of names and numbers."""

from __future__ import annotations

import os
import re
from typing import TypedDict

from ..._shared.proc import PROC
from ..._shared.text_files import text_of

# Percent of the time that tasks waited: {some (of the tasks) or full (all of them): {"10", "60" or "300" (seconds): percent}}.
Pressure = dict[str, dict[str, float]]


class CpuStat(TypedDict):
    """The CPU in /proc/stat: clock ticks since boot of all cores, number of cores, and when the machine booted (epoch seconds)."""

    busy: int
    total: int
    stolen: int
    cores: int
    boot: int


def parse_pressure(text: str | None) -> Pressure | None:
    """Return the averages of a file of pressure information, None for any other text."""
    found: Pressure = {}
    for line in (text or "").split("\n"):
        averages = dict(re.findall(r"\bavg(10|60|300)=(\d{1,3}(?:\.\d{1,6})?)", line))
        kind = line.split(" ", 1)[0]
        if kind in ("some", "full") and len(averages) == 3:
            found[kind] = {window: float(value) for window, value in averages.items()}
    return found if "some" in found else None


def parse_stat(text: str | None) -> CpuStat | None:
    """Return the CPU of /proc/stat, None for any other text.

    The time that a hypervisor gave to other machines (steal) counts as busy: it cannot be used.
    """
    found = re.search(r"^cpu +((?:\d{1,20} ?){4,10})$", text or "", re.M)
    if not found:
        return None
    ticks = [int(number) for number in found.group(1).split()][:8]
    idle = ticks[3] + (ticks[4] if len(ticks) > 4 else 0)
    boot = re.search(r"^btime (\d{1,12})$", text or "", re.M)
    return {
        "busy": sum(ticks) - idle,
        "total": sum(ticks),
        "stolen": ticks[7] if len(ticks) > 7 else 0,
        "cores": len(re.findall(r"^cpu\d+ ", text or "", re.M)) or 1,
        "boot": int(boot.group(1)) if boot else 0,
    }


def parse_counters(text: str | None) -> dict[str, int]:
    """Return the ``name 123`` lines of a file such as /proc/vmstat or cpu.stat."""
    return {name: int(number) for name, number in re.findall(r"^(\w+) (\d{1,20})$", text or "", re.M)}


def pressure(kind: str) -> Pressure | None:
    """Return the pressure information of the machine; kind: cpu, memory or io. None where the kernel has none."""
    return parse_pressure(text_of(os.path.join(PROC, "pressure", kind)))
