# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Statistics of sending: rates over windows, rises against the usual rate, and when the quota runs out. Pure functions.

SES keeps points of 15 minutes for 14 days, unsorted, and only for periods in which mails were sent (product facts). Rates are percent, times
are hours unless a name ends in ``_s``; ``now`` and ``start`` are epoch seconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

STEP = 900.0  # seconds of a point
HOUR = 3600.0
DAY = 86400.0
WINDOWS = (1, 7, 14)  # days
PACE_HOURS = 2.0  # today's pace is that of these last hours
USUAL_DAYS = 3  # days of history that are needed to compare today with
BUSIER = 1.3  # today is unusual if it has this many times the mails of the busiest former day at this hour
LONGEST_TAIL = 200_000  # terms of a sum
LEAST_USUAL = 500  # with fewer mails in the same hours of the former days, all their hours are the usual rate


class Point(NamedTuple):
    """The counts of 15 minutes, or of a sum of them."""

    start: float
    attempts: int
    bounces: int
    complaints: int
    rejects: int


def points_of(statistics: Iterable[Mapping[str, Any]], now: float) -> list[Point]:
    """Return the points of SES's ``SendDataPoints``, sorted, each period once, without future ones.

    SES may return a period twice while it still counts; the higher count is newer.
    """
    by_start: dict[float, Point] = {}
    for entry in statistics:
        start = float(entry["Timestamp"])
        numbers = (int(entry.get(name) or 0) for name in ("DeliveryAttempts", "Bounces", "Complaints", "Rejects"))
        point = Point(start, *numbers)
        if start <= now + STEP and (start not in by_start or point[1:] > by_start[start][1:]):
            by_start[start] = point
    return [by_start[start] for start in sorted(by_start)]


def between(points: Sequence[Point], begin: float, end: float) -> Point:
    """Return the sum of the points that start in ``begin <= start < end``."""
    chosen = [point for point in points if begin <= point.start < end]
    sums = (sum(column) for column in zip(*(point[1:] for point in chosen))) if chosen else (0, 0, 0, 0)
    return Point(begin, *sums)


def windows(points: Sequence[Point], now: float) -> dict[int, Point]:
    """Return the sums of the last 1, 7 and 14 days, by days."""
    return {days: between(points, now - days * DAY, now + STEP) for days in WINDOWS}


def percent(count: int, attempts: int) -> float:
    """Return a rate in percent, 0 without attempts."""
    return 100.0 * count / attempts if attempts else 0.0


def is_over(count: int, attempts: int, threshold: float, enough: int, chance: float = 0.01) -> bool:
    """Return whether a rate reaches a threshold (percent).

    With few mails, one bounce is a large share. With fewer than ``enough`` attempts, the rate must therefore also be significant: a sender whose
    true rate is the threshold has such a count with a probability below ``chance`` (exact binomial test, one side).
    """
    if not attempts or percent(count, attempts) < threshold:
        return False
    return attempts >= enough or binomial_tail(count, attempts, threshold / 100) < chance


def binomial_tail(count: int, trials: int, share: float) -> float:
    """Return the probability of at least ``count`` successes in ``trials``, each with the probability ``share``."""
    if count <= 0:
        return 1.0
    if share <= 0:
        return 0.0
    if share >= 1:
        return 1.0
    first = _log_choose(trials, count) + count * math.log(share) + (trials - count) * math.log1p(-share)
    return _sum_of_tail(first, lambda k: (trials - k) / (k + 1) * share / (1 - share), count, trials)


def fisher_tail(count: int, trials: int, usual_count: int, usual_trials: int) -> float:
    """Return the probability of at least ``count`` failures in ``trials`` if their true rate is that of the usual ones.

    Fisher's exact test, one side: the total of failures is fixed, and so many of them fall on this side by chance.
    """
    bad, everything = count + usual_count, trials + usual_trials
    if count <= 0 or not trials:
        return 1.0
    most = min(bad, trials)
    if usual_trials - (bad - count) < 0:
        return 1.0
    first = _log_choose(bad, count) + _log_choose(everything - bad, trials - count) - _log_choose(everything, trials)

    def ratio(k: int) -> float:
        return (bad - k) / (k + 1) * (trials - k) / max(1, everything - bad - trials + k + 1)

    return _sum_of_tail(first, ratio, count, most)


def _sum_of_tail(log_first: float, ratio: Callable[[int], float], count: int, most: int) -> float:
    """Return the sum of terms from ``count`` to ``most``. ratio: of a term to the one before it."""
    term = math.exp(log_first) if log_first > -745 else 0.0
    total = term
    for k in range(count, min(most, count + LONGEST_TAIL)):
        term *= ratio(k)
        total += term
        if term < total * 1e-12:
            break
    return min(1.0, total)


def _log_choose(of: int, chosen: int) -> float:
    """Return the logarithm of a binomial coefficient."""
    return math.lgamma(of + 1) - math.lgamma(chosen + 1) - math.lgamma(of - chosen + 1)


@dataclass(frozen=True)
class Rise:
    """A rate that is higher than usual: its window in hours, its numbers, the usual ones, and the probability of that by chance."""

    hours: float
    count: int
    attempts: int
    rate: float
    usual_count: int
    usual_attempts: int
    usual_rate: float
    chance: float


