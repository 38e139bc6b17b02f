"""`python -m benchmarks capacity`: how many events a second all of it can take, and what one costs.

Events are sent as fast as the broker takes them, while sieve, main job and writer of sequences read them.
What is measured ends when event time has passed the last of them and Redis has them all. The first events,
in which the JVMs still compile, are left out.
"""

import asyncio
import time
from itertools import count
from typing import Annotated, Any

import msgspec
import redis
import typer
from msgspec import Struct
from rich.table import Table

from benchmarks.crowd import held
from benchmarks.load import Background, Shape
from benchmarks.machine import machine
from benchmarks.stack import own_stack
from benchmarks.usage import Usage
from schemas.codec import encode
from schemas.errors import UnavailableError
from schemas.events import Login, Tick
from schemas.topics import EVENT_TOPICS, PARTITIONS
from streams.commands.output import AsJson, out, print_json, progress
from streams.commands.stack import started_up
from streams.flink.rest import Rest
from streams.producer import Producer, connected, partition_of
from streams.sending import Outgoing
from streams.settings import Settings, load_settings
from streams.traffic import TENANT

TARGET_PER_S = 1_000_000_000 / 86_400
"""A billion events a day."""
COUNTED = ("sieve", "flink", "sequences", "redis")
_COMPONENTS = ["broker", "redis", "sieve", "flink", "sequences"]
_RATE_PER_S = 50_000.0  # of event time, which the sending does not keep to
_FLUSH_EVERY = 10
_PATIENCE_S = 600.0
_POLL_S = 0.1


class Capacity(Struct, frozen=True, kw_only=True):
    """What was measured; processor time by component is in seconds for a million events."""

    events: int
    active_hours: int
    """Users' hours among the events, the first event of each of which is judged in Python."""
    sent_s: float
    all_s: float
    """From the begin of the sending until Redis had them, and event time was past all of them."""
    events_per_s: float
    of_target: float
    """The rate over a billion events a day."""
    cpu_s_per_million: dict[str, float]
    counted_cpu_s_per_million: float
    """Of sieve, main job, writer and Redis."""
    parameters: dict[str, Any]
    machine: dict[str, Any]


