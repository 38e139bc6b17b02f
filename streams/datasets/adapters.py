"""Known datasets, each in its own columns, as events.

An adapter invents nothing that a model could learn from: no duration, no plan, no message. The id of an
event is made from its row alone, so that sending a file twice gives the same ids. What a row means is said
once, by the dataset's columns: its events are made from them.

`whatwg` is a chat room's log, to the minute, in the columns `ts, seq, user, kind`. A join is a login; part
and quit are logins with the action `logout`; message, action and nick are usage of the feature of that
name. Who parts leaves by the channel by which they joined, `room`; a quit, which is most often a lost
connection, comes by the channel `server`. The id is `<day>-<seq>`, `seq` being the line in that day's log.

`messages` is such a log of messages alone, in the columns `ts, seq, user`.

The others are of days: what was done on one stands at its noon, UTC. The hour is not known, and at noon an
event is on the right side of every midnight: whoever judges a user at midnight does not see the day that
begins, and whoever asks what came after it does. A day with anything in it is one active pane.

`udacity` and `ds365` are engagement with courses, in the columns `account_key, utc_date,
total_minutes_visited, lessons_completed, projects_completed` and `student_id, date_engaged,
engagement_quizzes, engagement_exams, engagement_lessons`; `ds365_minutes` is `student_id, date_watched,
minutes_watched`. Each of `minutes` (with its duration), `lessons`, `projects`, `quizzes` and `exams` that is
above zero is one usage event of that name; its id is `<user>-<day>-<feature>`.

`udacity_accounts` and `ds365_accounts` say when somebody became a customer, in the columns `account_key,
join_date` and `student_id, date_registered`. Each row is an account of age 0 on that day. `ds365_purchases`
is `student_id, purchase_type, date_purchased`: each row is an account of that plan, as old as the user's
first purchase.

`plays` is a log of finished games to the second, in the columns `ts, user, score`. Each is one usage event of
the feature `play`; its id is `<user>-<time>-<score>`, and the score is used for nothing else.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from msgspec import Struct
from numpy.typing import NDArray

from schemas.errors import InputError
from schemas.events import Account, Event, Login, Usage

DAY_MS = 86_400_000


CHAT_COLUMNS = ("ts", "seq", "user")


class Meaning(NamedTuple):
    """What a row says: `act` is `login`, `logout` or `usage`, by the channel or of the feature `what`."""

    act: str
    what: str


_MEANINGS = {
    "join": Meaning("login", "room"),
    "part": Meaning("logout", "room"),
    "quit": Meaning("logout", "server"),
    "message": Meaning("usage", "message"),
    "action": Meaning("usage", "action"),
    "nick": Meaning("usage", "nick"),
}


class Columns(NamedTuple):
    """A chat's log, one entry a row, in the order of (time, `seq`).

    `meaning` numbers one of `meanings`.
    """

    ts_ms: NDArray[np.int64]
    seq: NDArray[np.int64]
    user: NDArray[np.object_]
    meaning: NDArray[np.int64]
    meanings: tuple[Meaning, ...]


class Dataset(Struct, frozen=True, kw_only=True):
    """How a dataset is known, by its columns, and how its rows become events, in the order of time."""

    columns: tuple[str, ...]
    events: Callable[[Path, pq.ParquetFile], Iterator[Event]]


def chat(path: Path, file: pq.ParquetFile) -> Columns:
    """The log of a chat, with kinds or of messages alone."""
    has_kinds = "kind" in file.schema_arrow.names
    table = Table(path, file, (*CHAT_COLUMNS, *(("kind",) if has_kinds else ())))
    ts_ms, seq, user = table.times_ms("ts"), table.integers("seq"), table.strings("user")
    names, number = ("message",), np.zeros(len(ts_ms), dtype=np.int64)
    if has_kinds:
        kinds = table.strings("kind").combine_chunks().dictionary_encode()
        names, number = tuple(kinds.dictionary.to_pylist()), np.asarray(kinds.indices, dtype=np.int64)
    for i, name in enumerate(names):
        if name not in _MEANINGS:
            row, expected = int(np.argmax(number == i)) + 1, ", ".join(sorted(_MEANINGS))
            raise InputError(f"column kind of {path} has {name!r} in row {row}, expected one of {expected}")
    order = np.lexsort((seq, ts_ms))
    return Columns(
        ts_ms=ts_ms[order],
        seq=seq[order],
        user=np.asarray(user, dtype=np.object_)[order],
        meaning=number[order],
        meanings=tuple(_MEANINGS[name] for name in names),
    )


def _chat_events(tenant: str) -> Callable[[Path, pq.ParquetFile], Iterator[Event]]:
    def events(path: Path, file: pq.ParquetFile) -> Iterator[Event]:
        log = chat(path, file)
        rows = zip(log.ts_ms.tolist(), log.seq.tolist(), log.user, log.meaning.tolist(), strict=True)
        for ts, seq, user, number in rows:
            who = {"event_id": f"{_day(ts)}-{seq}", "tenant": tenant, "user_id": user, "ts": ts}
            act, what = log.meanings[number]
            if act == "usage":
                yield Usage(**who, feature=what)
            else:
                yield Login(**who, channel=what, action="login" if act == "login" else "logout")

    return events


def _days(tenant: str, user: str, date: str, features: Mapping[str, str]) -> Dataset:
    """What each `user` did on each `date`: the columns that `features` names, by the feature they tell of."""

    def events(path: Path, file: pq.ParquetFile) -> Iterator[Event]:
        table = Table(path, file, (user, date, *features.values()))
        users, noons_ms = table.names(user), table.noons_ms(date)
        amounts = {feature: table.numbers(column) for feature, column in features.items()}
        for i in np.lexsort((users, noons_ms)).tolist():
            for feature, amount in amounts.items():
                if amount[i] > 0:
                    yield Usage(
                        event_id=f"{users[i]}-{_day(int(noons_ms[i]))}-{feature}",
                        tenant=tenant,
                        user_id=users[i],
                        ts=int(noons_ms[i]),
                        feature=feature,
                        duration_ms=round(float(amount[i]) * 60_000) if feature == "minutes" else 0,
                    )

    return Dataset(columns=(user, date, *features.values()), events=events)


def _accounts(tenant: str, user: str, date: str) -> Dataset:
    """On which `date` each `user` became a customer."""

    def events(path: Path, file: pq.ParquetFile) -> Iterator[Event]:
        table = Table(path, file, (user, date))
        users, noons_ms = table.names(user), table.noons_ms(date)
        for i in np.lexsort((users, noons_ms)).tolist():
            ts = int(noons_ms[i])
            event_id = f"{users[i]}-{_day(ts)}-account"
            yield Account(event_id=event_id, tenant=tenant, user_id=users[i], ts=ts)

    return Dataset(columns=(user, date), events=events)


def _purchases(path: Path, file: pq.ParquetFile) -> Iterator[Event]:
    table = Table(path, file, PURCHASES.columns)
    users, plans, noons_ms = (
        table.names("student_id"),
        table.names("purchase_type"),
        table.noons_ms("date_purchased"),
    )
    first_ms: dict[str, int] = {}
    for i in np.lexsort((plans, users, noons_ms)).tolist():
        ts, user = int(noons_ms[i]), users[i]
        yield Account(
            event_id=f"{user}-{_day(ts)}-{plans[i].lower()}",
            tenant="ds365",
            user_id=user,
            ts=ts,
            plan=plans[i].lower(),
            tenure_days=(ts - first_ms.setdefault(user, ts)) // DAY_MS,
        )


def _plays(path: Path, file: pq.ParquetFile) -> Iterator[Event]:
    table = Table(path, file, PLAYS.columns)
    ts_ms, users, scores = table.times_ms("ts"), table.names("user"), table.integers("score")
    for i in np.lexsort((scores, users, ts_ms)).tolist():
        ts = int(ts_ms[i])
        event_id = f"{users[i]}-{ts}-{scores[i]}"
        yield Usage(event_id=event_id, tenant="plays", user_id=users[i], ts=ts, feature="play")


WHATWG = Dataset(columns=("ts", "seq", "user", "kind"), events=_chat_events("whatwg"))
MESSAGES = Dataset(columns=CHAT_COLUMNS, events=_chat_events("messages"))
PURCHASES = Dataset(columns=("student_id", "purchase_type", "date_purchased"), events=_purchases)
PLAYS = Dataset(columns=("ts", "user", "score"), events=_plays)
UDACITY = _days(
    "udacity",
    "account_key",
    "utc_date",
    {"minutes": "total_minutes_visited", "lessons": "lessons_completed", "projects": "projects_completed"},
)
DS365 = _days(
    "ds365",
    "student_id",
    "date_engaged",
    {"quizzes": "engagement_quizzes", "exams": "engagement_exams", "lessons": "engagement_lessons"},
)
DATASETS = {
    "whatwg": WHATWG,
    "messages": MESSAGES,
    "udacity": UDACITY,
    "udacity_accounts": _accounts("udacity", "account_key", "join_date"),
    "ds365": DS365,
    "ds365_minutes": _days("ds365", "student_id", "date_watched", {"minutes": "minutes_watched"}),
    "ds365_accounts": _accounts("ds365", "student_id", "date_registered"),
    "ds365_purchases": PURCHASES,
    "plays": PLAYS,
}
"""The datasets by name, of two that fit the one with more columns first; the tenant is the name's head."""


