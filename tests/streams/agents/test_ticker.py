"""When the ticker begins: with the first live record, and not during a replay."""

import asyncio
from dataclasses import dataclass, field

import pytest
from aiokafka import TopicPartition

from schemas.codec import encode
from schemas.events import Login, Replay, Tick
from schemas.topics import EVENT_TOPICS, TICK_KEY
from streams.agents.ticker import PLACES, Ticks, Watch, is_live

A, B = PLACES[0], PLACES[-1]
LIVE = encode(Login(event_id="e1", tenant="acme", user_id="u1", ts=5))
PAST = encode(Login(event_id="e2", tenant="acme", user_id="u1", ts=5, replay=Replay(until=9)))


@dataclass
class Record:
    value: bytes | None


@dataclass
class Log:
    """What the watch asks of a consumer, on records in memory."""

    records: dict[TopicPartition, list[bytes | None]] = field(default_factory=dict)
    positions: dict[TopicPartition, int] = field(default_factory=dict)
    read: list[tuple[TopicPartition, int]] = field(default_factory=list)

    async def end_offsets(self, places: tuple[TopicPartition, ...]) -> dict[TopicPartition, int]:
        return {place: len(self.records.get(place, ())) for place in places}

    def seek(self, place: TopicPartition, offset: int) -> None:
        self.positions[place] = offset

    async def getmany(self, *places: TopicPartition, timeout_ms: int) -> dict[TopicPartition, list[Record]]:
        place = places[0]  # a consumer gives what it has, and the rest when it is asked again
        self.read.append((place, self.positions[place]))
        return {place: [Record(value) for value in self.records[place][self.positions[place] :]]}


async def test_empty_topics_are_not_live() -> None:
    assert not await Watch(Log()).look()


async def test_only_the_last_record_of_each_partition_that_grew_is_read_and_once() -> None:
    log = Log({A: [PAST, PAST, PAST], B: [PAST]})
    watch = Watch(log)
    assert not await watch.look()
    assert log.read == [(A, 2), (B, 0)]
    assert not await watch.look()
    assert log.read == [(A, 2), (B, 0)], "nothing has grown"
    log.records[B].append(PAST)
    assert not await watch.look()
    assert log.read[2:] == [(B, 1)]


async def test_a_live_record_at_the_end_of_any_partition_is_enough() -> None:
    log = Log({A: [PAST], B: [PAST]})
    watch = Watch(log)
    assert not await watch.look()
    log.records[B].append(LIVE)
    assert await watch.look()


@pytest.mark.parametrize(
    ("value", "live"),
    [
        (LIVE, True),
        (PAST, False),
        (encode(Tick(ts=7)), True),  # after a restart: ticks were sent already
        (encode(Tick(ts=7, replay=Replay(until=9))), False),
        (b"\xff", False),
        (None, False),
    ],
)
def test_what_is_of_the_present(value: bytes | None, live: bool) -> None:
    assert is_live(value) is live


async def test_a_tick_goes_into_one_partition_of_every_topic_of_events() -> None:
    sent: list[tuple[str, int, bytes]] = []

    class Producer:
        async def send(self, topic: str, value: bytes, key: bytes, partition: int) -> asyncio.Future[None]:
            assert key == TICK_KEY, "a compacted topic takes no record without a key"
            sent.append((topic, partition, value))
            done = asyncio.get_running_loop().create_future()
            done.set_result(None)
            return done

    await Ticks(Producer()).send(7, partition=3)
    assert sent == [(topic.name, 3, encode(Tick(ts=7))) for topic in EVENT_TOPICS]
