# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the sending statistics of SES say: rates over windows, rises against the usual, and when the quota runs out. Pure functions.

SES keeps points of 15 minutes for 14 days, unsorted, only for periods in which something was sent (product facts). A point here is
``(start, attempts, bounces, complaints, rejects)``, start in epoch seconds. Rates are percent, times are hours unless a name ends in ``_s``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

STEP = 900.0  # seconds of a point
HOUR = 3600.0
DAY = 86400.0
WINDOWS = (1, 7, 14)  # days
PACE_HOURS = 2.0  # over which today's rate is taken
USUAL_DAYS = 3  # of history, from which on a day can be called usual or not
BUSIER = 1.3  # times the busiest of the former days at this hour: today is none of them
LONGEST_TAIL = 200_000
LEAST_USUAL = 500  # mails in the same hours of the former days, below which all hours are the usual


class Point(NamedTuple):
    """What was sent in 15 minutes."""

    start: float
    attempts: int
    bounces: int
    complaints: int
    rejects: int


def points_of(statistics: Iterable[Mapping[str, Any]], now: float) -> list[Point]:
    """Return the points of ``SendDataPoints`` in their order, each once, none of the future.

    The same period may be told twice while it is still counted: what counted more is newer.
    """
    by_start: dict[float, Point] = {}
    for told in statistics:
        start = float(told["Timestamp"])
        numbers = (int(told.get(name) or 0) for name in ("DeliveryAttempts", "Bounces", "Complaints", "Rejects"))
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
    """Return the sums of the last 1, 7 and 14 days."""
    return {days: between(points, now - days * DAY, now + STEP) for days in WINDOWS}


def percent(count: int, attempts: int) -> float:
    """Return a rate in percent."""
    return 100.0 * count / attempts if attempts else 0.0


def is_over(count: int, attempts: int, line: float, enough: int, chance: float = 0.01) -> bool:
    """Whether a rate is at or over a line (percent).

    With few sends one bounce is a large share: below ``enough`` attempts the count must also be one that a sender at the line would have
    by luck with less than ``chance`` (exact binomial test, one side).
    """
    if not attempts or percent(count, attempts) < line:
        return False
    return attempts >= enough or binomial_tail(count, attempts, line / 100) < chance


def binomial_tail(count: int, trials: int, share: float) -> float:
    """Return the chance of at least ``count`` of ``trials``, each with the chance ``share``."""
    if count <= 0:
        return 1.0
    if share <= 0:
        return 0.0
    if share >= 1:
        return 1.0
    first = _log_choose(trials, count) + count * math.log(share) + (trials - count) * math.log1p(-share)
    return _sum_of_tail(first, lambda k: (trials - k) / (k + 1) * share / (1 - share), count, trials)


