"""When a user was there: on how many connections at a time, and in which hours.

Who logs in twice and out once is still there, and so is who was logged in before the window began: a state
that follows the last login or logout alone misses both.
"""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

HOUR_MS = 3_600_000
HOURS = 720
ABSENCE_HOURS = 3
"""A time without an hour there is an absence from the fourth hour on."""

Numbers = NDArray[np.float64]
Mask = NDArray[np.bool_]
Rows = NDArray[np.intp]
Ages = NDArray[np.int64]


class Attendance:
    """Connections and hours there of each of `rows` windows.

    `row`, `age_ms` and `step` are the moments at which connections open (`step` above 0) or close, in the
    order of (row, time). `hours`, shape [rows, 720], are those with an event, the newest first.

    >>> idle = np.zeros((1, HOURS), dtype=np.bool_)
    >>> in_in_out = np.array([0, 0, 0]), np.array([9, 6, 3]) * HOUR_MS, np.array([1, 1, -1])
    >>> user = Attendance(1, *in_in_out, idle)
    >>> user.now.tolist(), user.away.tolist(), int(user.there.sum())
    ([1.0], [0], 10)
    """

    def __init__(self, rows: int, row: Rows, age_ms: Ages, step: Ages, hours: Mask) -> None:
        self._rows = rows
        first = np.flatnonzero(np.diff(row, prepend=-1))
        many = np.diff(first, append=len(row))
        total = np.cumsum(step)
        total -= np.repeat(total[first] - step[first], many)
        least = np.zeros(rows, dtype=np.int64)
        np.minimum.at(least, row, total)
        self.before: Numbers = -least.astype(np.float64)
        """Connections that were open when the window began: the fewest that explain the logouts."""
        connections = total - least[row]
        self.now: Numbers = self.before.copy()
        self.now[row] = connections  # of a row's several, the last stays
        ends = np.append(age_ms[1:], 0) if len(row) else age_ms
        ends[first + many - 1] = 0
        self._row = np.concatenate([row, row[first]])
        self._from_ms = np.concatenate([age_ms, np.full(len(first), HOURS * HOUR_MS - 1)])
        self._until_ms = np.concatenate([ends, age_ms[first]])
        self._is_open = np.concatenate([connections, -least[row[first]]]) > 0
        self._hours = hours

    @cached_property
    def there(self) -> Mask:
        """Hours in which a connection was open or something was done, shape [rows, 720], the newest first."""
        row = self._row[self._is_open] * (HOURS + 1)
        newest = self._until_ms[self._is_open] // HOUR_MS
        oldest = self._from_ms[self._is_open] // HOUR_MS
        many = self._rows * (HOURS + 1)
        change = np.bincount(row + newest, minlength=many) - np.bincount(row + oldest + 1, minlength=many)
        is_open = np.cumsum(change.reshape(self._rows, HOURS + 1), axis=1)[:, :HOURS] > 0
        return np.asarray(is_open | self._hours)

    def since(self, is_open: bool) -> Numbers:
        """Age in ms of the last moment with a connection open, or with none; 30 days where there is none."""
        found = np.full(self._rows, HOURS * HOUR_MS, dtype=np.int64)
        chosen = self._is_open == is_open
        np.minimum.at(found, self._row[chosen], self._until_ms[chosen])
        return found.astype(np.float64)

    @cached_property
    def away(self) -> Rows:
        """Whole hours since the user was there last; 720 for never."""
        return since_any(self.there)

    @cached_property
    def last_stay(self) -> Rows:
        """Hours without a break that the user was there last."""
        ages = np.arange(HOURS)
        return since_any(~self.there & (ages >= self.away[:, None])) - self.away

    @cached_property
    def absences(self) -> tuple[Rows, Numbers]:
        """Of each absence that is over its row and its length in hours."""
        row, hour = np.nonzero(self.there)
        length = np.diff(hour)
        chosen = (np.diff(row) == 0) & (length > ABSENCE_HOURS)
        return row[1:][chosen], length[chosen].astype(np.float64)


def since_any(hours: Mask) -> Rows:
    """The newest of the hours of each row; 720 where there is none."""
    return np.where(hours.any(axis=1), hours.argmax(axis=1), HOURS)
