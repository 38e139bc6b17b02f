"""Files of events: what comes out of each kind, and what is said of one that cannot be read."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import json as pa_json

from schemas.codec import encode, parse
from schemas.errors import InputError, RejectedEvent
from schemas.events import Account, Event, Login, Replay, Support, Tick, Usage
from streams.datasets import DATASETS, read_events

DAY_MS = 86_400_000
T = 1_700_000_000_000


def parquet(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def events_of(path: Path, dataset: str | None = None) -> list[Event | Tick]:
    return [parse(value) for value in read_events(path, dataset)]


def utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


# ---- JSONL ----


def test_lines_pass_untouched_and_in_order_so_that_bad_ones_reach_the_dead_letters(tmp_path: Path) -> None:
    lines = [
        b'{"ts": 2}',
        b"not JSON",
        b"\xff\xfe",
        b'  {"ts": 1}\r',
        b'{"text": "' + b"x" * 2_000_000 + b'"}',
    ]
    (tmp_path / "events.jsonl").write_bytes(b"\n".join([lines[0], b"", *lines[1:]]))
    assert list(read_events(tmp_path / "events.jsonl")) == lines


def test_an_empty_file_has_no_events(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    assert list(read_events(tmp_path / "empty.jsonl")) == []


# ---- Parquet in the schema of events ----


def test_a_column_is_a_field_and_null_is_absent(tmp_path: Path) -> None:
    events: list[Event] = [
        Usage(event_id="e1", tenant="acme", user_id="u1", ts=T + 5, feature="export", outcome="error"),
        Login(event_id="e2", tenant="acme", user_id="小明/1", ts=T, replay=Replay(until=T)),
        Support(event_id="e3", tenant="acme", user_id="u1", ts=T, text="你好", lang="zh"),
        Account(event_id="e4", tenant="acme", user_id="u1", ts=T, name="Ann", contact=("email", "sms")),
    ]
    (tmp_path / "e.jsonl").write_bytes(b"\n".join(map(encode, events)))
    pq.write_table(pa_json.read_json(tmp_path / "e.jsonl"), tmp_path / "e.parquet")
    assert events_of(tmp_path / "e.parquet") == events


def test_times_may_be_timestamps_and_without_a_zone_they_are_utc(tmp_path: Path) -> None:
    names = {"event_id": ["e"], "tenant": ["acme"], "user_id": ["u"], "kind": ["login"]}
    when = datetime(2023, 11, 14, 22, 13, 20, 999)
    for ts in (when, when.replace(tzinfo=UTC)):
        (event,) = events_of(parquet(tmp_path / "e.parquet", **names, ts=[ts]))
        assert event.ts == T


def test_a_row_that_is_no_event_is_passed_on_like_a_line(tmp_path: Path) -> None:
    names = {"tenant": ["a/b"], "user_id": ["u"], "ts": [T], "kind": ["login"]}
    (value,) = read_events(parquet(tmp_path / "e.parquet", event_id=["e"], **names))
    with pytest.raises(RejectedEvent, match="tenant: must be"):
        parse(value)


# ---- datasets ----


def whatwg(path: Path, **changes: Any) -> Path:
    columns = {
        "ts": pa.array(
            [utc(2006, 12, 1, 10, 26)] * 2 + [utc(2006, 11, 30)] * 4, pa.timestamp("us", tz="UTC")
        ),
        "seq": pa.array([7, 6, 1, 2, 3, 4], pa.int32()),
        "user": pa.array(["b", "a", "a", "a", "b", "b"], pa.large_string()),
        "kind": pa.array(["message", "action", "join", "part", "nick", "quit"]).dictionary_encode(),
        "len": pa.array([1, 2, 0, 0, 0, 0], pa.int32()),
    }
    return parquet(
        path, **{name: column for name, column in (columns | changes).items() if column is not None}
    )


def test_whatwg_joins_are_logins_and_messages_usage_in_the_order_of_time(tmp_path: Path) -> None:
    def who(user: str, event_id: str) -> dict[str, Any]:
        day, _, _ = event_id.rpartition("-")
        ts = 1_164_968_760_000 if day == "2006-12-01" else 1_164_844_800_000
        return {"event_id": event_id, "tenant": "whatwg", "user_id": user, "ts": ts}

    assert events_of(whatwg(tmp_path / "w.parquet")) == [
        Login(**who("a", "2006-11-30-1"), channel="room"),
        Login(**who("a", "2006-11-30-2"), channel="room", action="logout"),
        Usage(**who("b", "2006-11-30-3"), feature="nick"),
        Login(**who("b", "2006-11-30-4"), channel="server", action="logout"),
        Usage(**who("a", "2006-12-01-6"), feature="action"),
        Usage(**who("b", "2006-12-01-7"), feature="message"),
    ]


def test_a_chat_of_messages_alone_is_usage(tmp_path: Path) -> None:
    found = events_of(whatwg(tmp_path / "w.parquet", kind=None))
    assert len(found) == 6
    for event in found:
        assert isinstance(event, Usage)
        assert (event.tenant, event.feature) == ("messages", "message")


def udacity(path: Path, **changes: Any) -> Path:
    columns = {
        "account_key": [2, 1, 1],
        "utc_date": pa.array([datetime(2015, 1, 9)] * 2 + [datetime(2015, 1, 8)], pa.timestamp("us")),
        "num_courses_visited": [1, 1, 0],
        "total_minutes_visited": [11.6793745, 0.0, 0.0],
        "lessons_completed": [3, 0, 0],
        "projects_completed": [0, 1, 0],
    }
    return parquet(path, **(columns | changes))


def test_udacity_days_are_usage_at_their_first_millisecond_and_idle_days_nothing(tmp_path: Path) -> None:
    ts = 16_444 * DAY_MS
    assert events_of(udacity(tmp_path / "u.parquet")) == [
        Usage(event_id="1-2015-01-09-projects", tenant="udacity", user_id="1", ts=ts, feature="projects"),
        Usage(
            event_id="2-2015-01-09-minutes",
            tenant="udacity",
            user_id="2",
            ts=ts,
            feature="minutes",
            duration_ms=700_762,
        ),
        Usage(event_id="2-2015-01-09-lessons", tenant="udacity", user_id="2", ts=ts, feature="lessons"),
    ]


def test_ids_are_made_from_the_rows_alone(tmp_path: Path) -> None:
    for write in (whatwg, udacity):
        path = write(tmp_path / "d.parquet")
        ids = [event.event_id for event in events_of(path) if not isinstance(event, Tick)]
        assert len(set(ids)) == len(ids)
        assert list(read_events(path)) == list(read_events(path))


def test_a_dataset_may_be_named(tmp_path: Path) -> None:
    path = whatwg(tmp_path / "w.parquet")
    assert set(DATASETS) == {"whatwg", "messages", "udacity"}
    assert events_of(path, "whatwg") == events_of(path)


# ---- what cannot be read ----


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*nothing\.jsonl: No such file"):
        read_events(tmp_path / "nothing.jsonl")


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"{}", "is not a Parquet file"), (b"PAR1 and no more", "cannot read"), (b"", "is not a Parquet file")],
)
def test_a_file_that_is_no_parquet_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "e.parquet").write_bytes(content)
    with pytest.raises(InputError, match=rf"{message}.*|.*e\.parquet"):
        read_events(tmp_path / "e.parquet")


def test_unknown_columns_and_datasets_are_named(tmp_path: Path) -> None:
    path = parquet(tmp_path / "x.parquet", event_id=["e"], ts=[T])
    with pytest.raises(InputError, match=r"x\.parquet has no column tenant, user_id, kind"):
        read_events(path)
    with pytest.raises(InputError, match=r"x\.parquet has no column seq, which the dataset whatwg needs"):
        read_events(path, "whatwg")
    with pytest.raises(InputError, match="unknown dataset acme, expected one of whatwg, messages, udacity"):
        read_events(path, "acme")
    (tmp_path / "e.jsonl").write_bytes(b"{}")
    with pytest.raises(InputError, match="the dataset whatwg is read from Parquet only"):
        read_events(tmp_path / "e.jsonl", "whatwg")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seq": pa.array([7, 6, None, 2, 3, 4])}, "column seq of .* is empty in row 3"),
        ({"seq": pa.array(["x"] * 6)}, "column seq of .* cannot be read as int64"),
        ({"ts": pa.array([1] * 6)}, "column ts of .* is not of timestamps"),
        (
            {"kind": pa.array(["join"] * 5 + ["leave"])},
            "column kind of .* has 'leave' in row 6, expected one of action",
        ),
    ],
)
def test_a_column_that_cannot_become_events_is_named(tmp_path: Path, changes: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        list(read_events(whatwg(tmp_path / "w.parquet", **changes)))