def fisher_tail(count: int, trials: int, usual_count: int, usual_trials: int) -> float:
    """Return the chance that at least ``count`` of ``trials`` are bad if they are no worse than the usual ones.

    Fisher's exact test, one side: given how many are bad in all, how many of them fall on this side by luck.
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


def poisson_tail(count: int, mean: float) -> float:
    """Return the chance of at least ``count`` where ``mean`` are usual."""
    if count <= 0:
        return 1.0
    mean = max(mean, 1e-9)
    first = count * math.log(mean) - mean - math.lgamma(count + 1)
    return _sum_of_tail(first, lambda k: mean / (k + 1), count, count + LONGEST_TAIL)


def _sum_of_tail(log_first: float, ratio: Any, count: int, most: int) -> float:
    term = math.exp(log_first) if log_first > -745 else 0.0
    total = term
    for k in range(count, min(most, count + LONGEST_TAIL)):
        term *= ratio(k)
        total += term
        if term < total * 1e-12:
            break
    return min(1.0, total)


def _log_choose(of: int, chosen: int) -> float:
    return math.lgamma(of + 1) - math.lgamma(chosen + 1) - math.lgamma(of - chosen + 1)


class Rise(NamedTuple):
    """A rate that is higher than usual: over which hours, its numbers, the usual ones, and the chance of that by luck."""

    hours: float
    count: int
    attempts: int
    rate: float
    usual_count: int
    usual_attempts: int
    usual_rate: float
    chance: float


def rising(points: Sequence[Point], now: float, kind: str, least: int, chance: float, times: float = 2.0) -> Rise | None:
    """Return the clearest rise of a kind (bounces, complaints, rejects) over the usual, None for none.

    The last 3 hours are compared with the same hours of all former days, the last 24 hours with the days before. A rise has at least
    ``least`` of them, ``times`` the usual rate, and by Fisher's exact test less than ``chance`` to be luck. Without a former day there is
    no usual.
    """
    found = []
    for hours in (3.0, 24.0):
        last = between(points, now - hours * HOUR, now + STEP)
        usual = _usual(points, now, hours)
        count, before = getattr(last, kind), getattr(usual, kind)
        if count < least or not usual.attempts or not last.attempts:
            continue
        rate, usual_rate = percent(count, last.attempts), percent(before, usual.attempts)
        luck = fisher_tail(min(count, last.attempts), last.attempts, min(before, usual.attempts), usual.attempts)
        if rate >= times * usual_rate and luck < chance:
            found.append(Rise(hours, count, last.attempts, rate, before, usual.attempts, usual_rate, luck))
    return min(found, key=lambda rise: rise.chance, default=None)


def _usual(points: Sequence[Point], now: float, hours: float) -> Point:
    """Return the sum of the same hours of the former 13 days; of all their hours, where next to nothing is sent at these."""
    sums = [between(points, now - day * DAY - hours * HOUR, now - day * DAY) for day in range(1, 14)]
    same_hours = Point(0.0, *(sum(column) for column in zip(*(each[1:] for each in sums))))
    return same_hours if same_hours.attempts >= LEAST_USUAL else between(points, now - 14 * DAY, now - DAY)


# --- quota


class Forecast(NamedTuple):
    """When the rolling quota runs out, in hours from now, None for not within a day.

    today_h: if it goes on as in the last hours. worst_h: if the next 24 hours become like the busiest of the former days from this hour on.
    pace: mails an hour now. worst_day: how many days ago that was. unusual: today is busier than any of them. alarm_h: what is to be told.
    """

    today_h: float | None
    worst_h: float | None
    pace: float
    worst_day: int | None
    unusual: bool
    alarm_h: float | None


def forecast(points: Sequence[Point], now: float, used: float, limit: float, horizon: float = 24.0) -> Forecast:
    """Say when ``used`` reaches ``limit``: mails that are a day old leave the window while new ones come in.

    Told is the busiest former day, since a pace of minutes says little about a run that ends soon; and today's pace where there is no
    usual yet, or where today is busier than any former day at this hour.
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
    told = [worst] if worst is not None else []
    if today is not None and (unusual or len(days) < USUAL_DAYS):
        told.append(today)
    soonest = min(told, default=None)
    return Forecast(today, worst, pace, worst_day, unusual, soonest if soonest is not None and soonest <= horizon else None)


def _steps(points: Sequence[Point], begin: float) -> list[float]:
    """Return what was sent in each quarter of an hour of the day from ``begin`` on."""
    steps = [0.0] * 96
    for point in points:
        number = int((point.start - begin) // STEP)
        if 0 <= number < 96:
            steps[number] += point.attempts
    return steps


def _leaving(points: Sequence[Point], now: float, used: float) -> list[float]:
    """Return what leaves the window of 24 hours in each quarter to come; together all that is used."""
    steps = _steps(points, now - DAY)
    known = sum(steps)
    if not known:
        return [used / 96] * 96
    return [step * used / known for step in steps]


def _runs_out(used: float, limit: float, leaving: Sequence[float], coming: Sequence[float]) -> float | None:
    """Return the hours until the window holds as much as the limit, None when it does not within a day."""
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
    """Return the most mails a second that a period of 15 minutes had on average."""
    return max((point.attempts for point in points), default=0) / STEP


def parallel_that_fits(limit: float, mail_seconds: float, now_parallel: int | None, seen: float) -> int:
    """Return how many mails may be under way at once: each takes ``mail_seconds``, or what was measured at today's parallelism.

    A tenth is kept free: SES counts each second by itself.
    """
    if now_parallel and seen > 0:
        mail_seconds = min(mail_seconds, now_parallel / seen)
    return max(1, math.floor(0.9 * limit * mail_seconds))
