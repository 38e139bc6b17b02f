"""From what one user and one event take to what a whole installation needs: arithmetic, no measuring."""

from collections.abc import Mapping
from math import ceil
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
from msgspec import Struct

from benchmarks.filled import Filled, Store

USERS = (1_000_000, 3_000_000, 10_000_000, 30_000_000, 100_000_000)
DAY_S = 86_400
BUSY = 0.7
"""Up to which share of its time a core, a node's memory or a GPU is planned to be used."""
REDIS_NODE_BYTES = 64 * 10**9
GPU_DRAFTS_PER_S = 50
"""Of one H100, by arithmetic: see docs/scale.md."""
REPLICAS = 3
READERS = 1
"""Events go to the sieve, and packed to the writer of the sequences: each once."""
RETENTION_DAYS = 31
WINDOW_DAYS = 30


class Habits(Struct, frozen=True, kw_only=True):
    """What is supposed of the users: 100 events a day each make 10 billion with 100 million of them."""

    events_a_day: float = 100.0
    active_hours_a_day: float = 3.0
    crossings_a_day: float = 0.05
    peak: float = 3.0
    """The busiest time of the day against the mean."""


class Costs(Struct, frozen=True, kw_only=True):
    """What was measured: processor seconds and bytes for one of each."""

    sieve_cpu_s: float
    first_event_cpu_s: float
    """Of the main job, for the first event of a pane."""
    sequence_cpu_s: float
    """Of the sequence writer."""
    redis_cpu_s: float
    broker_cpu_s: float
    broker_event_bytes: float
    """Of an active pane, as nearly all are: as it came, and packed."""
    user_heap_bytes: float
    user_disk_bytes: float
    """In RocksDB, with one pane."""
    user_checkpoint_bytes: float
    redis_user_bytes: float
    redis_event_bytes: float


def costs(filled: Mapping[Store, Filled]) -> Costs:
    """The costs of one of each, from all three stores."""
    heap, disk, sequences = filled[Store.HASHMAP], filled[Store.ROCKSDB], filled[Store.REDIS]
    users, (_, _, same, second) = heap.users, heap.stages
    redis_event_bytes = sequences.added("redis_bytes", 3)
    return Costs(
        sieve_cpu_s=same.cpu_s["sieve"] / users,
        first_event_cpu_s=second.cpu_s["flink"] / users,
        sequence_cpu_s=sequences.stages[-1].cpu_s["sequences"] / sequences.users,
        redis_cpu_s=sequences.stages[-1].cpu_s["redis"] / sequences.users,
        broker_cpu_s=same.cpu_s["broker"] / users,
        broker_event_bytes=heap.added("broker_bytes", 2),
        user_heap_bytes=heap.added("heap_bytes", 1),
        user_disk_bytes=disk.checked.working_bytes / disk.users,
        user_checkpoint_bytes=heap.checked.checkpoint_bytes / users,
        redis_user_bytes=sequences.added("redis_bytes", 1) - redis_event_bytes,
        redis_event_bytes=redis_event_bytes,
    )


class Need(Struct, frozen=True, kw_only=True):
    """What an installation needs at its busiest time."""

    users: int
    events_per_s: float
    sieve_cores: int
    """As many processes, and so many partitions of each topic of events."""
    job_cores: int
    """Of the main job: as many instances, and so many partitions of each topic."""
    sequence_cores: int
    broker_cores: int
    broker_bytes_per_s: float
    """In from producers and the sieve, out to sieve and writer, and between replicas."""
    broker_disk_bytes: float
    heap_bytes: float
    rocksdb_bytes: float
    checkpoint_bytes: float
    redis_bytes: float
    redis_nodes: int
    drafts_per_s: float
    gpus: int


def need(users: int, costs: Costs, habits: Habits | None = None) -> Need:
    """What `users` need."""
    habits = habits or Habits()
    events_per_s = users * habits.events_a_day / DAY_S * habits.peak
    first_per_s = users * habits.active_hours_a_day / DAY_S * habits.peak
    drafts_per_s = users * habits.crossings_a_day / DAY_S * habits.peak
    redis_bytes = users * (
        costs.redis_user_bytes + habits.events_a_day * WINDOW_DAYS * costs.redis_event_bytes
    )
    bytes_per_s = events_per_s * costs.broker_event_bytes
    return Need(
        users=users,
        events_per_s=events_per_s,
        sieve_cores=_whole(events_per_s * costs.sieve_cpu_s),
        job_cores=_whole(first_per_s * costs.first_event_cpu_s),
        sequence_cores=_whole(events_per_s * costs.sequence_cpu_s),
        broker_cores=_whole(events_per_s * costs.broker_cpu_s),
        broker_bytes_per_s=bytes_per_s * (1 + READERS + REPLICAS - 1),
        broker_disk_bytes=bytes_per_s / habits.peak * DAY_S * RETENTION_DAYS * REPLICAS,
        heap_bytes=users * costs.user_heap_bytes,
        rocksdb_bytes=users * costs.user_disk_bytes,
        checkpoint_bytes=users * costs.user_checkpoint_bytes,
        redis_bytes=redis_bytes,
        redis_nodes=max(_whole(redis_bytes / REDIS_NODE_BYTES), _whole(events_per_s * costs.redis_cpu_s)),
        drafts_per_s=drafts_per_s,
        gpus=_whole(drafts_per_s / GPU_DRAFTS_PER_S),
    )


def _whole(used: float) -> int:
    return max(1, ceil(used / BUSY))


def plot(needs: list[Need], path: Path) -> None:
    """Draw the needs against the users as SVG, both axes logarithmic."""
    users = [one.users for one in needs]
    curves: dict[str, list[float]] = {
        "Redis, GB": [one.redis_bytes / 1e9 for one in needs],
        "broker network, MB/s": [one.broker_bytes_per_s / 1e6 for one in needs],
        "Flink's state on the heap, GB": [one.heap_bytes / 1e9 for one in needs],
        "Flink's state in RocksDB, GB": [one.rocksdb_bytes / 1e9 for one in needs],
        "cores of the sieve": [one.sieve_cores for one in needs],
        "cores of the main job": [one.job_cores for one in needs],
        "cores of the sequence writer": [one.sequence_cores for one in needs],
        "GPUs for drafts": [one.gpus for one in needs],
    }
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "holdfast"}):
        figure = Figure(figsize=(8, 5), layout="constrained")
        axes = figure.add_subplot()
        for name, values in curves.items():
            axes.plot(users, values, marker="o", markersize=4, label=name)
        axes.set(xscale="log", yscale="log", xlabel="users", title="Needed at the busiest time of the day")
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
        figure.savefig(path, format="svg", metadata={"Date": None})
