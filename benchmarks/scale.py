"""`python -m benchmarks scale`: what a user, a pane and an event take, in Flink, on disk and in Redis.

Each store gets a stack of its own and the same events, in stages of one event a user (`benchmarks.filled`).
What a stage adds, divided by the users, is what a user, a pane or an event takes.
"""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import msgspec
import redis
import typer
from msgspec import Struct
from rich.table import Table

from benchmarks.cost import USERS, Need, costs, need, plot
from benchmarks.crowd import HOUR_MS, events, held, last_keys
from benchmarks.filled import SAME, SECOND, Filled, Stage, Store, stages
from benchmarks.machine import machine
from benchmarks.stack import own_stack
from benchmarks.usage import Usage
from schemas.errors import UnavailableError
from schemas.topics import EVENT_TOPICS
from streams import verify
from streams.agents import SIEVE_GROUP
from streams.commands.output import AsJson, keep, out, print_json, progress
from streams.embedded import process
from streams.flink.rest import KEYED_OPERATOR, Rest, Task
from streams.producer import Sent, send
from streams.settings import Settings, load_settings

_HEAP_MB, _HEAP_MB_PER_MILLION = 1024, 4096
_CHECKED = {Store.HASHMAP: SECOND, Store.ROCKSDB: SAME}
"""After which stage a checkpoint is looked at."""
_FILLED_WITHIN_S = 1800.0
_POLL_S = 0.2
_WATCH_S = 4.0
# With this option a JVM that is told to quit collects all garbage and lists its classes, and goes on.
_HISTOGRAM = "-XX:+PrintClassHistogram"
_ROWS = {
    "events_per_s": ("events a second", 1.0),
    "sieve_cores": ("cores of the sieve", 1.0),
    "job_cores": ("cores of the main job, and partitions", 1.0),
    "sequence_cores": ("cores of the sequence writer", 1.0),
    "broker_cores": ("cores of the broker", 1.0),
    "broker_bytes_per_s": ("broker network, MB/s", 1e6),
    "broker_disk_bytes": ("broker disk, TB", 1e12),
    "heap_bytes": ("state on the heap, GB", 1e9),
    "rocksdb_bytes": ("or in RocksDB, GB", 1e9),
    "checkpoint_bytes": ("checkpoint, GB", 1e9),
    "redis_bytes": ("Redis, TB", 1e12),
    "redis_nodes": ("Redis nodes of 64 GB", 1.0),
    "drafts_per_s": ("drafts a second", 1.0),
    "gpus": ("GPUs", 1.0),
}
"""Of the cost curve: what stands in each row, in which unit."""


class Report(Struct, kw_only=True):
    """All that was measured, and on which machine."""

    users: int
    filled: list[Filled]
    figures: dict[Store, dict[str, float]]
    curve: list[Need]
    """What more users need, by arithmetic; only where all stores were filled."""
    machine: dict[str, Any]


