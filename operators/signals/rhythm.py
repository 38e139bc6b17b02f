"""Signals of when a user is active: recency against the user's own pauses, rhythm, trend, day and night.

>>> from operators.signals.sequence import sequence_of
>>> from schemas.events import Login
>>> some = [Login(event_id=f"e{d}", tenant="acme", user_id="u1", ts=d * DAY_MS) for d in (10, 14, 16)]
>>> w = Windows.of(sequence_of(some, account=None), as_of_ms=20 * DAY_MS)
>>> quiet(w).tolist(), mean_gap(w).tolist(), active_days(w, 7).tolist()
([4.0], [3.0], [2.0])
"""

import numpy as np
from numpy.typing import NDArray

from operators.signals.registry import each, share, signal, sums
from operators.signals.windows import DAY_MS, DAYS, HOUR_MS, Numbers, Windows

NIGHT_HOURS = 6
"""The night is the first hours of the day, UTC. It need not be the user's: what counts is that it shifts."""
SMOOTH_DAYS = 1.0
"""Added to both sides of a ratio of days, so that a single day decides nothing."""


# Recency.


@signal("recency", "days")
def quiet(w: Windows) -> Numbers:
    """Since the last login, logout or use."""
    return w.quiet_days


@signal("recency", "days")
def quiet_of_uses(w: Windows) -> Numbers:
    """Since the last use of a feature."""
    return w.newest_age_days(w.is_use)


@signal("recency", "days")
def quiet_of_logins(w: Windows) -> Numbers:
    """Since the last login."""
    return w.newest_age_days(w.is_login)


@signal("recency", "days")
def known_for(w: Windows) -> Numbers:
    """Since the first event of the 30 days."""
    return w.oldest_age_days(w.is_active)


@signal("recency", "days")
def span_of_activity(w: Windows) -> Numbers:
    """From the first to the last active day."""
    oldest = w.oldest_age_days(w.is_active)
    return np.asarray(oldest - np.minimum(w.quiet_days, oldest))


@signal("recency", "ratio")
def quiet_to_mean_gap(w: Windows) -> Numbers:
    """Days quiet now against the user's mean pause between active days."""
    return w.quiet_days / w.day_gaps.mean


@signal("recency", "ratio")
def quiet_to_longest_gap(w: Windows) -> Numbers:
    """Days quiet now against the user's longest pause."""
    return (w.quiet_days + SMOOTH_DAYS) / (w.day_gaps.quantile(1) + SMOOTH_DAYS)


# Rhythm.


@each("rhythm", "days", (1, 3, 7, 14, 30))
def active_days(w: Windows, days: int) -> Numbers:
    """Active days in the last {days}."""
    return sums(w.days[:, :days])


@each("rhythm", "hours", (1, 3, 7, 14, 30))
def active_hours(w: Windows, days: int) -> Numbers:
    """Active hours in the last {days}."""
    return sums(w.hours_a_day[:, :days])


@signal("rhythm", "weeks")
def active_weeks(w: Windows) -> Numbers:
    """Weeks of the last four with an active day."""
    return sums(w.days[:, :28].reshape(w.rows, 4, 7).any(axis=2))


@signal("rhythm", "days")
def active_days_worst_week(w: Windows) -> Numbers:
    """Fewest active days in a week of the last four."""
    weeks = w.days[:, :28].reshape(w.rows, 4, 7).sum(axis=2)
    return np.asarray(weeks.min(axis=1), dtype=np.float64)


@signal("rhythm", "hours")
def hours_an_active_day(w: Windows) -> Numbers:
    """Active hours an active day."""
    return share(sums(w.hours_a_day), sums(w.days))


@signal("rhythm", "days")
def mean_gap(w: Windows) -> Numbers:
    """The user's mean pause between active days."""
    return w.day_gaps.mean


@signal("rhythm", "days")
def spread_of_gaps(w: Windows) -> Numbers:
    """Standard deviation of the pauses between active days."""
    return w.day_gaps.spread


@signal("rhythm", "days")
def longest_gap(w: Windows) -> Numbers:
    """The user's longest pause between active days."""
    return w.day_gaps.quantile(1)


@signal("rhythm", "hours")
def median_hour_gap(w: Windows) -> Numbers:
    """Median pause between active hours."""
    return w.hour_gaps.quantile(0.5)


@signal("rhythm", "hours")
def long_hour_gap(w: Windows) -> Numbers:
    """Pause between active hours that nine in ten do not exceed."""
    return w.hour_gaps.quantile(0.9)


