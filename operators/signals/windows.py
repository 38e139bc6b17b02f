"""Many windows of 30 days at once: their events laid end to end, and what several signals need of them.

A window ends at its `as_of_ms`, which belongs to it, and begins 30 days before, which does not. Days and
hours are counted back from its end: day 0 is the last 24 hours.
"""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from operators.signals.attendance import Attendance
from operators.signals.sequence import LOGIN, LOGOUT, SUPPORT, USAGE, Sequence

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
DAYS = 30
SPAN_MS = DAYS * DAY_MS
SESSION_GAP_MS = 30 * 60_000
"""A pause longer than this ends a session."""
BLIP_MS = 15 * 60_000
"""Who is back within this time after a logout had lost the connection, not the interest."""

Numbers = NDArray[np.float64]
Mask = NDArray[np.bool_]
Rows = NDArray[np.intp]


class Windows:
    """The windows that end at `as_of_ms`, shape [rows], over slices [`begin`, `end`) of `log`.

    `log` holds the events of one user or of many; a slice is those of one user in the window. Columns
    have one entry an event, `row` telling whose it is; within a row they are in the order of time.
    """

    def __init__(self, log: Sequence, begin: Rows, end: Rows, as_of_ms: NDArray[np.int64]) -> None:
        many = end - begin
        self.rows = len(as_of_ms)
        self.row: Rows = np.repeat(np.arange(self.rows), many)
        within = np.arange(len(self.row)) - np.repeat(np.cumsum(many) - many, many)
        at = np.repeat(begin, many) + within
        self.as_of_ms = as_of_ms
        self.ts_ms = log.ts_ms[at]
        self.kind = log.kind[at]
        self.feature = log.feature[at]
        self.duration_ms = log.duration_ms[at]
        self.failed = log.failed[at]
        self.sentiment = log.sentiment[at]
        self.age_ms: NDArray[np.int64] = as_of_ms[self.row] - self.ts_ms
        self.tenure_days = log.tenure_days + np.maximum(0, as_of_ms - log.account_ms) / DAY_MS
        self.seats = np.full(self.rows, log.seats)

    @classmethod
    def of(cls, sequence: Sequence, as_of_ms: int) -> "Windows":
        """The one window of a user's `sequence` that ends at `as_of_ms`.

        >>> from operators.signals.sequence import sequence_of
        >>> from schemas.events import Login
        >>> some = [Login(event_id=f"e{d}", tenant="acme", user_id="u1", ts=d * DAY_MS) for d in (1, 2, 28)]
        >>> w = Windows.of(sequence_of(some, account=None), as_of_ms=31 * DAY_MS)
        >>> (w.age_ms // DAY_MS).tolist()  # the first is 30 days old, which is too old
        [29, 3]
        """
        edges = np.searchsorted(sequence.ts_ms, (as_of_ms - SPAN_MS, as_of_ms), side="right")
        return cls(sequence, edges[:1], edges[1:], np.array([as_of_ms], dtype=np.int64))

    # Masks of events.

    @cached_property
    def is_login(self) -> Mask:
        """Logins."""
        return np.asarray(self.kind == LOGIN)

    @cached_property
    def is_logout(self) -> Mask:
        """Logouts."""
        return np.asarray(self.kind == LOGOUT)

    @cached_property
    def is_use(self) -> Mask:
        """Uses of a feature."""
        return np.asarray(self.kind == USAGE)

    @cached_property
    def is_support(self) -> Mask:
        """Messages to customer service."""
        return np.asarray(self.kind == SUPPORT)

    @cached_property
    def is_active(self) -> Mask:
        """Logins, logouts and uses: what marks an hour as active."""
        return ~self.is_support

    # Reductions, each from masked events to one number a row.

    def count(self, mask: Mask, after_days: float = 0, until_days: float = DAYS) -> Numbers:
        """How many events of `mask` are from `after_days` to `until_days` old."""
        chosen = mask & (self.age_ms >= after_days * DAY_MS) & (self.age_ms < until_days * DAY_MS)
        return self.per_row(self.row[chosen])

    def total(self, mask: Mask, values: NDArray[np.generic], until_days: float = DAYS) -> Numbers:
        """The sum of `values`, one an event, over `mask` of the last `until_days`."""
        chosen = mask & (self.age_ms < until_days * DAY_MS)
        return self.per_row(self.row[chosen], values[chosen])

    def newest_age_days(self, mask: Mask, none: float = DAYS) -> Numbers:
        """Days since the last event of `mask`; `none` where there is none."""
        ages = np.full(self.rows, none, dtype=np.float64)
        ages[self.row[mask]] = self.age_ms[mask] / DAY_MS  # of a row's several, the last stays
        return ages

    def oldest_age_days(self, mask: Mask, none: float = 0) -> Numbers:
        """Days since the first event of `mask` in the window; `none` where there is none."""
        ages = np.full(self.rows, none, dtype=np.float64)
        ages[self.row[mask][::-1]] = self.age_ms[mask][::-1] / DAY_MS
        return ages

    def per_row(self, row: Rows, values: NDArray[np.generic] | None = None) -> Numbers:
        """The number of entries of each row, or the sum of their `values`."""
        return np.bincount(row, weights=values, minlength=self.rows).astype(np.float64)

    def grid(self, mask: Mask, span_ms: int) -> Mask:
        """Which spans hold an event of `mask`, shape [rows, spans], the newest span first."""
        spans = SPAN_MS // span_ms
        found = np.zeros((self.rows, spans), dtype=np.bool_)
        found[self.row[mask], self.age_ms[mask] // span_ms] = True
        return found

    # Shared facts.

    @cached_property
    def hours(self) -> Mask:
        """Active hours, shape [rows, 720], the newest first."""
        return self.grid(self.is_active, HOUR_MS)

    @cached_property
    def hours_a_day(self) -> Numbers:
        """Active hours in each day, shape [rows, 30], the newest first."""
        counts = self.hours.reshape(self.rows, DAYS, 24).sum(axis=2)
        return np.asarray(counts, dtype=np.float64)

    @cached_property
    def days(self) -> Mask:
        """Active days, shape [rows, 30], the newest first."""
        return self.hours_a_day > 0

    @cached_property
    def use_days(self) -> Mask:
        """Days with a use, likewise."""
        return self.grid(self.is_use, DAY_MS)

    @cached_property
    def day_gaps(self) -> "Gaps":
        """Pauses between an active day and the next, in days: 1 is none."""
        row, day = np.nonzero(self.days)
        return Gaps(self.rows, row, day)

    @cached_property
    def hour_gaps(self) -> "Gaps":
        """Pauses between an active hour and the next, in hours: 1 is none."""
        row, hour = np.nonzero(self.hours)
        return Gaps(self.rows, row, hour)

    @cached_property
    def quiet_days(self) -> Numbers:
        """Days since the last login, logout or use; 30 where there is none."""
        return self.newest_age_days(self.is_active)

    @cached_property
    def sessions(self) -> tuple[Rows, Numbers, Numbers]:
        """Of each session its row, the age of its begin and its length in days."""
        row, age = self.row[self.is_active], self.age_ms[self.is_active]
        if not len(row):
            return row, np.zeros(0), np.zeros(0)
        begins = np.ones(len(row), dtype=np.bool_)
        begins[1:] = (np.diff(row) != 0) | (-np.diff(age) > SESSION_GAP_MS)
        first = np.flatnonzero(begins)
        last = np.append(first[1:], len(row)) - 1
        return row[first], age[first] / DAY_MS, (age[first] - age[last]) / DAY_MS

    @cached_property
    def steps(self) -> tuple[Rows, NDArray[np.int64], NDArray[np.int64]]:
        """Logins less logouts of each ms that has any: its row, its age in ms and the difference."""
        chosen = self.is_login | self.is_logout
        row, age = self.row[chosen], self.age_ms[chosen]
        step = np.where(self.is_login[chosen], 1, -1)
        first = np.flatnonzero((np.diff(row, prepend=-1) != 0) | (np.diff(age, prepend=-1) != 0))
        return row[first], age[first], np.add.reduceat(step, first) if len(first) else step

    @cached_property
    def presence(self) -> "Presence":
        """When the user came and went, as far as logins and logouts tell."""
        row, age, step = self.steps  # at the same ms, a login and a logout leave things as they were
        return Presence(self.rows, row, age, np.sign(step))

    @cached_property
    def attendance(self) -> Attendance:
        """When the user was there, on any of several connections."""
        return Attendance(self.rows, *self.steps, self.hours)


class Gaps:
    """Pauses between a user's active spans, and what they come to in each row.

    `row` and `span` are the active ones' in the order of (row, span), spans numbered from the newest.
    """

    def __init__(self, rows: int, row: Rows, span: Rows) -> None:
        same = np.diff(row) == 0
        self.row: Rows = row[1:][same]
        self.length: Numbers = np.diff(span)[same].astype(np.float64)
        self._rows = rows
        self.count = np.bincount(self.row, minlength=rows).astype(np.float64)

    @cached_property
    def mean(self) -> Numbers:
        """The mean; 30 where there is none."""
        total = np.bincount(self.row, weights=self.length, minlength=self._rows)
        return np.where(self.count > 0, total / np.maximum(1, self.count), float(DAYS))

    @cached_property
    def spread(self) -> Numbers:
        """Standard deviation; 0 where there are fewer than two."""
        square = np.bincount(self.row, weights=self.length**2, minlength=self._rows)
        mean = np.where(self.count > 0, self.mean, 0.0)
        return np.asarray(np.sqrt(np.maximum(0, square / np.maximum(1, self.count) - mean**2)))

    def quantile(self, share: float) -> Numbers:
        """The smallest gap that at least `share` of them do not exceed; 0 where there is none."""
        order = np.lexsort((self.length, self.row))
        first = np.cumsum(self.count) - self.count
        at = (first + np.maximum(0, np.ceil(share * self.count) - 1)).astype(np.intp)
        found = np.zeros(self._rows)
        some = self.count > 0
        found[some] = self.length[order][at[some]]
        return found


class Presence:
    """Comings (`step` 1), goings (-1) and both at once (0), in the order of (row, time)."""

    def __init__(self, rows: int, row: Rows, age_ms: NDArray[np.int64], step: NDArray[np.int64]) -> None:
        self._rows = rows
        at_once = step == 0
        self.blips_at_once = np.bincount(row[at_once], minlength=rows).astype(np.float64)
        self.row, self.age_ms, self.step = row[~at_once], age_ms[~at_once], step[~at_once]
        follows = np.diff(self.row) == 0
        self._stay = np.flatnonzero(follows & (self.step[:-1] > 0) & (self.step[1:] < 0))
        self._away = np.flatnonzero(follows & (self.step[:-1] < 0) & (self.step[1:] > 0))
        repeats = np.flatnonzero(follows & (self.step[:-1] == self.step[1:]))
        self.unmatched = np.bincount(self.row[repeats], minlength=rows).astype(np.float64)
        """Logins after a login and logouts after a logout."""

    @cached_property
    def state(self) -> Numbers:
        """1 where the last sign of the user is a login, -1 a logout, 0 unknown."""
        state = np.zeros(self._rows)
        state[self.row] = self.step
        return state

    @cached_property
    def stays(self) -> tuple[Rows, Numbers]:
        """Of each stay, from a login to the logout that follows, its row and its length in days."""
        length = (self.age_ms[self._stay] - self.age_ms[self._stay + 1]) / DAY_MS
        return self.row[self._stay], length

    @cached_property
    def absences(self) -> tuple[Rows, Numbers]:
        """The same of each time from a logout to the login that follows."""
        length = (self.age_ms[self._away] - self.age_ms[self._away + 1]) / DAY_MS
        return self.row[self._away], length
