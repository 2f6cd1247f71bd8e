# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rates, rises and the forecast of the quota: series with known answers."""

from __future__ import annotations

import random

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._shared import rates
from ansible_collections.ops.remediation.plugins.module_utils._shared.rates import DAY, HOUR, STEP, Point

NOW = 1_795_000_000 // DAY * DAY + 12 * HOUR  # noon, UTC
LIMIT = 50_000


def told(start, attempts, bounces=0, complaints=0, rejects=0):
    return {"Timestamp": start, "DeliveryAttempts": attempts, "Bounces": bounces, "Complaints": complaints, "Rejects": rejects}


def series(a_day, days=14, now=NOW, bounces=0.0, complaints=0.0):
    """Points up to now; a_day(hour of the day, days ago) says how many mails an hour."""
    points, start = [], now - days * DAY
    while start < now:
        attempts = round(a_day(start % DAY / HOUR, int((now - start - 1) // DAY)) / 4)
        if attempts:
            points.append(Point(start, attempts, round(attempts * bounces / 100), round(attempts * complaints / 100), 0))
        start += STEP
    return points


def office(a_hour):
    return lambda hour, _ago: a_hour if 8 <= hour < 18 else 0


def used(points, now=NOW):
    return rates.between(points, now - DAY, now + 1).attempts


# --- points


def test_points_are_sorted_counted_once_and_none_is_of_the_future():
    points = rates.points_of([told(NOW - 900, 10), told(NOW - 2700, 5), told(NOW - 900, 12, 1), told(NOW + 9000, 99)], NOW)
    assert [(point.start, point.attempts) for point in points] == [(NOW - 2700, 5), (NOW - 900, 12)]


def test_a_window_holds_its_own_points():
    points = rates.points_of([told(NOW - 2 * DAY, 100, 3), told(NOW - HOUR, 50, 1)], NOW)
    assert {days: (total.attempts, total.bounces) for days, total in rates.windows(points, NOW).items()} == {
        1: (50, 1),
        7: (150, 4),
        14: (150, 4),
    }


# --- lines and small denominators


@pytest.mark.parametrize(
    "count, attempts, over",
    [
        (1, 1, False),
        (1, 10, False),
        (2, 20, False),
        (10, 50, True),
        (50, 1000, True),
        (49, 1000, False),
        (60, 900, False),
        (0, 0, False),
        (90, 900, True),
    ],
)
def test_few_sends_need_more_than_luck(count, attempts, over):
    assert rates.is_over(count, attempts, 5.0, 1000) is over


def test_exact_tests_agree_with_counting_all_cases():
    from math import comb

    exact = sum(comb(20, k) * 0.1**k * 0.9 ** (20 - k) for k in range(4, 21))
    assert rates.binomial_tail(4, 20, 0.1) == pytest.approx(exact)
    table = sum(comb(9, k) * comb(41, 20 - k) for k in range(7, 10)) / comb(50, 20)
    assert rates.fisher_tail(7, 20, 2, 30) == pytest.approx(table)


def test_the_usual_ends_of_the_tests():
    assert rates.fisher_tail(0, 10, 5, 100) == 1.0
    assert rates.fisher_tail(5, 0, 5, 100) == 1.0
    assert rates.binomial_tail(3, 10, 0.0) == 0.0
    assert 0 <= rates.fisher_tail(20_000, 40_000, 10, 400_000) < 1e-300


# --- rises


def test_a_rise_is_told_before_the_line_is_reached():
    points = series(office(4000), bounces=0.5)
    raised = [point._replace(bounces=round(point.attempts * 0.02)) if point.start >= NOW - 3 * HOUR else point for point in points]
    rise = rates.rising(raised, NOW, "bounces", 5, 0.001)
    assert rise is not None
    assert rise.hours == 3.0
    assert rise.rate == pytest.approx(2.0)
    assert rise.rate < 5.0
    assert rise.chance < 1e-6
    assert rates.rising(points, NOW, "bounces", 5, 0.001) is None


def test_a_first_day_has_no_usual():
    points = series(office(4000), days=1, bounces=3.0)
    assert rates.rising([point for point in points if point.start >= NOW - 3 * HOUR], NOW, "bounces", 5, 0.001) is None


def test_false_alarms_of_rises(capsys):
    """Two hundred quiet days by chance alone, with the usual rate of 0.5 %."""
    chance, alarms = random.Random(7), 0
    for _day in range(200):
        points = [point._replace(bounces=sum(chance.random() < 0.005 for _one in range(point.attempts))) for point in series(office(400))]
        alarms += rates.rising(points, NOW, "bounces", 5, 0.001) is not None
    with capsys.disabled():
        print(f"\nrising: {alarms} false alarms in 200 days at 0.1 % each for two windows")
    assert alarms <= 2


# --- forecast


def steady(pace):
    return series(lambda _hour, _ago: pace)


FORECASTS = {
    # name: (points, used, told?, hours)
    "steady below": (steady(2000), None, False, None),
    "usual office day": (series(office(4000)), None, False, None),
    "night after a full day": (series(office(4000), now=NOW + 10 * HOUR), None, False, None),
    "quiet": ([], 0, False, None),
    "unusual growth": (series(lambda hour, ago: (4000 if ago else 10_000) if 8 <= hour < 18 else 0), None, True, None),
    "first day, fast": (series(office(12_000), days=1), None, True, None),
    "first day, slow": (series(office(900), days=1), None, False, None),
    "burst of every noon": (series(lambda hour, _ago: 20_000 if 10 <= hour < 12 else 0), None, False, None),
}


@pytest.mark.parametrize("name", FORECASTS)
def test_forecasts_of_known_series(name):
    points, given, alarm, _hours = FORECASTS[name]
    now = NOW + 10 * HOUR if name.startswith("night") else NOW
    result = rates.forecast(points, now, used(points, now) if given is None else given, LIMIT)
    assert (result.alarm_h is not None) is alarm, result


def test_a_steady_pace_ends_when_arithmetic_says():
    result = rates.forecast([Point(NOW - (8 - n) * STEP, 1000, 0, 0, 0) for n in range(8)], NOW, 30_000, LIMIT)
    assert result.pace == 4000
    # What leaves the window is that of yesterday at this hour: nothing for the first 22 hours.
    assert result.today_h == pytest.approx(5.0, abs=0.01)
    assert result.alarm_h == result.today_h


def test_the_worst_day_counts_from_this_hour_on():
    """Three days ago the evening had a second run that today's quota cannot take."""
    points = series(lambda hour, ago: 5000 if 8 <= hour < 12 else (9000 if ago == 2 and 14 <= hour < 18 else 0))
    result = rates.forecast(points, NOW, 30_000, LIMIT)
    assert result.worst_day == 3
    assert result.worst_h == pytest.approx(2 + 20_000 / 9000, abs=0.3)


def test_used_up_is_now():
    assert rates.forecast([], NOW, LIMIT, LIMIT).today_h == 0.0


def test_lead_time_and_false_alarms(capsys):
    """A day that grows by half an hour's step to the end, asked each hour; and thirty usual days with noise."""
    history = series(office(4000), now=NOW - 4 * HOUR)
    growing = history + [Point(NOW - 4 * HOUR + n * STEP, 2500, 0, 0, 0) for n in range(32)]
    end, total, ends_at = NOW + 4 * HOUR, 0, None
    for point in growing:
        if point.start >= NOW - 4 * HOUR:
            total = sum(one.attempts for one in growing if point.start - DAY < one.start <= point.start)
            if total >= LIMIT and ends_at is None:
                ends_at = point.start
    assert ends_at is not None
    first = next(
        moment
        for moment in (NOW - 4 * HOUR + n * STEP for n in range(1, 40))
        if rates.forecast(
            [one for one in growing if one.start < moment], moment, used([one for one in growing if one.start < moment], moment), LIMIT
        ).alarm_h
        is not None
    )
    lead = (ends_at - first) / HOUR
    chance, alarms, asked = random.Random(3), 0, 0
    for _day in range(30):
        noisy = series(lambda hour, _ago: 3600 * chance.uniform(0.85, 1.15) if 8 <= hour < 18 else 0)
        for moment in (NOW - 3 * HOUR, NOW, NOW + 3 * HOUR):
            known = [point for point in noisy if point.start < moment]
            alarms += rates.forecast(known, moment, used(known, moment), LIMIT).alarm_h is not None
            asked += 1
    with capsys.disabled():
        print(f"\nforecast: told {lead:.1f} h before the end; {alarms} false alarms in {asked} usual moments")
    assert lead >= 1.0
    assert alarms == 0
    assert end > ends_at


# --- rate


def test_the_parallelism_that_fits():
    assert rates.parallel_that_fits(14, 0.3, 10, 0) == 3
    assert rates.parallel_that_fits(50, 0.3, 10, 0) == 13
    assert rates.parallel_that_fits(14, 0.3, 10, 50.0) == 2  # measured: a mail takes 0.2 s
    assert rates.parallel_that_fits(1, 0.3, None, 0) == 1
    assert rates.peak([Point(0, 9000, 0, 0, 0), Point(900, 450, 0, 0, 0)]) == 10.0
