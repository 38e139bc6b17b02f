"""Signals of when a user is there, and of how odd it is that the user is away.

>>> from operators.signals.sequence import sequence_of
>>> from schemas.events import Login
>>> who = {"tenant": "acme", "user_id": "u1"}
>>> twice = [Login(event_id=f"e{d}", ts=d * DAY_MS, **who) for d in (1, 2)]
>>> once = Login(event_id="out", ts=3 * DAY_MS, action="logout", **who)
>>> w = Windows.of(sequence_of([*twice, once], account=None), as_of_ms=4 * DAY_MS)
>>> connections(w).tolist(), there(w, 3).tolist(), hours_away(w).tolist()
([1.0], [1.0], [0.0])
"""

import numpy as np

from operators.signals.attendance import HOUR_MS, HOURS, since_any
from operators.signals.registry import each, share, signal, sums
from operators.signals.windows import DAY_MS, DAYS, Mask, Numbers, Windows

HALF_DAY_HOURS = 12.0
"""Added to both sides of a ratio of absences, so that an hour decides nothing."""
SMOOTH = 0.5
"""How many days the user's mean counts for in the rate of an hour of the day."""
SUREST = 0.97
"""Nobody is surer than this to be there."""
USUAL_LOG, USUAL_SPREAD, USUAL_MANY = 2.7, 1.0, 2
"""What is taken for the logarithm of a user's absences in hours, and their spread, as if seen this often."""


@signal("presence", "connections")
def connections(w: Windows) -> Numbers:
    """Logins that no logout has ended."""
    return w.attendance.now


@signal("presence", "connections")
def connections_before(w: Windows) -> Numbers:
    """The same when the 30 days began, as far as later logouts tell."""
    return w.attendance.before


@signal("presence", "days")
def connected_for(w: Windows) -> Numbers:
    """Since there was no connection; below 0, since the last one ended."""
    connected, alone = w.attendance.since(is_open=True), w.attendance.since(is_open=False)
    return np.where(connected == 0, alone, -connected) / DAY_MS


@each("presence", "share", (1, 3, 7, 30))
def there(w: Windows, days: int) -> Numbers:
    """Hours with a connection or an event, of the last {days}."""
    return sums(w.attendance.there[:, : 24 * days]) / (24 * days)


@signal("presence", "days")
def days_there(w: Windows) -> Numbers:
    """Days with such an hour."""
    return sums(w.attendance.there.reshape(w.rows, DAYS, 24).any(axis=2))


@signal("presence", "hours")
def hours_away(w: Windows) -> Numbers:
    """Since the last hour there."""
    return w.attendance.away.astype(np.float64)


@signal("presence", "hours")
def last_stay(w: Windows) -> Numbers:
    """Length of the last stay, which may last."""
    return w.attendance.last_stay.astype(np.float64)


@signal("presence", "hours")
def median_absence(w: Windows) -> Numbers:
    """The smallest absence that at least half of them do not exceed; one of 3 hours or less is none."""
    row, length = w.attendance.absences
    order = np.lexsort((length, row))
    many = np.bincount(row, minlength=w.rows)
    middle = np.cumsum(many) - many + np.maximum(0, many - 1) // 2
    found = np.zeros(w.rows)
    found[many > 0] = length[order][middle[many > 0]]
    return found


@signal("presence", "logarithm")
def spread_of_absences(w: Windows) -> Numbers:
    """Standard deviation of the logarithm of their length."""
    row, length = w.attendance.absences
    many, mean = w.per_row(row), share(w.per_row(row, np.log(length)), w.per_row(row))
    square = share(w.per_row(row, np.log(length) ** 2), many)
    return np.asarray(np.sqrt(np.maximum(0, square - mean**2)))


@signal("presence", "ratio")
def hours_away_to_longest(w: Windows) -> Numbers:
    """Hours away now against the longest absence."""
    row, length = w.attendance.absences
    longest = np.ones(w.rows)
    np.maximum.at(longest, row, length)
    return (w.attendance.away + HALF_DAY_HOURS) / (longest + HALF_DAY_HOURS)


