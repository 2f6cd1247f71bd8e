# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Series of measurements over earlier runs: kept small, and continued into the future.

A point is ``[time, value, size]``: epoch seconds, and bytes used of bytes there are. Pure functions that take anything
that an earlier run, or a damaged file, may have left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .units import DAY, KOREA, is_number, size_text, stamp

MOST_POINTS = 120
LONGEST = 60 * 86400.0  # seconds that points are kept
FITTED = 60  # points of a fit
CLEANED = 0.02  # a fall by this part of the size is a clean-up
STEADY = 0.1  # of the growth that a line predicts, that each third of the time must show


@dataclass(frozen=True)
class Forecast:
    """Where a series leads: bytes a day, when nothing is left, since when and from how many points this is known."""

    per_day: float
    full_at: float
    since: float
    points: int


def usable(points: Any, now: float) -> list[list[float]]:
    """Return the points that are three numbers and of the past, in order; a clock that was put back makes others."""
    if not isinstance(points, list):
        return []
    found = [point[:3] for point in points if isinstance(point, list) and len(point) >= 3 and all(map(is_number, point[:3]))]
    return sorted(point for point in found if now - LONGEST <= point[0] <= now and point[1] >= 0)[-2 * MOST_POINTS :]


def add(points: Any, point: Sequence[float]) -> list[list[float]]:
    """Return a series with one more point; where there are too many, every second of the older half goes."""
    series = [*usable(points, point[0]), list(point)]
    while len(series) > MOST_POINTS:
        half = len(series) // 2
        series = series[:half:2] + series[half:]
    return series


def forecast(points: Any, now: float, free: float, *, least_points: int, least_seconds: float) -> Forecast | None:
    """Continue a series in a straight line; None when it is too short, does not grow steadily, or is cleaned in time.

    points: up to and with the present one. free: bytes left now.
    Only what came after the last clean-up counts. The line is the median of the slopes between any two points (Theil and
    Sen), so that single leaps do not bend it, and each third of the time must have grown. Where clean-ups come again and
    again, a disk that would be full only after the next one is well.
    """
    series = usable(points, now)
    since_cleaned, cleaned = _since_last_cleaning(series)
    if len(since_cleaned) < max(3, least_points) or since_cleaned[-1][0] - since_cleaned[0][0] < max(1.0, least_seconds):
        return None
    slope = median_slope(since_cleaned)
    if slope <= 0 or not _steady(since_cleaned, slope):
        return None
    full_at = now + free / slope
    gaps = [later - earlier for earlier, later in zip(cleaned, cleaned[1:])]
    if gaps and full_at > cleaned[-1] + max(gaps):
        return None
    return Forecast(slope * DAY, full_at, since_cleaned[0][0], len(since_cleaned))


def _since_last_cleaning(series: Sequence[Sequence[float]]) -> tuple[list[Sequence[float]], list[float]]:
    """Return the points after the last clean-up or change of size, and the times of all clean-ups."""
    start, cleaned = 0, []
    for number in range(1, len(series)):
        before, after = series[number - 1], series[number]
        if after[2] != before[2]:
            start, cleaned = number, []
        elif before[1] - after[1] > CLEANED * after[2]:
            start = number
            cleaned.append(after[0])
    return list(series[start:]), cleaned


def median_slope(points: Sequence[Sequence[float]]) -> float:
    """Return the median of the slopes between any two points, in bytes a second; 0.0 where no two differ in time."""
    step = max(1, -(-len(points) // FITTED))
    chosen = list(points[::-step])
    slopes = sorted(
        (first[1] - second[1]) / (first[0] - second[0])
        for number, first in enumerate(chosen)
        for second in chosen[number + 1 :]
        if first[0] > second[0]
    )
    return slopes[len(slopes) // 2] if slopes else 0.0


def _steady(points: Sequence[Sequence[float]], slope: float) -> bool:
    first, last = points[0][0], points[-1][0]
    length = (last - first) / 3
    marks = [value_at(points, first + number * length) for number in range(4)]
    return all(after - before >= STEADY * slope * length for before, after in zip(marks, marks[1:]))


def value_at(points: Sequence[Sequence[float]], moment: float) -> float:
    """Return the value of a series at a time, on the straight line between its neighbours."""
    for before, after in zip(points, points[1:]):
        if before[0] <= moment <= after[0] and after[0] > before[0]:
            return before[1] + (after[1] - before[1]) * (moment - before[0]) / (after[0] - before[0])
    return points[-1][1] if points and moment > points[0][0] else points[0][1]


def growth(points: Any, now: float, present: float) -> tuple[float, float] | None:
    """Return by how much a series grew to the present value since its lowest point of the last week, and how many seconds ago that was."""
    week = [point for point in usable(points, now) if now - 7 * DAY <= point[0] < now]
    if not week:
        return None
    lowest = min(week, key=lambda point: (point[1], -point[0]))
    return present - lowest[1], now - lowest[0]


def mapping(value: Any) -> Mapping[str, Any]:
    """Return a dictionary, an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def trend_of(trend: Forecast | None, now: float) -> dict[str, Any]:
    """Return what is said of a forecast: how much a day, and when the file system is full."""
    if trend is None or stamp(trend.full_at) is None:
        return {}
    return {
        "per_day": size_text(trend.per_day),
        "full_at": stamp(trend.full_at),
        "full_at_kst": datetime.fromtimestamp(trend.full_at, tz=KOREA).strftime("%Y-%m-%d %H:%M KST"),
        "hours": round((now - trend.since) / 3600, 1),
        "runs": trend.points,
    }
