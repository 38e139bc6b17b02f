"""A user's events as columns: the one form that signals are computed from, in the stream and in batches."""

from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from operators.distinct import distinct
from schemas.events import Account, Event, Login, Support, Usage

LOGIN, LOGOUT, USAGE, SUPPORT = range(4)
"""What `Sequence.kind` holds. At the same ms events stand in this order, whatever order they came in."""

NO_FEATURE = -1
_ID = attrgetter("event_id")


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
    known = sorted(distinct(events), key=_ID)  # of equal rows, too, the order is always the same
    logins = [event for event in known if isinstance(event, Login)]
    uses = [event for event in known if isinstance(event, Usage)]
    messages = [event for event in known if isinstance(event, Support)]
    moods = sentiments or {}
    numbers: dict[tuple[type, str], int] = {}
    many = len(logins) + len(uses) + len(messages)
    used, written = slice(len(logins), len(logins) + len(uses)), slice(len(logins) + len(uses), many)
    ts_ms = np.array([event.ts for event in (*logins, *uses, *messages)], dtype=np.int64)
    kind = np.full(many, SUPPORT, dtype=np.int8)
    kind[: used.start] = [LOGIN if event.action == "login" else LOGOUT for event in logins]
    kind[used] = USAGE
    feature = np.full(many, NO_FEATURE, dtype=np.int32)
    feature[: used.start] = [numbers.setdefault((Login, event.channel), len(numbers)) for event in logins]
    feature[used] = [numbers.setdefault((Usage, event.feature), len(numbers)) for event in uses]
    duration_ms = np.zeros(many, dtype=np.int64)
    duration_ms[used] = [event.duration_ms for event in uses]
    failed = np.zeros(many, dtype=np.bool_)
    failed[used] = [event.outcome == "error" for event in uses]
    sentiment = np.full(many, np.nan, dtype=np.float32)
    sentiment[written] = [moods.get(event.event_id, np.nan) for event in messages]
    # Whatever order rows came in, sums over them are taken in one order: all but the feature's number.
    order = np.lexsort((np.nan_to_num(sentiment), failed, duration_ms, kind, ts_ms))
    return Sequence(
        ts_ms=ts_ms[order],
        kind=kind[order],
        feature=feature[order],
        duration_ms=duration_ms[order],
        failed=failed[order],
        sentiment=sentiment[order],
        tenure_days=np.nan if account is None else float(account.tenure_days),
        account_ms=0 if account is None else account.ts,
        seats=np.nan if account is None else float(account.seats),
    )
