"""Signals of what a user does: sessions, coming and going, features, errors, support, the account.

>>> from operators.signals.sequence import sequence_of
>>> from schemas.events import Login, Usage
>>> who = {"tenant": "acme", "user_id": "u1"}
>>> login = Login(event_id="e1", ts=DAY_MS, **who)
>>> some = [login, Usage(event_id="e2", ts=2 * DAY_MS, feature="export", **who)]
>>> w = Windows.of(sequence_of(some, account=None), as_of_ms=4 * DAY_MS)
>>> state(w).tolist(), state_for(w).tolist(), uses(w, 7).tolist(), breadth(w, 30).tolist()
([1.0], [3.0], [1.0], [1.0])
"""

import numpy as np

from operators.signals.registry import each, share, signal, sums
from operators.signals.windows import BLIP_MS, DAY_MS, DAYS, Mask, Numbers, Rows, Windows

FAVOURITE_USES = 5
"""A feature used less often than this, in the 23 days before the last seven, is nobody's favourite."""


# Sessions.


@each("sessions", "sessions", (30,))
def sessions(w: Windows, days: int) -> Numbers:
    """Runs of events with pauses of 30 min at most, in the last {days}."""
    row, age, _ = w.sessions
    return w.per_row(row[age < days])


@signal("sessions", "hours")
def session_length(w: Windows) -> Numbers:
    """Mean length of a session."""
    row, _, length = w.sessions
    return share(w.per_row(row, length), w.per_row(row)) * 24


@signal("sessions", "hours")
def longest_session(w: Windows) -> Numbers:
    """Length of the longest session."""
    row, _, length = w.sessions
    return _largest(w.rows, row, length) * 24


@signal("sessions", "events")
def events_an_hour(w: Windows) -> Numbers:
    """Events an active hour."""
    return share(w.count(w.is_active), sums(w.hours_a_day))


# Coming and going.


@each("presence", "logins", (7, 30))
def logins(w: Windows, days: int) -> Numbers:
    """Logins in the last {days}."""
    return w.count(w.is_login, until_days=days)


@signal("presence", "ratio")
def logins_to_usual(w: Windows) -> Numbers:
    """Logins a day in the last week against the 23 days before."""
    return (w.count(w.is_login, 0, 7) / 7 + 1 / DAYS) / (w.count(w.is_login, 7) / 23 + 1 / DAYS)


@signal("presence", "state")
def state(w: Windows) -> Numbers:
    """Logout last: 1 where the last sign is a login, -1 a logout, 0 unknown."""
    return w.presence.state


@signal("presence", "days")
def state_for(w: Windows) -> Numbers:
    """How long that state has lasted."""
    presence = w.presence
    since = np.zeros(w.rows)
    since[presence.row] = presence.age_ms / DAY_MS
    return since


@signal("presence", "hours")
def stay_length(w: Windows) -> Numbers:
    """Mean time from a login to its logout."""
    row, length = w.presence.stays
    return share(w.per_row(row, length), w.per_row(row)) * 24


@signal("presence", "hours")
def longest_stay(w: Windows) -> Numbers:
    """Longest time from a login to its logout."""
    row, length = w.presence.stays
    return _largest(w.rows, row, length) * 24


@signal("presence", "days")
def absence_length(w: Windows) -> Numbers:
    """Mean time from a logout to the next login."""
    row, length = w.presence.absences
    return share(w.per_row(row, length), w.per_row(row))


@signal("presence", "days")
def longest_absence(w: Windows) -> Numbers:
    """Longest time from a logout to the next login."""
    return _largest(w.rows, *w.presence.absences)


@signal("presence", "share")
def unmatched(w: Windows) -> Numbers:
    """Logins after a login and logouts after a logout, of all: the rest of the life is led elsewhere."""
    return share(w.presence.unmatched, w.count(w.is_login | w.is_logout))


@signal("presence", "ratio")
def away_to_longest_absence(w: Windows) -> Numbers:
    """Time since a logout that stands, against the longest absence; 0 if logged in."""
    away: Numbers = np.where(state(w) < 0, state_for(w), 0.0)
    return away / (longest_absence(w) + 1)


@signal("presence", "state")
def signed_out(w: Windows) -> Numbers:
    """1 where the user left last by a channel of theirs to log in, -1 where another ended it, else 0."""
    out = w.is_logout
    last = np.zeros(w.rows)
    last[w.row[out]] = np.where(_by_own_channel(w)[out], 1.0, -1.0)
    return np.where(state(w) < 0, last, 0.0)


@signal("presence", "share")
def sign_outs(w: Windows) -> Numbers:
    """Logouts by a channel of the user's to log in: on purpose, not by a lost connection or a time-out."""
    return share(w.count(w.is_logout & _by_own_channel(w)), w.count(w.is_logout))


@signal("presence", "state")
def last_event(w: Windows) -> Numbers:
    """What the last event was: 1 a login, 0 a use, -1 a logout."""
    found = np.zeros(w.rows)
    active = w.is_active
    found[w.row[active]] = np.where(w.is_login[active], 1.0, np.where(w.is_logout[active], -1.0, 0.0))
    return found


@signal("presence", "share")
def blips(w: Windows) -> Numbers:
    """Logouts followed by a login within 15 min: connections lost."""
    row, length = w.presence.absences
    lost = w.per_row(row[length * DAY_MS <= BLIP_MS]) + w.presence.blips_at_once
    return share(lost, w.count(w.is_logout))