@signal("rhythm", "days")
def streak(w: Windows) -> Numbers:
    """Active days without a break, up to now or yesterday."""
    counted = np.where(w.days[:, :1], w.days, np.roll(w.days, -1, axis=1) & _not_last(DAYS))
    return sums(np.cumprod(counted, axis=1))


@signal("rhythm", "days")
def longest_streak(w: Windows) -> Numbers:
    """The longest run of active days."""
    run = np.zeros(w.rows)
    longest = np.zeros(w.rows)
    for day in range(DAYS):
        run = (run + 1) * w.days[:, day]
        longest = np.maximum(longest, run)
    return longest


@signal("rhythm", "share")
def daily_regularity(w: Windows) -> Numbers:
    """Active hours that were active a day before too."""
    return share(sums(w.hours[:, :-24] & w.hours[:, 24:]), sums(w.hours[:, :-24]))


@signal("rhythm", "share")
def weekend_share(w: Windows) -> Numbers:
    """Active days that are a Saturday or Sunday, UTC, by their end."""
    weekday = (w.as_of_ms[:, None] // DAY_MS - np.arange(DAYS)[None, :] + 3) % 7
    return share(sums(w.days & (weekday >= 5)), sums(w.days))


# Trend.


@each("trend", "days", (2, 5, 12))
def faded_days(w: Windows, days: int) -> Numbers:
    """Active days with half the weight every {days}."""
    return sums(w.days * _fading(days))


@signal("trend", "ratio")
def days_to_usual(w: Windows) -> Numbers:
    """Active days a day in the last week against the 23 days before."""
    return _ratio(sums(w.days[:, :7]) / 7, sums(w.days[:, 7:]) / 23)


@signal("trend", "ratio")
def hours_to_usual(w: Windows) -> Numbers:
    """Active hours a day in the last week against the 23 days before."""
    return _ratio(sums(w.hours_a_day[:, :7]) / 7, sums(w.hours_a_day[:, 7:]) / 23)


@signal("trend", "days")
def days_gained(w: Windows) -> Numbers:
    """Active days of the last week less those of the week before."""
    return sums(w.days[:, :7]) - sums(w.days[:, 7:14])


# Day and night.


@signal("day and night", "share")
def night_share(w: Windows) -> Numbers:
    """Active hours from 0 to 6, UTC."""
    return share(sums(_by_hour(w, 0, DAYS)[:, :NIGHT_HOURS]), sums(w.hours_a_day))


@signal("day and night", "hours")
def shift_of_hours(w: Windows) -> Numbers:
    """How far the middle of the active day moved, last week against before."""
    now, before = _by_hour(w, 0, 7), _by_hour(w, 7, DAYS)
    turn = np.angle(_on_clock(now) * np.conj(_on_clock(before)))
    both = (sums(now) > 0) & (sums(before) > 0)
    return np.where(both, np.abs(turn) * 12 / np.pi, 0.0)


@signal("day and night", "share")
def gathering_of_hours(w: Windows) -> Numbers:
    """How much the active hours gather around one time of the day, 0 to 1."""
    hours = _by_hour(w, 0, DAYS)
    return share(np.abs(_on_clock(hours)), sums(hours))


_CLOCK = np.exp(2j * np.pi * np.arange(24) / 24)


def _on_clock(hours: Numbers) -> NDArray[np.complex128]:
    """The sum of the hours as hands of a clock of 24 hours: its angle is their middle."""
    return np.asarray((hours * _CLOCK).sum(axis=1))


def _by_hour(w: Windows, after: int, until: int) -> Numbers:
    """Active hours by the hour of the day in which they end, UTC, from day `after` to `until`."""
    counted_back = w.hours.reshape(w.rows, DAYS, 24)[:, after:until].sum(axis=1)
    last = (w.as_of_ms // HOUR_MS) % 24
    hour = (last[:, None] - np.arange(24)[None, :]) % 24
    found: Numbers = np.zeros((w.rows, 24))
    np.put_along_axis(found, hour, counted_back.astype(np.float64), axis=1)
    return found


def _fading(half_days: float) -> Numbers:
    weights: Numbers = 0.5 ** (np.arange(DAYS) / half_days)
    return weights


def _ratio(now: Numbers, usual: Numbers) -> Numbers:
    return (now + SMOOTH_DAYS / DAYS) / (usual + SMOOTH_DAYS / DAYS)


def _not_last(many: int) -> NDArray[np.bool_]:
    return np.arange(many) < many - 1