def scale(
    users: Annotated[int, typer.Option("--users", min=1000, help="How many users there are.")] = 1_000_000,
    store: Annotated[
        list[Store] | None, typer.Option("--store", help="Only this one; may be given several times.")
    ] = None,
    out_dir: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Write scale.json and scale.svg there.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure what users, panes and events take in Flink's state, in its checkpoints and in Redis.

    Starts a stack of its own for each store, in a temporary folder, and removes it afterwards. A million
    users need 8 GB of memory.

    Example: python -m benchmarks scale --users 100000
    """
    filled = [_fill(one, users) for one in store or list(Store)]
    by_store = {one.store: one for one in filled}
    curve = [need(count, costs(by_store)) for count in USERS] if by_store.keys() == set(Store) else []
    report = Report(
        users=users,
        filled=filled,
        figures={one.store: one.figures() for one in filled},
        curve=curve,
        machine=machine(),
    )
    if as_json:
        print_json(report)
    else:
        _print(report)
    if out_dir is not None:
        keep(out_dir, "scale", report, partial(plot, report.curve) if report.curve else None)


def _fill(store: Store, users: int) -> Filled:
    with _stack(store, users) as settings, progress() as shown:
        bar = shown.add_task(store, total=users)
        now_ms = int(time.time() * 1000)

        def on_progress(sent: Sent) -> None:
            shown.update(bar, completed=sent.events)

        held = [_held(settings, store, Stage(name="empty"))]
        names = stages(store)
        for number, name in enumerate(names):
            usage = Usage(settings.work_dir)
            usage.begin()
            shown.update(bar, description=f"{store}: {name}")
            records = events(users, number, now_ms - (0 if name == SECOND else HOUR_MS))
            asyncio.run(send(settings.bootstrap_servers, records, on_progress=on_progress))
            _await(settings, store, users, names[: number + 1])
            usage.end()
            stage = Stage(name=name, seconds=usage.elapsed_s, cpu_s=usage.cpu_s())
            held.append(_held(settings, store, stage))
    return Filled(store=store, users=users, stages=tuple(held))


@contextmanager
def _stack(store: Store, users: int) -> Iterator[Settings]:
    settings = msgspec.structs.replace(
        load_settings(),
        flink_heap_mb=_HEAP_MB + (users * _HEAP_MB_PER_MILLION // 1_000_000 if store is Store.HASHMAP else 0),
        state_backend="rocksdb" if store is Store.ROCKSDB else "hashmap",
    )
    with own_stack(settings) as stack:
        stack.up(("broker",))
        os.environ["JDK_JAVA_OPTIONS"] = _HISTOGRAM
        yield stack.up(("redis", "sieve", "sequences") if store is Store.REDIS else ("sieve", "flink"))


def _await(settings: Settings, store: Store, users: int, done: tuple[str, ...]) -> None:
    """Wait until the events of the stages `done` are in the store."""
    is_there = _is_in_redis if store is Store.REDIS else _is_in_flink
    end = time.monotonic() + _FILLED_WITHIN_S
    while not is_there(settings, users, done):
        if time.monotonic() > end:
            raise UnavailableError(f"{store} did not take the events within {_FILLED_WITHIN_S:.0f} s")
        time.sleep(_POLL_S)  # neither store tells when something has come


def _is_in_redis(settings: Settings, users: int, done: tuple[str, ...]) -> bool:
    with redis.Redis.from_url(settings.redis_url) as client:
        return all(held(client, key) == len(done) for key in last_keys(users))


def _is_in_flink(settings: Settings, users: int, done: tuple[str, ...]) -> bool:
    """Every event is sifted; the keyed operator gets those that are the first of their pane."""
    verify.await_committed(settings.bootstrap_servers, SIEVE_GROUP, EVENT_TOPICS, lambda _: None)
    firsts = sum(name != SAME for name in done)
    return _tasks(settings)[KEYED_OPERATOR].records_in >= firsts * users


def _tasks(settings: Settings) -> dict[str, Task]:
    """The job's tasks by the name of their first operator."""
    return {one.name.split("[")[0].split(" ")[0]: one for one in Rest(settings.flink_port).tasks()}


def _held(settings: Settings, store: Store, stage: Stage) -> Stage:
    """`stage` with what the store holds now."""
    held = {"broker_bytes": size_bytes(settings.work_dir / "broker", "*.log")}
    if store is Store.REDIS:
        with redis.Redis.from_url(settings.redis_url) as client:
            held["redis_bytes"] = client.info("memory")["used_memory"]
    if store is Store.HASHMAP and stage.name != SAME:
        held["heap_bytes"] = _heap_bytes(settings)
    if _CHECKED.get(store) == stage.name:
        held |= _checkpoint(settings)
    return msgspec.structs.replace(stage, **held)


def _checkpoint(settings: Settings) -> dict[str, int]:
    """What the next checkpoint holds."""
    Rest(settings.flink_port).wait_checkpoint_after(time.time() * 1000, _FILLED_WITHIN_S)
    tasks, folder = _tasks(settings), settings.checkpoints("decisions")
    return {
        "users_bytes": tasks[KEYED_OPERATOR].state_bytes,
        "checkpoint_bytes": _newest_bytes(folder),
        "working_bytes": size_bytes(folder / "rocksdb"),
    }


def _heap_bytes(settings: Settings) -> int:
    """What the heap of the main job holds without garbage."""
    for one in process.find(settings.work_dir)["flink"].every:
        if one.name() == "java":
            one.send_signal(signal.SIGQUIT)
    rest, end = Rest(settings.flink_port), time.monotonic() + _WATCH_S
    seen: list[int] = []
    while not seen or time.monotonic() < end:
        time.sleep(_POLL_S)  # Flink's figure is renewed by the clock
        if held := rest.heap_bytes():
            seen.append(held)
    return min(seen)


def _newest_bytes(checkpoints: Path) -> int:
    """The files of the newest checkpoint: its own, and those that it shares with others of its job."""
    newest = max(checkpoints.glob("*/chk-*/_metadata"), key=lambda path: path.stat().st_mtime).parent
    return size_bytes(newest) + size_bytes(newest.parent / "shared")


def size_bytes(folder: Path, pattern: str = "*") -> int:
    """All files in `folder` and below that fit `pattern`, while others write there."""
    found = 0
    for path in folder.rglob(pattern):
        with suppress(FileNotFoundError):
            found += path.stat().st_size if path.is_file() else 0
    return found


def _print(report: Report) -> None:
    out.print(f"{report.users:,} users on {report.machine['cores']} cores ({report.machine['cpu']})")
    for store, figures in report.figures.items():
        table = Table(store, "", box=None)
        table.columns[1].justify = "right"
        for name, value in figures.items():
            table.add_row(name, f"{value:,.1f}" if value < 100 else f"{value:,.0f}")
        out.print(table)
    if report.curve:
        out.print(_curve(report.curve))


def _curve(needs: list[Need]) -> Table:
    """One column for each number of users."""
    table = Table("at the busiest time", *(f"{one.users / 1e6:,.0f} M users" for one in needs), box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for name, (words, unit) in _ROWS.items():
        values = (getattr(one, name) / unit for one in needs)
        row = (f"{value:,.1f}" if value < 10 and unit > 1 else f"{value:,.0f}" for value in values)
        table.add_row(words, *row)
    return table
