"""The process between the topics of events and the main job: a sieve at work.

It reads batches, and waits until the broker has all that came of one before it begins the next: so ticks
never overtake what was sent before them, and an offset is committed when everything up to it has gone on.
What a crash leaves uncommitted goes on once more, and changes nothing.
"""

import asyncio
import gc
import logging
import time
from collections.abc import Mapping, Sequence
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from schemas.codec import Record, encode
from schemas.topics import BURSTS, EVENT_TOPICS, REJECTED, SEQUENCES
from streams.agents import SIEVE_GROUP
from streams.agents.agent import SESSION_MS
from streams.flow import Out
from streams.producer import BATCH_BYTES, Producer
from streams.settings import Settings
from streams.sieve import Sieve

_AT_ONCE = 30_000
_FETCH_BYTES, _FETCH_WAIT_MS = 100_000, 50
"""A batch is as large as this, or what came within so long."""
_GARBAGE = 200_000, 50, 1000
"""A batch is tens of thousands of objects, none in a cycle: looking for some took an eighth of all."""
_COMMIT_S, _RETRY_S, _POLL_MS = 0.5, 1.0, 500

logger = logging.getLogger(__name__)
Batch = Mapping[TopicPartition, Sequence[Record]]


def clients(settings: Settings) -> tuple[AIOKafkaConsumer, AIOKafkaProducer]:
    """What a sifter reads and publishes with; for the event loop that runs."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap_servers,
        group_id=SIEVE_GROUP,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=SESSION_MS,
        fetch_min_bytes=_FETCH_BYTES,
        fetch_max_wait_ms=_FETCH_WAIT_MS,
        max_partition_fetch_bytes=max(topic.max_bytes for topic in EVENT_TOPICS),
    )
    client = AIOKafkaProducer(
        bootstrap_servers=settings.bootstrap_servers,
        acks="all",
        max_batch_size=BATCH_BYTES,
        max_request_size=REJECTED.max_bytes,
    )
    return consumer, client


class Sifter(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Sifts all events that come, for as long as it runs."""

    def __init__(self, consumer: AIOKafkaConsumer, client: AIOKafkaProducer) -> None:
        self._consumer = consumer
        self._client = client
        self._producer = Producer(self._client)
        self._sieve = Sieve()
        self._source = uuid4().hex[:8].encode()
        """Key of its packs, which so keep their order."""
        self._done: dict[TopicPartition, int] = {}

    async def run(self) -> None:
        """Works until it is cancelled, through every outage of the broker that begins after the start."""
        gc.set_threshold(*_GARBAGE)
        try:
            await self._client.start()
            self._consumer.subscribe([topic.name for topic in EVENT_TOPICS], listener=self)
            await self._consumer.start()
            await self._sift_for_ever()
        finally:
            await self._commit()
            await self._consumer.stop()
            await self._client.stop()

    async def _sift_for_ever(self) -> None:
        committed_s = time.monotonic()
        while True:
            batch: Batch = await self._consumer.getmany(timeout_ms=_POLL_MS, max_records=_AT_ONCE)
            try:
                await self._hand_on(batch)
            except KafkaError as error:
                logger.warning("cannot publish, trying again: %r", error)
                await asyncio.sleep(_RETRY_S)
                self._begin_again(batch)
                continue
            self._done |= {place: records[-1].offset + 1 for place, records in batch.items()}
            if time.monotonic() > committed_s + _COMMIT_S:
                await self._commit()
                committed_s = time.monotonic()

    async def _hand_on(self, batch: Batch) -> None:
        sifted = self._sieve.sift((place.topic, place.partition, records) for place, records in batch.items())
        for topic, partition, record in sifted.passed:
            await self._producer.add(topic, partition, record.key, record.value, record.timestamp)
        packs = [Out(SEQUENCES.name, self._source, encode(pack)) for pack in sifted.packs]
        bursts = [Out(BURSTS.name, burst.key.encode(), encode(burst)) for burst in sifted.bursts]
        sent = [
            await self._client.send(topic, value, key=key)
            for topic, key, value in (*bursts, *packs, *sifted.rejected)
        ]
        await self._producer.flush(wait=True)
        await asyncio.gather(*sent)

    def _begin_again(self, batch: Batch) -> None:
        """What may not have been published is read again, and nothing of it counts as seen."""
        self._sieve = Sieve()
        ours = self._consumer.assignment()
        for place, records in batch.items():
            if place in ours:
                self._consumer.seek(place, records[0].offset)

    async def _commit(self) -> None:
        try:
            if self._done:
                await self._consumer.commit(self._done)
        except KafkaError as error:  # what is not committed is sifted again
            logger.warning("cannot commit: %r", error)

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """Partitions are about to go to another process, or to come back."""
        await self._commit()
        self._done = {}

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        """They begin where the last commit stands."""
