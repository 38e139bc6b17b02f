"""A user's events as columns: the one form that signals are computed from, in the stream and in batches."""

from collections.abc import Iterable, Mapping
from math import isnan
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from operators.distinct import distinct
from schemas.events import Account, Event, Login, Support, Usage

LOGIN, LOGOUT, USAGE, SUPPORT = range(4)
"""What `Sequence.kind` holds. At the same ms events stand in this order, whatever order they came in."""

NO_FEATURE = -1
_Row = tuple[int, int, int, int, bool, float]


class Sequence(NamedTuple):
    """Columns of events in the order of (user, `ts_ms`, `kind`), each of shape [events].

    `feature` is a number for what was used, or for the channel of a login or logout (which number it is does
    not matter, and the two share one count), or `NO_FEATURE`; `failed` says that
    a usage ended in an error; `sentiment` is that of a message to customer service, -1 to 1, NaN where
    unknown. `tenure_days` (as of `account_ms`) and `seats` are the account's, NaN where it is unknown; where
    the sequence is of many windows, they have an entry a window.
    """

    ts_ms: NDArray[np.int64]
    kind: NDArray[np.int8]
    feature: NDArray[np.int32]
    duration_ms: NDArray[np.int64]
    failed: NDArray[np.bool_]
    sentiment: NDArray[np.float32]
    tenure_days: float | NDArray[np.float64] = np.nan
    account_ms: int | NDArray[np.int64] = 0
    seats: float | NDArray[np.float64] = np.nan


def sequence_of(
    events: Iterable[Event], account: Account | None, sentiments: Mapping[str, float] | None = None
) -> Sequence:
    """The columns of one user's events, which may come in any order, and more than once.

    `sentiments` gives that of the messages to customer service, by the id of their event.

    >>> who = {"tenant": "acme", "user_id": "u1"}
    >>> use = Usage(event_id="e2", ts=2000, feature="export", **who)
    >>> found = sequence_of([use, Login(event_id="e1", ts=1000, **who), use], account=None)
    >>> found.ts_ms.tolist(), found.kind.tolist(), found.feature.tolist()
    ([1000, 2000], [0, 2], [0, 1])
    """
    numbers: dict[tuple[type, str], int] = {}
    known = sentiments or {}
    rows: list[_Row] = []
    for event in sorted(distinct(events), key=_name):  # of equal rows, too, the order is always the same
        if isinstance(event, Login):
            kind = LOGIN if event.action == "login" else LOGOUT
            number = numbers.setdefault((Login, event.channel), len(numbers))
            rows.append((event.ts, kind, number, 0, False, np.nan))
        elif isinstance(event, Usage):
            number = numbers.setdefault((Usage, event.feature), len(numbers))
            rows.append((event.ts, USAGE, number, event.duration_ms, event.outcome == "error", np.nan))
        elif isinstance(event, Support):
            mood = known.get(event.event_id, np.nan)
            rows.append((event.ts, SUPPORT, NO_FEATURE, 0, False, mood))
    rows.sort(key=_order)
    columns = list(zip(*rows, strict=True)) or [()] * 6
    return Sequence(
        ts_ms=np.array(columns[0], dtype=np.int64),
        kind=np.array(columns[1], dtype=np.int8),
        feature=np.array(columns[2], dtype=np.int32),
        duration_ms=np.array(columns[3], dtype=np.int64),
        failed=np.array(columns[4], dtype=np.bool_),
        sentiment=np.array(columns[5], dtype=np.float32),
        tenure_days=np.nan if account is None else float(account.tenure_days),
        account_ms=0 if account is None else account.ts,
        seats=np.nan if account is None else float(account.seats),
    )


def _name(event: Event) -> str:
    return event.event_id


def _order(row: _Row) -> tuple[object, ...]:
    """Whatever order rows came in, sums over them are taken in one order: all but the feature's number."""
    ts_ms, kind, _, duration_ms, failed, sentiment = row
    return ts_ms, kind, duration_ms, failed, 0.0 if isnan(sentiment) else sentiment
