# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Series of measurements over earlier runs, and forecasts from them.

A point is ``[time, value, size]``: epoch seconds, bytes in use, and bytes in total. Pure functions that accept whatever an earlier
run, or a damaged file, has left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .units import DAY, KOREA, is_number, size_text, stamp

MOST_POINTS = 120
LONGEST = 60 * 86400.0  # seconds for which points are kept
FITTED = 60  # points that a line is fitted to
CLEANED = 0.02  # a decrease by this part of the size counts as a clean-up
STEADY = 0.1  # part of the predicted growth that each third of the time must show


@dataclass(frozen=True)
class Forecast:
    """A forecast: bytes a day, when the file system is full, and the begin and number of the points that it is made from."""

    per_day: float
    full_at: float
    since: float
    points: int


def usable(points: Any, now: float) -> list[list[float]]:
    """Return the valid points of the past in order; a clock that was set back leaves points of the future."""
    if not isinstance(points, list):
        return []
    found = [point[:3] for point in points if isinstance(point, list) and len(point) >= 3 and all(map(is_number, point[:3]))]
    return sorted(point for point in found if now - LONGEST <= point[0] <= now and point[1] >= 0)[-2 * MOST_POINTS :]


def add(points: Any, point: Sequence[float]) -> list[list[float]]:
    """Return a series with one more point; when there are too many, every second point of the older half is dropped."""
    series = [*usable(points, point[0]), list(point)]
    while len(series) > MOST_POINTS:
        half = len(series) // 2
        series = series[:half:2] + series[half:]
    return series


def forecast(points: Any, now: float, free: float, *, least_points: int, least_seconds: float) -> Forecast | None:
    """Return the forecast of a series; None when it is too short, does not grow steadily, or is cleaned up in time.

    points: up to the present one. free: bytes that are free now.
    Only points after the last clean-up count. The slope is the median of the slopes between any two points (Theil-Sen), so that single
    jumps do not distort it, and the series must have grown in each third of the time. Where clean-ups are regular, a file system that
    would be full only after the next one has no forecast.
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
    """Return the points after the last clean-up or change of size, and the times of all clean-ups since that change."""
    start = 0
    cleaned: list[float] = []
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
    """Return the growth since the lowest point of the last week, and how many seconds ago that was; None without a point."""
    week = [point for point in usable(points, now) if now - 7 * DAY <= point[0] < now]
    if not week:
        return None
    lowest = min(week, key=lambda point: (point[1], -point[0]))
    return present - lowest[1], now - lowest[0]


def mapping(value: Any) -> Mapping[str, Any]:
    """Return the value if it is a dictionary, an empty one otherwise."""
    return value if isinstance(value, dict) else {}


def trend_of(trend: Forecast | None, now: float) -> dict[str, Any]:
    """Return a forecast as evidence: growth per day, when the file system is full, and what the forecast is made from; {} for none."""
    if trend is None or stamp(trend.full_at) is None:
        return {}
    return {
        "per_day": size_text(trend.per_day),
        "full_at": stamp(trend.full_at),
        "full_at_kst": datetime.fromtimestamp(trend.full_at, tz=KOREA).strftime("%Y-%m-%d %H:%M KST"),
        "hours": round((now - trend.since) / 3600, 1),
        "runs": trend.points,
    }
