"""The scale benchmark: its events, what follows from what was measured, and the cost curve's arithmetic."""

from pathlib import Path

import msgspec
import pytest

from benchmarks.cost import USERS, Costs, Habits, costs, need, plot
from benchmarks.crowd import HOUR_MS, events, last_keys
from benchmarks.filled import Filled, Stage, Store, stages
from benchmarks.scale import size_bytes
from operators.window import pane_of, phase_ms
from schemas.codec import accept
from schemas.events import Usage
from streams.producer import partition_of

NOW_MS = 1_700_000_000_000
CPU_S = {"sieve": 10.0, "flink": 10.0, "broker": 2.0, "sequences": 5.0, "redis": 1.0}


def test_each_event_is_accepted() -> None:
    for record in events(3, 0, NOW_MS):
        event = accept(record.key, record.value, append_ms=NOW_MS)
        assert isinstance(event, Usage) and event.ts == NOW_MS


def test_events_of_two_stages_are_different_ones_of_the_same_users() -> None:
    first, second = (
        [msgspec.json.decode(record.value, type=Usage) for record in events(5, stage, NOW_MS)]
        for stage in (0, 1)
    )
    assert [one.user_id for one in first] == [one.user_id for one in second]
    assert len({one.event_id for one in (*first, *second)}) == 10


def test_an_hour_apart_is_another_pane_of_every_user() -> None:
    for record in events(50, 0, NOW_MS):
        assert record.key is not None
        phase = phase_ms(record.key.decode())
        assert pane_of(NOW_MS, phase) == pane_of(NOW_MS - HOUR_MS, phase) + 1


def test_the_last_user_of_each_partition_is_known() -> None:
    last = {partition_of(record.key): record.key for record in events(500, 0, NOW_MS) if record.key}
    assert sorted(last_keys(500)) == sorted(last.values())


def filled(store: Store, **held: tuple[int, ...]) -> Filled:
    """Ten users; for each field what the store held when it was empty and after each stage."""
    found = [Stage(name="empty"), *(Stage(name=name, seconds=2.0, cpu_s=CPU_S) for name in stages(store))]
    for field, values in held.items():
        found = [
            msgspec.structs.replace(stage, **{field: value})
            for stage, value in zip(found, values, strict=True)
        ]
    return Filled(store=store, users=10, stages=tuple(found))


HASHMAP = filled(
    Store.HASHMAP,
    heap_bytes=(1000, 8000, 0, 10_000),
    users_bytes=(0, 0, 0, 2000),
    checkpoint_bytes=(0, 0, 0, 3000),
    broker_bytes=(0, 5000, 8000, 12_000),
)
ROCKSDB = filled(Store.ROCKSDB, working_bytes=(0, 0, 1500), users_bytes=(0, 0, 1))
REDIS = filled(Store.REDIS, redis_bytes=(5000, 10_000, 12_000, 14_000))


def test_what_a_user_takes_is_what_the_first_pane_added() -> None:
    found = HASHMAP.figures()
    assert (found["heap, bytes a user"], found["checkpoint, bytes a user"]) == (700, 200)
    assert found["first pane, broker, bytes an event"] == 500
    assert found["same pane, broker, bytes an event"] == 300


def test_a_user_costs_redis_more_than_an_event_does() -> None:
    found = REDIS.figures()
    assert (found["Redis, bytes a user"], found["Redis, bytes an event"]) == (300, 200)


def test_rates_and_processor_time_are_told_by_stage() -> None:
    found = HASHMAP.figures()
    assert found["same pane, events a second"] == 5
    assert found["same pane, flink, CPU-s a million events"] == 1_000_000


def test_the_costs_of_one_come_from_the_store_that_has_them() -> None:
    found = costs({one.store: one for one in (HASHMAP, ROCKSDB, REDIS)})
    assert found.sieve_cpu_s == 1.0 and found.sequence_cpu_s == 0.5
    assert found.broker_event_bytes == 300, "as of the pane in which a user is already"
    assert (found.user_heap_bytes, found.user_disk_bytes) == (700, 150)
    assert (found.redis_user_bytes, found.redis_event_bytes) == (300, 200)


COSTS = Costs(
    sieve_cpu_s=10e-6,
    first_event_cpu_s=100e-6,
    sequence_cpu_s=20e-6,
    redis_cpu_s=5e-6,
    broker_cpu_s=2e-6,
    broker_event_bytes=200,
    user_heap_bytes=800,
    user_disk_bytes=400,
    user_checkpoint_bytes=500,
    redis_user_bytes=300,
    redis_event_bytes=250,
)


def test_a_hundred_million_users_are_ten_billion_events_a_day() -> None:
    found = need(100_000_000, COSTS, Habits(peak=1.0))
    assert found.events_per_s == pytest.approx(10e9 / 86_400)
    assert found.redis_bytes == pytest.approx(100e6 * (300 + 3000 * 250))
    assert found.broker_disk_bytes == pytest.approx(10e9 * 200 * 31 * 3)


def test_more_users_never_need_less() -> None:
    needs = [msgspec.to_builtins(need(users, COSTS)) for users in USERS]
    for name in needs[0]:
        values = [one[name] for one in needs]
        assert values == sorted(values) and values[0] > 0, name


def test_the_curve_is_drawn(tmp_path: Path) -> None:
    path = tmp_path / "scale.svg"
    plot([need(users, COSTS) for users in USERS], path)
    assert "<svg" in path.read_text(encoding="utf-8")


def test_all_files_below_a_folder_count(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"123")
    (tmp_path / "c").write_bytes(b"4")
    assert (size_bytes(tmp_path), size_bytes(tmp_path, "b")) == (4, 3)
    assert size_bytes(tmp_path / "missing") == 0
