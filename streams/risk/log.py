"""A log, in a known dataset's columns or in holdfast's own events, as one sequence of every user's events."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from operators.signals import NAMES, SPAN_MS, Sequence, sequence_of, signals_of
from operators.signals.sequence import LOGIN, LOGOUT, USAGE
from schemas.codec import parse
from schemas.errors import InputError, RejectedEvent
from schemas.events import Account, Event, Tick
from streams.datasets import Columns, read_columns, read_events

_WINDOWS = 4_000
"""Windows that are computed at once: their hours alone take 6 KB each."""


class Accounts(NamedTuple):
    """What was said of users' accounts, in the order of (user, time), each of shape [accounts]."""

    user: NDArray[np.intp]
    ts_ms: NDArray[np.int64]
    tenure_days: NDArray[np.float64]
    seats: NDArray[np.float64]


_NO_ACCOUNTS = Accounts(
    np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float64), np.zeros(0)
)


class Log(NamedTuple):
    """`sequence` holds the events of `users[i]` from `begin[i]` to `begin[i + 1]`, in the order of time."""

    users: NDArray[np.object_]
    begin: NDArray[np.intp]
    sequence: Sequence
    accounts: Accounts = _NO_ACCOUNTS

    @property
    def user(self) -> NDArray[np.intp]:
        """The number of each event's user."""
        return np.repeat(np.arange(len(self.users)), np.diff(self.begin))


class Cuts(NamedTuple):
    """Moments at which users are judged: the user's number and the window's end, each of shape [rows]."""

    user: NDArray[np.intp]
    as_of_ms: NDArray[np.int64]


def read_log(path: Path) -> Log:
    """The log in `path`: a chat's, a file of events, or a folder of files that are of the same users.

    Raises:
        InputError: a file cannot be read or has other columns, a value in it is wrong, or there is no event.
    """
    columns = None if path.is_dir() else read_columns(path)
    log = log_of_events(_events(path)) if columns is None else log_of(columns)
    if not len(log.sequence.ts_ms):
        raise InputError(f"{path} has no events of users")
    return log


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


def log_of_events(events: Iterable[Event]) -> Log:
    """Events of one tenant, which may come in any order and more than once.

    Messages to customer service are among them, and what they sound like is not known.

    Raises:
        InputError: the events are of several tenants.
    """
    own: dict[str, list[Event]] = defaultdict(list)
    tenants = set()
    for event in events:
        own[event.user_id].append(event)
        tenants.add(event.tenant)
    if len(tenants) > 1:
        raise InputError(f"a log is of one tenant, and this one is of {', '.join(sorted(tenants))}")
    users = sorted(own)
    parts = [sequence_of(own[user], account=None) for user in users] or [sequence_of((), account=None)]
    sequence = Sequence(
        ts_ms=np.concatenate([part.ts_ms for part in parts]),
        kind=np.concatenate([part.kind for part in parts]),
        feature=np.concatenate(
            [part.feature for part in parts]
        ),  # a number means something to its user alone
        duration_ms=np.concatenate([part.duration_ms for part in parts]),
        failed=np.concatenate([part.failed for part in parts]),
        sentiment=np.concatenate([part.sentiment for part in parts]),
    )
    begin = np.cumsum([0, *(len(part.ts_ms) for part in parts[: len(users)])])
    return Log(np.array(users, dtype=np.object_), begin, sequence, _accounts(own, users))


def _accounts(own: Mapping[str, Iterable[Event]], users: Iterable[str]) -> Accounts:
    said = sorted(
        (number, event.ts, event.tenure_days, event.seats)
        for number, user in enumerate(users)
        for event in own[user]
        if isinstance(event, Account)
    )
    table = np.array(said, dtype=np.float64).reshape(len(said), 4)  # times in ms are exact in it
    user, ts_ms, tenure_days, seats = table.T
    return Accounts(user.astype(np.intp), ts_ms.astype(np.int64), tenure_days, seats)


def _events(path: Path) -> Iterator[Event]:
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    for file in files:
        for number, value in enumerate(read_events(file), 1):
            try:
                event = parse(value)
            except RejectedEvent as error:
                raise InputError(f"event {number} of {file} is none: {error}") from error
            if not isinstance(event, Tick):
                yield event


def edges(log: Log, cuts: Cuts, span_ms: int = SPAN_MS) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where the events of (`as_of_ms` - `span_ms`, `as_of_ms`] begin and end, of each cut."""
    places = log.user, log.sequence.ts_ms
    return _until(*places, cuts.user, cuts.as_of_ms - span_ms), _until(*places, cuts.user, cuts.as_of_ms)


def known(log: Log, cuts: Cuts) -> NDArray[np.bool_]:
    """Of which cuts the log had an event or an account by then."""
    ever = _until(log.user, log.sequence.ts_ms, cuts.user, cuts.as_of_ms) > log.begin[cuts.user]
    user, ts_ms, *_ = log.accounts
    if len(user):
        ever |= _until(user, ts_ms, cuts.user, cuts.as_of_ms) > np.searchsorted(user, cuts.user)
    return ever


def signals_at(log: Log, cuts: Cuts) -> NDArray[np.float32]:
    """The signals of each cut, shape [rows, signals]."""
    begin, end = edges(log, cuts)
    table = np.empty((len(cuts.user), len(NAMES)), dtype=np.float32)
    for first in range(0, len(cuts.user), _WINDOWS):
        part = slice(first, first + _WINDOWS)
        of_part = Cuts(cuts.user[part], cuts.as_of_ms[part])
        sequence = _with_accounts(log, of_part)
        table[part] = signals_of(sequence, begin[part], end[part], of_part.as_of_ms)
    return table


def _with_accounts(log: Log, cuts: Cuts) -> Sequence:
    """The log's sequence with what was last said of each cut's account by then, shape [rows]."""
    user, ts_ms, tenure_days, seats = log.accounts
    if not len(user):
        return log.sequence
    last = _until(user, ts_ms, cuts.user, cuts.as_of_ms) - 1
    known = (last >= 0) & (user[last] == cuts.user)
    return log.sequence._replace(
        tenure_days=np.where(known, tenure_days[last], np.nan),
        account_ms=ts_ms[last],
        seats=np.where(known, seats[last], np.nan),
    )


def _until(
    user: NDArray[np.intp], ts_ms: NDArray[np.int64], asked: NDArray[np.intp], asked_ms: NDArray[np.int64]
) -> NDArray[np.intp]:
    """The first of the places (`user`, `ts_ms`) after each that is asked for: both as one number."""
    start_ms = int(ts_ms.min()) - 1
    width = int(ts_ms.max()) - start_ms + 1
    places = user * width + (ts_ms - start_ms)
    return np.searchsorted(places, asked * width + np.clip(asked_ms - start_ms, 0, width - 1), side="right")