@signal("presence", "share")
def idle_days(w: Windows) -> Numbers:
    """Active days with a login and without a use."""
    login_days = w.grid(w.is_login, DAY_MS)
    return share(sums(login_days & ~w.use_days), sums(w.days))


# Features.


@each("features", "uses", (7, 30))
def uses(w: Windows, days: int) -> Numbers:
    """Uses of features in the last {days}."""
    return w.count(w.is_use, until_days=days)


@each("features", "days", (30,))
def use_days(w: Windows, days: int) -> Numbers:
    """Days with a use in the last {days}."""
    return sums(w.use_days[:, :days])


@signal("features", "ratio")
def uses_to_usual(w: Windows) -> Numbers:
    """Uses a day in the last week against the 23 days before."""
    return (w.count(w.is_use, 0, 7) / 7 + 1 / DAYS) / (w.count(w.is_use, 7) / 23 + 1 / DAYS)


@signal("features", "minutes")
def minutes_7d(w: Windows) -> Numbers:
    """Duration of the uses in the last week."""
    return w.total(w.is_use, w.duration_ms, 7) / 60_000


@each("features", "features", (7, 30))
def breadth(w: Windows, days: int) -> Numbers:
    """Different features used in the last {days}."""
    return sums(_uses_by_feature(w, 0, days) > 0)


@signal("features", "state")
def favourite_lost(w: Windows) -> Numbers:
    """1 where a feature that was a favourite before was not used for a week."""
    before, now = _uses_by_feature(w, 7, DAYS), _uses_by_feature(w, 0, 7)
    most = before.max(axis=1, keepdims=True)
    kept = ((before == most) & (now > 0)).any(axis=1)
    return np.asarray((most[:, 0] >= FAVOURITE_USES) & ~kept, dtype=np.float64)


@signal("features", "uses")
def uses_of_last_feature(w: Windows) -> Numbers:
    """Uses of the feature that was used last: few where the user last did what they seldom do."""
    uses = np.flatnonzero(w.is_use)
    ages = w.newest_age_days(w.is_use)
    last = uses[w.age_ms[uses] / DAY_MS == ages[w.row[uses]]]
    found = np.full(w.rows, np.inf)  # of several at the same ms, the one that is used least
    np.minimum.at(found, w.row[last], _uses_by_feature(w, 0, DAYS)[w.row[last], w.feature[last]])
    return np.where(np.isinf(found), 0.0, found)


@signal("features", "share")
def share_of_last_feature(w: Windows) -> Numbers:
    """The same, of all uses."""
    return share(uses_of_last_feature(w), w.count(w.is_use))


# Errors.


@each("errors", "uses", (1, 7))
def errors(w: Windows, days: int) -> Numbers:
    """Uses that failed in the last {days}."""
    return w.count(w.failed, until_days=days)


@signal("errors", "share")
def error_rate(w: Windows) -> Numbers:
    """Failed uses of all uses in the last week."""
    return share(w.count(w.failed, until_days=7), w.count(w.is_use, until_days=7))


@signal("errors", "share")
def error_rate_gained(w: Windows) -> Numbers:
    """How much that rate exceeds the rate of the 23 days before."""
    return error_rate(w) - share(w.count(w.failed, 7), w.count(w.is_use, 7))


# Support and the account.


@each("support", "messages", (7, 30))
def messages(w: Windows, days: int) -> Numbers:
    """Messages to customer service in the last {days}."""
    return w.count(w.is_support, until_days=days)


@signal("support", "days")
def since_message(w: Windows) -> Numbers:
    """Since the last message to customer service, 30 where there is none."""
    return w.newest_age_days(w.is_support)


@signal("support", "sentiment")
def mean_sentiment(w: Windows) -> Numbers:
    """Mean sentiment of the messages whose sentiment is known, -1 to 1."""
    known = w.is_support & ~np.isnan(w.sentiment)
    return share(w.total(known, w.sentiment), w.count(known))


@signal("support", "sentiment")
def lowest_sentiment(w: Windows) -> Numbers:
    """The lowest of them, 0 where there is none below."""
    known = w.is_support & ~np.isnan(w.sentiment)
    return -_largest(w.rows, w.row[known], -w.sentiment[known].astype(np.float64))


@signal("account", "days")
def tenure(w: Windows) -> Numbers:
    """Age of the account, 0 where it is unknown."""
    return np.nan_to_num(w.tenure_days)


@signal("account", "seats")
def seats(w: Windows) -> Numbers:
    """Seats of the account, 0 where it is unknown."""
    return np.nan_to_num(w.seats)


def _largest(rows: int, row: Rows, values: Numbers) -> Numbers:
    """The largest of each row's values, at least 0."""
    largest = np.zeros(rows)
    np.maximum.at(largest, row, values)
    return largest


def _by_own_channel(w: Windows) -> Mask:
    """Which logins and logouts came by a channel that the user logged in by, in the window."""
    many = int(w.feature.max(initial=0)) + 1
    cell = w.row * many + np.maximum(w.feature, 0)
    own = np.bincount(cell[w.is_login], minlength=w.rows * many) > 0
    found: Mask = own[cell]
    return found


def _uses_by_feature(w: Windows, after_days: int, until_days: int) -> Numbers:
    """Uses of each feature, shape [rows, features]: the last column is that of what has no feature."""
    chosen = w.is_use & (w.age_ms >= after_days * DAY_MS) & (w.age_ms < until_days * DAY_MS)
    many = int(w.feature.max(initial=0)) + 1
    cells = np.bincount(w.row[chosen] * many + w.feature[chosen], minlength=w.rows * many)
    return cells.reshape(w.rows, many).astype(np.float64)