def capacity(
    events: Annotated[int, typer.Option("--events", min=1000, help="How many are measured.")] = 5_000_000,
    warm_up: Annotated[
        int, typer.Option("--warm-up", min=0, help="How many before them are not.")
    ] = 5_000_000,
    users: Annotated[int, typer.Option("--users", min=100, help="Who make them.")] = 100_000,
    seed: Annotated[int, typer.Option("--seed", help="Of the generated traffic.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Measure how many events a second all of it takes, and the processor time of a million.

    Starts broker, Redis, sieve, main job and writer of sequences in a temporary folder and removes them
    afterwards.

    Example: python -m benchmarks capacity --events 2000000 --json | jq .counted_cpu_s_per_million
    """
    with own_stack(load_settings()) as stack:
        settings = started_up(stack, _COMPONENTS)
        with progress() as shown:
            bar = shown.add_task("warming up", total=None)
            if warm_up:
                _Round(settings, warm_up, users, seed).run()
            shown.update(bar, description="measuring")
            found = _Round(settings, events, users, seed + 1).run()
    if as_json:
        print_json(found)
    else:
        _show(found)


class _Round:
    """So many events of one seed, sent and waited for."""

    def __init__(self, settings: Settings, events: int, users: int, seed: int) -> None:
        self._settings = settings
        self._shape = Shape(users=users, rate_per_s=_RATE_PER_S, seconds=events / _RATE_PER_S, seed=seed)
        self._now_ms = int(time.time() * 1000)
        self._sent = 0

    def run(self) -> Capacity:
        """Send them, wait until they are read, and say what that took."""
        settings, usage = self._settings, Usage(self._settings.work_dir)
        background = Background(self._shape, self._now_ms - int(self._shape.seconds * 1000))
        usage.begin()
        begun_s = time.monotonic()
        asyncio.run(self._send(background))
        sent_s = time.monotonic() - begun_s
        self._wait_written()
        # Last, since Flink's answers cost the main job more than Redis's cost Redis.
        Rest(settings.flink_port).wait_watermark(self._now_ms - settings.watermark_bound_ms - 1, _PATIENCE_S)
        all_s = time.monotonic() - begun_s
        usage.end()
        per_million = {name: used_s / self._sent * 1e6 for name, used_s in usage.cpu_s().items()}
        return Capacity(
            events=self._sent,
            active_hours=background.new_panes,
            sent_s=sent_s,
            all_s=all_s,
            events_per_s=self._sent / all_s,
            of_target=self._sent / all_s / TARGET_PER_S,
            cpu_s_per_million=per_million,
            counted_cpu_s_per_million=sum(per_million[name] for name in COUNTED),
            parameters=msgspec.to_builtins(self._shape) | {"parallelism": settings.parallelism},
            machine=machine(),
        )

    async def _send(self, background: Background) -> None:
        async with connected(self._settings.bootstrap_servers) as producer:
            for number, step in enumerate(background.steps(), 1):
                for record in step.records:
                    await producer.add(*record)
                self._sent += len(step.records)
                if number % _FLUSH_EVERY == 0:
                    await producer.flush()
            await producer.flush(wait=True)
            await self._mark(producer)

    async def _mark(self, producer: Producer) -> None:
        """What shows in Redis once all before it is there, and a tick for event time, in every partition."""
        for number, user_id in enumerate(markers(self._shape.seed)):
            for topic in EVENT_TOPICS:
                event = Login(event_id=topic.name, tenant=TENANT, user_id=user_id, ts=self._now_ms)
                await producer.add(topic.name, number, event.key.encode(), encode(event))
        await producer.put(Outgoing(self._now_ms, None, None, encode(Tick(ts=self._now_ms))))
        await producer.flush(wait=True)

    def _wait_written(self) -> None:
        end_s = time.monotonic() + _PATIENCE_S
        with redis.Redis.from_url(self._settings.redis_url) as client:
            for partition, user_id in enumerate(markers(self._shape.seed)):
                while held(client, f"{TENANT}/{user_id}".encode()) < len(EVENT_TOPICS):
                    if time.monotonic() > end_s:
                        raise UnavailableError(f"partition {partition} is not in Redis yet")
                    time.sleep(_POLL_S)  # Redis tells nobody that a key has come


def markers(seed: int) -> list[str]:
    """A user for each partition: once Redis has their events, it has all that was sent before.

    >>> [partition_of(f"{TENANT}/{user_id}".encode()) for user_id in markers(1)]
    [0, 1, 2, 3, 4, 5, 6, 7]
    """
    found: dict[int, str] = {}
    for number in count():
        if len(found) == PARTITIONS:
            break
        user_id = f"mark-{seed}-{number}"
        found.setdefault(partition_of(f"{TENANT}/{user_id}".encode()), user_id)
    return [found[partition] for partition in range(PARTITIONS)]


def _show(found: Capacity) -> None:
    out.print(
        f"{found.events:,} events in {found.all_s:.1f} s: [bold]{found.events_per_s:,.0f} a second[/], "
        f"{found.of_target:.1f} times a billion a day, on {found.machine['cores']} cores"
    )
    out.print(f"sent after {found.sent_s:.1f} s; {found.active_hours:,} active hours of users among them")
    table = Table("component", "s of processor time for a million events", box=None, pad_edge=False)
    table.columns[1].justify = "right"
    for name, used_s in sorted(found.cpu_s_per_million.items(), key=lambda pair: -pair[1]):
        table.add_row(name, f"{used_s:.1f}")
    table.add_row("[bold]together[/]", f"[bold]{found.counted_cpu_s_per_million:.1f}[/]")
    out.print(table)