@signal("presence", "deviations")
def deviation_of_absence(w: Windows) -> Numbers:
    """How far the logarithm of the hours away is above the mean of the user's absences."""
    row, length = w.attendance.absences
    many = w.per_row(row) + USUAL_MANY
    mean = (w.per_row(row, np.log(length)) + USUAL_MANY * USUAL_LOG) / many
    usual_square = USUAL_MANY * (USUAL_LOG**2 + USUAL_SPREAD**2)
    variance = (w.per_row(row, np.log(length) ** 2) + usual_square) / many - mean**2
    return np.asarray((np.log(w.attendance.away + 1) - mean) / np.sqrt(np.maximum(0.05, variance)))


@each("presence", "nats", (14, 30))
def surprise_of_absence(w: Windows, days: int) -> Numbers:
    """How unlikely it is to be away for so long, by the hours there in the {days} before."""
    return _surprise(w, w.attendance.there, days)


@signal("presence", "nats")
def surprise_of_silence(w: Windows) -> Numbers:
    """How unlikely it is to do nothing for so long, by the active hours before."""
    return _surprise(w, w.hours, DAYS)


@signal("presence", "share")
def daily_overlap(w: Windows) -> Numbers:
    """Hours there both on a day and on the day before, of those there on one of the two."""
    return _overlap(w.attendance.there, 24)


@signal("presence", "share")
def weekly_overlap(w: Windows) -> Numbers:
    """The same of a day and the same day a week before."""
    return _overlap(w.attendance.there, 7 * 24)


@signal("presence", "hours")
def oddness_of_last_hour(w: Windows) -> Numbers:
    """How far the time of day of the last event is from the middle of all."""
    angle = 2 * np.pi * (w.ts_ms % DAY_MS) / DAY_MS
    x, y = w.per_row(w.row, np.cos(angle)), w.per_row(w.row, np.sin(angle))
    last = np.zeros(w.rows)
    last[w.row] = angle
    turn = np.angle(np.exp(1j * last) * (x - 1j * y))
    return np.where((x == 0) & (y == 0), 0.0, np.abs(turn) * 12 / np.pi)


@signal("presence", "logouts")
def logouts_a_day_there(w: Windows) -> Numbers:
    """Logouts a day there: many where the connection is bad."""
    return w.count(w.is_logout) / (sums(w.attendance.there) / 24 + 0.5)


def _overlap(hours: Mask, apart: int) -> Numbers:
    one, other = hours[:, :-apart], hours[:, apart:]
    return share(sums(one & other), sums(one | other))


def _surprise(w: Windows, hours: Mask, days: int) -> Numbers:
    """-ln of the probability of none of `hours` since the last of them.

    Each hour since is missed with the rate of its hour of the day, on weekends and on other days (UTC),
    over the `days` before, as far back as the user is known.
    """
    since = since_any(hours)[:, None]
    age = np.arange(HOURS)[None, :]
    known = np.ceil(w.oldest_age_days(w.is_active) * 24)[:, None]
    is_before = (age >= since) & (age < np.minimum(known, since + 24 * days))
    middle_ms = w.as_of_ms[:, None] - age * HOUR_MS - HOUR_MS // 2
    is_weekend = (middle_ms // DAY_MS + 3) % 7 >= 5
    mean = share(sums(hours & is_before), sums(is_before))[:, None]
    surprise = np.zeros(w.rows)
    for is_kind in (is_weekend, ~is_weekend):
        seen = _by_hour(hours & is_before & is_kind)
        rate = np.minimum(SUREST, (seen + SMOOTH * mean) / (_by_hour(is_before & is_kind) + SMOOTH))
        surprise -= sums(_by_hour((age < since) & is_kind) * np.log1p(-rate))
    return surprise


def _by_hour(hours: Mask) -> Numbers:
    """How many of the hours fall on each hour of the day, counted back, shape [rows, 24]."""
    return np.asarray(hours.reshape(len(hours), DAYS, 24).sum(axis=1), dtype=np.float64)