def _day(ts_ms: int) -> str:
    return datetime.fromtimestamp(ts_ms // 1000, UTC).date().isoformat()


class Table:
    """The columns of a file as arrays, with errors that name the file and the column."""

    def __init__(self, path: Path, file: pq.ParquetFile, columns: tuple[str, ...]) -> None:
        self._path = path
        self._table = file.read(columns=list(columns))

    def integers(self, name: str) -> NDArray[np.int64]:
        """Whole numbers."""
        return np.asarray(self._cast(name, pa.int64()), dtype=np.int64)

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Numbers."""
        return np.asarray(self._cast(name, pa.float64()), dtype=np.float64)

    def names(self, name: str) -> NDArray[np.object_]:
        """Names, or numbers that stand for them, as texts."""
        return np.array(self.strings(name).to_pylist(), dtype=np.object_)

    def strings(self, name: str) -> pa.ChunkedArray:
        """The same as Arrow has them."""
        return self._cast(name, pa.string())

    def times_ms(self, name: str, empty_ms: int | None = None) -> NDArray[np.int64]:
        """Times in epoch ms, finer ones cut off; without a zone they are UTC. Empty ones are `empty_ms`."""
        if not pa.types.is_timestamp(self._table.schema.field(name).type):
            raise self._error(name, "is not of timestamps")
        times = self._cast(name, pa.timestamp("ms"), safe=False, may_be_empty=empty_ms is not None)
        return np.asarray(
            pc.coalesce(times.cast(pa.int64()), pa.scalar(empty_ms, pa.int64())), dtype=np.int64
        )

    def noons_ms(self, name: str, empty_ms: int | None = None) -> NDArray[np.int64]:
        """The noons (UTC) of the days of such times."""
        ts_ms = self.times_ms(name, empty_ms)
        return np.where(ts_ms == empty_ms, ts_ms, ts_ms // DAY_MS * DAY_MS + DAY_MS // 2)

    def _cast(
        self, name: str, to: pa.DataType, *, safe: bool = True, may_be_empty: bool = False
    ) -> pa.ChunkedArray:
        column = self._table.column(name)
        if column.null_count and not may_be_empty:
            row = pc.index(pc.is_null(column), value=True).as_py() + 1
            raise self._error(name, f"is empty in row {row}")
        try:
            return column.cast(to, safe=safe)
        except pa.ArrowException as error:
            raise self._error(name, f"cannot be read as {to}: {error}") from error

    def _error(self, name: str, reason: str) -> InputError:
        return InputError(f"column {name} of {self._path} {reason}")
