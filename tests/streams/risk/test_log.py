"""A log sent through the stream and the same log in columns come to the same signals."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from operators.signals import DAY_MS, sequence_of, signals
from schemas.errors import InputError
from schemas.events import Account, Event, Login, Support, Usage
from streams.datasets import read_events
from streams.risk.log import Cuts, read_log, signals_at

START = datetime(2020, 1, 1, tzinfo=UTC)
KINDS = ("join", "part", "quit", "message", "action", "nick")


def chat(path: Path, *, days: int = 40, users: int = 6, kinds: bool = True, seed: int = 1) -> Path:
    """A log to the minute, in which many events share theirs."""
    dice = random.Random(seed)
    many = days * 40
    columns: dict[str, Any] = {
        "ts": pa.array(
            [START + timedelta(minutes=dice.randrange(days * 144) * 10) for _ in range(many)],
            pa.timestamp("us", tz="UTC"),
        ),
        "seq": pa.array(range(many), pa.int32()),
        "user": pa.array([f"u{dice.randrange(users)}" for _ in range(many)], pa.large_string()),
        "len": pa.array([1] * many, pa.int32()),
    }
    if kinds:
        columns["kind"] = pa.array([dice.choice(KINDS) for _ in range(many)]).dictionary_encode()
    pq.write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize("kinds", [True, False])
def test_stream_and_batch_compute_the_same_numbers(tmp_path: Path, kinds: bool) -> None:
    path = chat(tmp_path / "chat.parquet", kinds=kinds)
    log = read_log(path)
    as_of_ms = np.array([int(START.timestamp() * 1000) + day * DAY_MS for day in (1, 31, 36)])
    users = np.arange(len(log.users))
    cuts = Cuts(np.tile(users, 3), np.repeat(as_of_ms, len(users)))
    batch = signals_at(log, cuts)

    events = [msgspec.json.decode(value, type=Event) for value in read_events(path)]
    random.Random(2).shuffle(events)
    for row, user, moment in zip(batch, cuts.user, cuts.as_of_ms, strict=True):
        own = [event for event in events if event.user_id == log.users[user]]
        np.testing.assert_array_equal(row, signals(sequence_of(own, account=None), int(moment)))


def test_times_without_a_zone_are_utc(tmp_path: Path) -> None:
    path = chat(tmp_path / "chat.parquet")
    table = pq.read_table(path)
    naive = table.set_column(0, "ts", table["ts"].cast(pa.timestamp("us")))
    pq.write_table(naive, tmp_path / "naive.parquet")
    one, other = read_log(path), read_log(tmp_path / "naive.parquet")
    np.testing.assert_array_equal(one.sequence.ts_ms, other.sequence.ts_ms)


def test_a_file_of_events_is_a_log_and_a_folder_is_one_of_all_its_files(tmp_path: Path) -> None:
    dice = random.Random(3)
    start_ms = int(START.timestamp() * 1000)
    events: list[Event] = []
    for number in range(400):
        who: dict[str, Any] = {
            "event_id": f"e{number}",
            "tenant": "acme",
            "user_id": f"u{dice.randrange(5)}",
            "ts": start_ms + dice.randrange(40 * DAY_MS),
        }
        events.append(
            dice.choice(
                (
                    Usage(
                        **who, feature=dice.choice("abc"), duration_ms=dice.randrange(9_000), outcome="error"
                    ),
                    Usage(**who, feature=dice.choice("abc")),
                    Login(**who),
                    Login(**who, action="logout"),
                    Support(**who, text="Hello"),
                    Account(**who, tenure_days=dice.randrange(90), seats=dice.randrange(1, 9)),
                )
            )
        )
    (tmp_path / "log").mkdir()
    lines = [msgspec.json.encode(event) for event in events]
    (tmp_path / "log" / "a.jsonl").write_bytes(b"\n".join(lines[:250]))
    (tmp_path / "log" / "b.jsonl").write_bytes(b"\n".join(lines[200:]))  # fifty of them once more
    (tmp_path / "all.jsonl").write_bytes(b"\n".join(lines))
    log, same = read_log(tmp_path / "log"), read_log(tmp_path / "all.jsonl")
    as_of_ms = np.array([start_ms + day * DAY_MS for day in (1, 20, 36)])
    users = np.arange(len(log.users))
    cuts = Cuts(np.tile(users, 3), np.repeat(as_of_ms, len(users)))
    batch = signals_at(log, cuts)
    np.testing.assert_array_equal(batch, signals_at(same, cuts))
    for row, user, moment in zip(batch, cuts.user, cuts.as_of_ms, strict=True):
        own = [event for event in events if event.user_id == log.users[user]]
        accounts = [event for event in own if isinstance(event, Account) and event.ts <= moment]
        account = max(accounts, key=lambda event: event.ts, default=None)
        np.testing.assert_array_equal(row, signals(sequence_of(own, account), int(moment)))


def test_a_log_of_several_tenants_or_with_a_line_that_is_no_event_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    events = [Login(event_id="e", tenant=tenant, user_id="u", ts=1) for tenant in ("acme", "other")]
    path.write_bytes(b"\n".join(map(msgspec.json.encode, events)))
    with pytest.raises(InputError, match="a log is of one tenant, and this one is of acme, other"):
        read_log(path)
    path.write_bytes(msgspec.json.encode(events[0]) + b"\n{}")
    with pytest.raises(InputError, match=r"event 2 of .*e\.jsonl is none: kind: is missing"):
        read_log(path)


def test_a_log_without_rows_is_refused(tmp_path: Path) -> None:
    path = chat(tmp_path / "chat.parquet")
    pq.write_table(pq.read_table(path).slice(0, 0), path)
    with pytest.raises(InputError, match=r"chat\.parquet has no events of users"):
        read_log(path)


def test_a_log_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"ts": [1], "user": ["u"]}), path)
    with pytest.raises(
        InputError, match=r"x\.parquet has no column event_id, tenant, .*: expected those of events, or of a"
    ):
        read_log(path)
