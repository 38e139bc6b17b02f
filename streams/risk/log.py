"""A log in a known dataset's columns, as one sequence of every user's events."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from operators.signals import NAMES, SPAN_MS, Sequence, signals_of
from operators.signals.sequence import LOGIN, LOGOUT, USAGE
from schemas.errors import InputError
from streams.datasets import Columns, read_columns

_WINDOWS = 4_000
"""Windows that are computed at once: their hours alone take 6 KB each."""


class Log(NamedTuple):
    """`sequence` holds the events of `users[i]` from `begin[i]` to `begin[i + 1]`, in the order of time."""

    users: NDArray[np.object_]
    begin: NDArray[np.intp]
    sequence: Sequence

    @property
    def user(self) -> NDArray[np.intp]:
        """The number of each event's user."""
        return np.repeat(np.arange(len(self.users)), np.diff(self.begin))


class Cuts(NamedTuple):
    """Moments at which users are judged: the user's number and the window's end, each of shape [rows]."""

    user: NDArray[np.intp]
    as_of_ms: NDArray[np.int64]


def read_log(path: Path) -> Log:
    """The log of a chat in `path`.

    Raises:
        InputError: the file cannot be read, has other columns or no rows, or a column has a wrong value.
    """
    columns = read_columns(path)
    if not len(columns.ts_ms):
        raise InputError(f"{path} has no rows")
    return log_of(columns)


def log_of(columns: Columns) -> Log:
    """The columns' events, sorted by user."""
    kinds = {"login": LOGIN, "logout": LOGOUT, "usage": USAGE}
    kind = np.array([kinds[meaning.act] for meaning in columns.meanings], dtype=np.int8)[columns.meaning]
    whats = [(meaning.act == "usage", meaning.what) for meaning in columns.meanings]
    feature = np.array([whats.index(what) for what in whats], dtype=np.int32)[columns.meaning]
    users, user = np.unique(columns.user.astype(str), return_inverse=True)
    order = np.lexsort((kind, columns.ts_ms, user))
    many = len(order)
    sequence = Sequence(
        ts_ms=columns.ts_ms[order],
        kind=kind[order],
        feature=feature[order],
        duration_ms=np.zeros(many, dtype=np.int64),
        failed=np.zeros(many, dtype=np.bool_),
        sentiment=np.full(many, np.nan, dtype=np.float32),
    )
    return Log(users, np.searchsorted(user[order], np.arange(len(users) + 1)), sequence)


def edges(log: Log, cuts: Cuts, span_ms: int = SPAN_MS) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where the events of (`as_of_ms` - `span_ms`, `as_of_ms`] begin and end, of each cut."""
    return _until(log, cuts.user, cuts.as_of_ms - span_ms), _until(log, cuts.user, cuts.as_of_ms)


def signals_at(log: Log, cuts: Cuts) -> NDArray[np.float32]:
    """The signals of each cut, shape [rows, signals]."""
    begin, end = edges(log, cuts)
    table = np.empty((len(cuts.user), len(NAMES)), dtype=np.float32)
    for first in range(0, len(cuts.user), _WINDOWS):
        part = slice(first, first + _WINDOWS)
        table[part] = signals_of(log.sequence, begin[part], end[part], cuts.as_of_ms[part])
    return table


def _until(log: Log, user: NDArray[np.intp], ts_ms: NDArray[np.int64]) -> NDArray[np.intp]:
    """The first event of each user after `ts_ms`: the log searched for (user, time) as one number."""
    start_ms = int(log.sequence.ts_ms.min()) - 1
    width = int(log.sequence.ts_ms.max()) - start_ms + 1
    place = log.user * width + (log.sequence.ts_ms - start_ms)
    asked = user * width + np.clip(ts_ms - start_ms, 0, width - 1)
    return np.searchsorted(place, asked, side="right")