def rising(points: Sequence[Point], now: float, kind: str, least: int, chance: float, times: float = 2.0) -> Rise | None:
    """Return the least probable rise of a kind (bounces, complaints, rejects) over the usual rate, None for none.

    The last 3 hours are compared with the same hours of all former days, the last 24 hours with the days before. A rise has a count of at least
    ``least``, ``times`` the usual rate, and a probability below ``chance`` by Fisher's exact test. Without a former day there is no usual rate.
    """
    found = []
    for hours in (3.0, 24.0):
        last = between(points, now - hours * HOUR, now + STEP)
        usual = _usual(points, now, hours)
        count, before = getattr(last, kind), getattr(usual, kind)
        if count < least or not usual.attempts or not last.attempts:
            continue
        rate, usual_rate = percent(count, last.attempts), percent(before, usual.attempts)
        probability = fisher_tail(min(count, last.attempts), last.attempts, min(before, usual.attempts), usual.attempts)
        if rate >= times * usual_rate and probability < chance:
            found.append(Rise(hours, count, last.attempts, rate, before, usual.attempts, usual_rate, probability))
    return min(found, key=lambda rise: rise.chance, default=None)


def _usual(points: Sequence[Point], now: float, hours: float) -> Point:
    """Return the sum of the same hours of the former 13 days, or of all their hours where these hours have too few mails."""
    sums = [between(points, now - day * DAY - hours * HOUR, now - day * DAY) for day in range(1, 14)]
    same_hours = Point(0.0, *(sum(column) for column in zip(*(each[1:] for each in sums))))
    return same_hours if same_hours.attempts >= LEAST_USUAL else between(points, now - 14 * DAY, now - DAY)


# --- quota


class Forecast(NamedTuple):
    """When the rolling quota runs out, in hours from now; None where it does not within a day.

    today_h: at the pace of the last hours. pace: mails an hour now.
    worst_h: if the next 24 hours are like the busiest of the former days from this hour on. worst_day: how many days ago that was.
    unusual: today is busier than all former days. alarm_h: the time to report.
    """

    today_h: float | None
    worst_h: float | None
    pace: float
    worst_day: int | None
    unusual: bool
    alarm_h: float | None


def forecast(points: Sequence[Point], now: float, used: float, limit: float, horizon: float = 24.0) -> Forecast:
    """Return when ``used`` reaches ``limit``: mails leave the window when they are a day old, while new ones are sent.

    alarm_h follows the busiest former day, since the pace of minutes does not predict a run that ends soon. It follows today's pace too where
    there are too few former days, or where today is busier than all of them at this hour.
    """
    leaving = _leaving(points, now, used)
    recent = between(points, now - PACE_HOURS * HOUR, now + STEP).attempts
    pace = recent / PACE_HOURS
    today = _runs_out(used, limit, leaving, [pace / 4] * 96)
    days = [day for day in range(1, 14) if between(points, now - day * DAY - DAY, now - day * DAY + DAY).attempts]
    worst, worst_day = None, None
    busiest = 0
    for day in days:
        hours = _runs_out(used, limit, leaving, _steps(points, now - day * DAY))
        busiest = max(busiest, between(points, now - day * DAY - PACE_HOURS * HOUR, now - day * DAY + STEP).attempts)
        if hours is not None and (worst is None or hours < worst):
            worst, worst_day = hours, day
    unusual = len(days) >= USUAL_DAYS and recent > BUSIER * busiest
    candidates = [worst] if worst is not None else []
    if today is not None and (unusual or len(days) < USUAL_DAYS):
        candidates.append(today)
    soonest = min(candidates, default=None)
    return Forecast(today, worst, pace, worst_day, unusual, soonest if soonest is not None and soonest <= horizon else None)


def _steps(points: Sequence[Point], begin: float) -> list[float]:
    """Return the mails of each quarter of an hour of the day from ``begin`` on."""
    steps = [0.0] * 96
    for point in points:
        number = int((point.start - begin) // STEP)
        if 0 <= number < 96:
            steps[number] += point.attempts
    return steps


def _leaving(points: Sequence[Point], now: float, used: float) -> list[float]:
    """Return the mails that leave the window of 24 hours in each coming quarter of an hour; their sum is ``used``."""
    steps = _steps(points, now - DAY)
    known = sum(steps)
    if not known:
        return [used / 96] * 96
    return [step * used / known for step in steps]


def _runs_out(used: float, limit: float, leaving: Sequence[float], coming: Sequence[float]) -> float | None:
    """Return the hours until the window reaches the limit, None where it does not within a day."""
    if used >= limit:
        return 0.0
    for number, (gone, new) in enumerate(zip(leaving, coming)):
        before = used
        used += new - gone
        if used >= limit:
            part = (limit - before) / max(used - before, 1e-9)
            return (number + part) / 4
    return None


def peak(points: Sequence[Point]) -> float:
    """Return the highest rate in mails a second, on average of 15 minutes."""
    return max((point.attempts for point in points), default=0) / STEP


def parallel_that_fits(limit: float, mail_seconds: float, now_parallel: int | None, seen: float) -> int:
    """Return how many mails the worker can send at the same time without exceeding ``limit`` (mails a second).

    A mail takes ``mail_seconds``, or less where the peak ``seen`` at today's parallelism shows it. A tenth stays free, since SES counts each
    second separately.
    """
    if now_parallel and seen > 0:
        mail_seconds = min(mail_seconds, now_parallel / seen)
    return max(1, math.floor(0.9 * limit * mail_seconds))
