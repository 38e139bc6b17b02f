"""From the events' topics to the sequences in Redis."""

import asyncio
import time
from collections.abc import Iterable

import msgspec
import pytest
from kafka import KafkaProducer

from schemas.codec import encode
from schemas.errors import UnavailableError
from schemas.events import Event, Login, Replay, Tick, Usage
from schemas.pack import Pack
from schemas.risk import Burst
from schemas.topics import BURSTS, EVENT_TOPICS, LOGIN, PARTITIONS, SEQUENCES, TICK_KEY, USAGE
from streams.agents.agent import Received
from streams.agents.sequences import FIRST_WAIT_S, LONGEST_WAIT_S, written
from streams.consumer import Reader, Record, reading
from streams.embedded import Stack
from streams.flow import Out
from streams.settings import Settings
from streams.store import KEEP_MS, UserStore

T = 1_700_000_000_000
PORTS = {"broker_port": 19592, "controller_port": 19593, "redis_port": 19579}


def login(name: str, ts: int, user: str = "u1", until: int = T) -> Login:
    return Login(event_id=name, tenant="acme", user_id=user, ts=ts, replay=Replay(until=until))


class Away:
    """A Redis that does not answer for a while."""

    def __init__(self, failures: int) -> None:
        self._failures = failures
        self.written: list[Pack] = []

    def write(self, pack: Pack) -> None:
        if self._failures:
            self._failures -= 1
            raise UnavailableError("away")
        self.written.append(pack)


def test_a_pack_is_tried_until_redis_takes_it() -> None:
    pack = Pack(ticks={3: T})
    writer, waits = Away(9), list[float]()

    async def wait(seconds: float) -> None:
        assert writer.written == []
        waits.append(seconds)

    received = Received(SEQUENCES.name, b"source", encode(pack), T)

    async def told() -> list[Out]:
        return [out async for outs in written(writer, received, wait) for out in outs]

    assert asyncio.run(told()) == []
    assert writer.written == [pack]
    assert waits[0] == FIRST_WAIT_S and waits[-1] == LONGEST_WAIT_S and waits == sorted(waits)


@pytest.mark.real
def test_the_stream_keeps_30_days_and_tells_of_bursts_through_bad_records_and_an_outage_of_redis(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    settings = Settings(
        work_dir=tmp_path_factory.mktemp("sequences"),
        **PORTS,  # type: ignore[arg-type]  # each is an int
    )
    stack = Stack(settings)
    try:
        settings = stack.up(only=("broker", "redis", "sieve", "sequences"))
        producer = KafkaProducer(bootstrap_servers=settings.bootstrap_servers)

        def send(events: Iterable[Login]) -> None:
            for event in events:
                producer.send(LOGIN.name, key=event.key.encode(), value=encode(event))
            producer.send(LOGIN.name, key=b"acme/u1", value=b"no event")
            producer.flush()

        silent = [login(f"s{n}", T - KEEP_MS - n, "silent") for n in range(10)]
        heard = [login(f"e{n}", T - n * (KEEP_MS // 10)) for n in range(15)]
        send([*silent, *heard, *heard[:5]])
        wait_for(settings.redis_url, "acme/u1", 10)
        stack.down(only=("redis",))
        more = [login(f"m{n}", T - n - 1) for n in range(5)]
        send(more)
        tick = encode(Tick(ts=T, replay=Replay(until=T)))
        for topic in EVENT_TOPICS:
            for partition in range(PARTITIONS):
                producer.send(topic.name, key=TICK_KEY, value=tick, partition=partition)
        uses = [failure(n, user) for user, count in (("failing", 5), ("lucky", 2)) for n in range(count)]
        for use in uses:
            producer.send(USAGE.name, key=use.key.encode(), value=encode(use))
        producer.close()
        with reading(settings.bootstrap_servers, BURSTS) as reader:
            (notice,) = until_there(reader)
        assert notice.key == b"acme/failing"
        burst = msgspec.json.decode(notice.value or b"", type=Burst)
        assert [(use.event_id, use.ts) for use in burst.failures] == [(f"f{n}", T + n) for n in range(3)]
        assert (burst.event_id, burst.ts) == ("f2", T + 2)
        time.sleep(2)
        stack.up(only=("redis",))
        wait_for(settings.redis_url, "acme/silent", 0)
        found = wait_for(settings.redis_url, "acme/u1", 15)
        assert {event.event_id for event in found} == {e.event_id for e in [*heard[:10], *more]}
        wait_for(settings.redis_url, "acme/failing", 5)
    finally:
        stack.down(wipe=True)


def failure(number: int, user: str) -> Usage:
    return Usage(
        event_id=f"f{number}",
        tenant="acme",
        user_id=user,
        ts=T + number,
        feature="export",
        outcome="error",
        replay=Replay(until=T, compose=True),
    )


def until_there(reader: Reader) -> list[Record]:
    """What is on a topic, once it holds anything."""
    until_s = time.monotonic() + 120
    while not (found := list(reader.present())):
        assert time.monotonic() < until_s, "nothing came"
    return found


def wait_for(redis_url: str, key: str, count: int) -> list[Event]:
    """The user's events as of T, once there are `count`."""

    async def ask() -> list[Event]:
        store = UserStore(redis_url, timeout_s=5)
        try:
            return await store.read(key, T + 5)
        finally:
            await store.close()

    until_s = time.monotonic() + 120
    while len(found := asyncio.run(ask())) != count:
        assert time.monotonic() < until_s, f"{key} has {len(found)} events, not {count}"
        time.sleep(0.5)
    return found
