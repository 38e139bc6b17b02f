"""Sends a file's events to the topics: a history flat out, or live at the pace of its times.

Whole batches are built here and handed to the client, which is ten times as fast as one call a record.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import lru_cache

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2
from aiokafka.producer.message_accumulator import BatchBuilder
from msgspec import Struct

from schemas.errors import UnavailableError
from schemas.topics import EVENT_TOPICS, PARTITIONS, TICK_KEY
from streams.sending import Outgoing

BATCH_BYTES = 256 * 1024
_FLUSH_EVERY = 2000
_PACE_S = 0.01
"""At the pace of their times, records go out together with those of the next 10 ms, as from a client that
lingers: one request for each would cost the broker and its readers ten times as much."""


class Sent(Struct):
    """What was sent so far. `bad` are those that do not fit their schema; ticks count for nobody."""

    events: int = 0
    bad: int = 0
    elapsed_s: float = 0.0


Placed = tuple[str, int]


class Producer:
    """Batches of records for each partition of the events' topics, acknowledged by all replicas."""

    def __init__(self, client: AIOKafkaProducer) -> None:
        self._client = client
        self._batches: dict[Placed, BatchBuilder] = {}
        self._sending: list[asyncio.Future[object]] = []
        self._keyless = 0

    async def put(self, record: Outgoing) -> None:
        """Add a record to the batch of its partition; a tick goes to every partition."""
        if record.topic is None:
            for topic in EVENT_TOPICS:
                for partition in range(PARTITIONS):
                    await self.add(topic.name, partition, TICK_KEY, record.value)
            return
        if record.key is None:
            self._keyless += 1
        partition = self._keyless % PARTITIONS if record.key is None else partition_of(record.key)
        await self.add(record.topic, partition, record.key, record.value)

    async def add(
        self, topic: str, partition: int, key: bytes | None, value: bytes | None, stamp_ms: int | None = None
    ) -> None:
        """Add a record to the batch of a known partition; `stamp_ms` counts where the broker stamps none."""
        place = topic, partition
        batch = self._batches.get(place)
        if batch is not None and batch.append(timestamp=stamp_ms, key=key, value=value) is not None:
            return
        if batch is not None:
            await self._send(place, batch)
        batch = self._batches[place] = self._client.create_batch()
        batch.append(timestamp=stamp_ms, key=key, value=value)

    async def flush(self, wait: bool = False) -> None:
        """Send what is in the batches; wait for all that was sent, or only see to what has come back."""
        for place, batch in self._batches.items():
            await self._send(place, batch)
        self._batches = {}
        back = [sent for sent in self._sending if wait or sent.done()]
        self._sending = [sent for sent in self._sending if not wait and not sent.done()]
        await asyncio.gather(*back)

    async def _send(self, place: Placed, batch: BatchBuilder) -> None:
        topic, partition = place
        self._sending.append(await self._client.send_batch(batch, topic, partition=partition))


@lru_cache(maxsize=1_000_000)
def partition_of(key: bytes) -> int:
    """The partition of a key, as Kafka's default partitioner chooses it.

    >>> partition_of(b"acme/u1"), partition_of("acme/李雷".encode())
    (2, 2)
    """
    return int((murmur2(key) & 0x7FFFFFFF) % PARTITIONS)


@asynccontextmanager
async def connected(bootstrap_servers: str) -> AsyncIterator[Producer]:
    """A producer for the time of the block.

    Raises:
        UnavailableError: the broker does not answer, or stops answering.
    """
    client = AIOKafkaProducer(
        bootstrap_servers=bootstrap_servers, acks="all", enable_idempotence=True, max_batch_size=BATCH_BYTES
    )
    try:
        await client.start()
        yield Producer(client)
    except (KafkaError, OSError) as error:
        raise UnavailableError(f"Kafka at {bootstrap_servers} does not answer: {error}") from error
    finally:
        await client.stop()


async def send(
    bootstrap_servers: str,
    records: Iterable[Outgoing],
    speed: float | None = None,
    on_progress: Callable[[Sent], None] | None = None,
) -> Sent:
    """Send `records`, `speed` times as fast as their moments tell; flat out where `speed` is None.

    Raises:
        UnavailableError: the broker does not answer, or stops answering.
    """
    sent, begun_s = Sent(), time.monotonic()

    def tell() -> None:
        sent.elapsed_s = time.monotonic() - begun_s
        if on_progress is not None:
            on_progress(sent)

    async with connected(bootstrap_servers) as producer:
        first: float | None = None
        for number, record in enumerate(records, 1):
            first = record.moment if first is None else first
            if speed is not None:
                due_s = begun_s + (record.moment - first) / 1000 / speed
                if due_s > time.monotonic():
                    await producer.flush(wait=True)
                    tell()
                    await asyncio.sleep(max(_PACE_S, due_s - time.monotonic()))
            await producer.put(record)
            if record.topic is not None:
                sent.events += record.good
                sent.bad += not record.good
            if number % _FLUSH_EVERY == 0:
                await producer.flush()
                tell()
        await producer.flush(wait=True)
    tell()
    return sent
