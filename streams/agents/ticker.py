"""Carries event time on where no event does: a tick every 0.4 s into each partition, one after the other.

It begins when the first live record is seen, one without a replay's mark, and then goes on: event time has
reached the present by then, so nothing that a later replay brings could be made late by a tick. Before, it
stays silent: the present time among a history would make all of the past late. Only in that time are
records read, the last of each partition that grew; under live load nothing is.
"""

import asyncio
import logging
import sys
import time
from itertools import cycle
from typing import Any, NoReturn

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.codec import encode, parse
from schemas.errors import HoldfastError, RejectedEvent, UnavailableError
from schemas.events import Tick
from schemas.topics import EVENT_TOPICS, PARTITIONS, TICK_KEY
from streams.settings import load_settings
from streams.topics import ensure_topics

INTERVAL_S = 0.4
"""Between two ticks into the same partition. One partition after the other has its turn: event time is that
of the slowest, so it moves on with every turn, and few crossings are found at once."""
_LOOK_S = 1.0
_READ_S = 2.0

logger = logging.getLogger(__name__)

PLACES: tuple[TopicPartition, ...] = tuple(
    TopicPartition(topic.name, partition) for topic in EVENT_TOPICS for partition in range(topic.partitions)
)


class Watch:
    """Looks for a live record at the end of each partition, until there is one."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self._seen: dict[TopicPartition, int] = {}

    async def look(self) -> bool:
        """Whether a last record is live. What cannot be read in time is looked at again the next time."""
        ends: dict[TopicPartition, int] = await self._consumer.end_offsets(PLACES)
        grown = {place: end for place, end in ends.items() if end > self._seen.get(place, 0)}
        for place, end in grown.items():
            self._consumer.seek(place, end - 1)
        until_s = time.monotonic() + _READ_S
        while grown and (left_s := until_s - time.monotonic()) > 0:
            for place, records in (
                await self._consumer.getmany(*grown, timeout_ms=int(left_s * 1000))
            ).items():
                if any(is_live(record.value) for record in records):
                    return True
                self._seen[place] = grown.pop(place)
        return False


def is_live(value: bytes | None) -> bool:
    """Whether a record is of the present: an event or a tick, and not of a replay.

    >>> is_live(b'{"kind":"tick","ts":7}'), is_live(b'{"kind":"tick","ts":7,"replay":{"until":9}}')
    (True, False)
    """
    try:
        return parse(value).replay is None
    except RejectedEvent:
        return False


class Ticks:
    """Sends ticks into one partition of every topic of events."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer

    async def send(self, now_ms: int, partition: int) -> None:
        """Event time is `now_ms` (epoch ms) in the partitions of that number."""
        value = encode(Tick(ts=now_ms))
        sent: list[Any] = [
            await self._producer.send(topic.name, value, key=TICK_KEY, partition=partition)
            for topic in EVENT_TOPICS
        ]
        await asyncio.gather(*sent)


async def tick_for_ever(bootstrap_servers: str) -> NoReturn:
    """Ticks, through every outage of the broker that begins after the start.

    Raises:
        UnavailableError: the broker is not there at the start.
    """
    await asyncio.to_thread(ensure_topics, bootstrap_servers)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers, enable_auto_commit=False, auto_offset_reset="latest"
    )
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers, acks="all")
    try:
        await consumer.start()
        await producer.start()
    except (KafkaError, OSError) as error:
        raise UnavailableError(f"Kafka at {bootstrap_servers} does not answer: {error}") from error
    consumer.assign(PLACES)
    watch, ticks, live = Watch(consumer), Ticks(producer), False
    turns = cycle(range(PARTITIONS))
    while True:
        begun_s = time.monotonic()
        try:
            live = live or await watch.look()
            if live:
                await ticks.send(int(time.time() * 1000), next(turns))
        except (KafkaError, OSError) as error:
            logger.warning("no tick: %r", error)
        interval_s = INTERVAL_S / PARTITIONS if live else _LOOK_S
        await asyncio.sleep(max(0.0, begun_s + interval_s - time.monotonic()))


def main() -> None:
    """Ticks until the process is told to stop; exit status 1 where there is no broker."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it logs each attempt to connect
    try:
        uvloop.run(tick_for_ever(load_settings().bootstrap_servers))
    except HoldfastError as error:
        print(f"ticker: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
