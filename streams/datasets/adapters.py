"""Known datasets, each in its own columns, as events.

An adapter invents nothing: no hour where the data knows only the day, no duration, no account. The id of
an event is made from its row alone, so that sending a file twice gives the same ids. What a row means is
said once, by the dataset's columns: its events are made from them.

`whatwg` is a chat room's log, to the minute, in the columns `ts, seq, user, kind`. A join is a login; part
and quit are logins with the action `logout`; message, action and nick are usage of the feature of that
name. Who parts leaves by the channel by which they joined, `room`; a quit, which is most often a lost
connection, comes by the channel `server`. The id is `<day>-<seq>`, `seq` being the line in that day's log.

`messages` is such a log of messages alone, in the columns `ts, seq, user`.

`udacity` is engagement with courses, by day, in the columns `account_key, utc_date,
total_minutes_visited, lessons_completed, projects_completed`. Each of `minutes` (with its duration),
`lessons` and `projects` that is above zero is one usage event of that name; its id is
`<account>-<day>-<feature>`. It stands at the day's first millisecond, UTC, the only time that the data
vouches for: a day with any engagement is one active pane.
"""

from collections.abc import Callable, Iterator
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
from schemas.events import Event, Login, Usage

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
    table = _Table(path, file, (*CHAT_COLUMNS, *(("kind",) if has_kinds else ())))
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


def _udacity(path: Path, file: pq.ParquetFile) -> Iterator[Event]:
    table = _Table(path, file, UDACITY.columns)
    accounts, days_ms = table.integers("account_key"), table.times_ms("utc_date") // DAY_MS * DAY_MS
    minutes = table.numbers("total_minutes_visited")
    lessons, projects = table.integers("lessons_completed"), table.integers("projects_completed")
    for i in np.lexsort((accounts, days_ms)).tolist():
        ts, account = int(days_ms[i]), str(accounts[i])
        for feature, amount in (("minutes", minutes[i]), ("lessons", lessons[i]), ("projects", projects[i])):
            if amount > 0:
                yield Usage(
                    event_id=f"{account}-{_day(ts)}-{feature}",
                    tenant="udacity",
                    user_id=account,
                    ts=ts,
                    feature=feature,
                    duration_ms=round(float(amount) * 60_000) if feature == "minutes" else 0,
                )


WHATWG = Dataset(columns=("ts", "seq", "user", "kind"), events=_chat_events("whatwg"))
MESSAGES = Dataset(columns=CHAT_COLUMNS, events=_chat_events("messages"))
UDACITY = Dataset(
    columns=("account_key", "utc_date", "total_minutes_visited", "lessons_completed", "projects_completed"),
    events=_udacity,
)
DATASETS = {"whatwg": WHATWG, "messages": MESSAGES, "udacity": UDACITY}
"""The datasets by name, the one with more columns first; the name is the tenant's too."""


def _day(ts_ms: int) -> str:
    return datetime.fromtimestamp(ts_ms // 1000, UTC).date().isoformat()


class _Table:
    """The columns of a file as arrays, with errors that name the file and the column."""

    def __init__(self, path: Path, file: pq.ParquetFile, columns: tuple[str, ...]) -> None:
        self._path = path
        self._table = file.read(columns=list(columns))

    def integers(self, name: str) -> NDArray[np.int64]:
        return np.asarray(self._cast(name, pa.int64()), dtype=np.int64)

    def numbers(self, name: str) -> NDArray[np.float64]:
        return np.asarray(self._cast(name, pa.float64()), dtype=np.float64)

    def strings(self, name: str) -> pa.ChunkedArray:
        return self._cast(name, pa.string())

    def times_ms(self, name: str) -> NDArray[np.int64]:
        """Times in epoch ms, finer ones cut off; those that state no zone are UTC."""
        if not pa.types.is_timestamp(self._table.schema.field(name).type):
            raise self._error(name, "is not of timestamps")
        times = self._cast(name, pa.timestamp("ms"), safe=False)
        return np.asarray(times.cast(pa.int64()), dtype=np.int64)

    def _cast(self, name: str, to: pa.DataType, safe: bool = True) -> pa.ChunkedArray:
        column = self._table.column(name)
        if column.null_count:
            row = pc.index(pc.is_null(column), value=True).as_py() + 1
            raise self._error(name, f"is empty in row {row}")
        try:
            return column.cast(to, safe=safe)
        except pa.ArrowException as error:
            raise self._error(name, f"cannot be read as {to}: {error}") from error

    def _error(self, name: str, reason: str) -> InputError:
        return InputError(f"column {name} of {self._path} {reason}")
