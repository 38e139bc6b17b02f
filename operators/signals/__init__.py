"""What a user's last 30 days come to, as numbers for a model: signals, each with a unit and a meaning.

Stream and batch compute them by the same functions: one window is a batch of one.
"""

import numpy as np
from numpy.typing import NDArray

from operators.signals import presence, rhythm, usage  # each enters its signals into the table
from operators.signals.registry import SIGNALS, Signal
from operators.signals.sequence import Sequence, sequence_of
from operators.signals.windows import DAY_MS, DAYS, SPAN_MS, Rows, Windows

__all__ = [
    "DAYS",
    "DAY_MS",
    "NAMES",
    "SIGNALS",
    "SPAN_MS",
    "Sequence",
    "Signal",
    "presence",
    "rhythm",
    "sequence_of",
    "signals",
    "signals_of",
    "usage",
]

NAMES: tuple[str, ...] = tuple(SIGNALS)
"""The signals' names, in the order of the columns."""


def signals(sequence: Sequence, as_of_ms: int) -> NDArray[np.float32]:
    """The signals of one user over (`as_of_ms` - 30 days, `as_of_ms`], shape [signals].

    >>> from schemas.events import Login
    >>> days = [Login(event_id=f"e{d}", tenant="acme", user_id="u1", ts=d * DAY_MS) for d in (1, 2, 28)]
    >>> found = signals(sequence_of(days, account=None), as_of_ms=30 * DAY_MS)
    >>> [round(float(found[NAMES.index(name)]), 2) for name in ("quiet", "active_days_7d", "longest_gap")]
    [2.0, 1.0, 26.0]
    """
    found: NDArray[np.float32] = _table(Windows.of(sequence, as_of_ms))[0]
    return found


def signals_of(log: Sequence, begin: Rows, end: Rows, as_of_ms: NDArray[np.int64]) -> NDArray[np.float32]:
    """The signals of many windows, shape [rows, signals].

    Row i is over the events [`begin[i]`, `end[i]`) of `log`, one user's of the 30 days up to `as_of_ms[i]`.
    """
    return _table(Windows(log, begin, end, as_of_ms))


def _table(windows: Windows) -> NDArray[np.float32]:
    table = np.empty((windows.rows, len(SIGNALS)), dtype=np.float32)
    for column, entry in enumerate(SIGNALS.values()):
        table[:, column] = entry.compute(windows)
    return table
