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
from schemas.events import Event
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


def test_a_log_without_rows_is_refused(tmp_path: Path) -> None:
    path = chat(tmp_path / "chat.parquet")
    pq.write_table(pq.read_table(path).slice(0, 0), path)
    with pytest.raises(InputError, match=r"chat\.parquet has no rows"):
        read_log(path)


def test_a_log_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"ts": [1], "user": ["u"]}), path)
    with pytest.raises(InputError, match=r"x\.parquet has no column seq: a chat's log has ts, seq, user"):
        read_log(path)
