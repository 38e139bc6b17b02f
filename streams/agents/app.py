"""The composer's process: from `crossings` to `decisions` and, what is sent, `interventions`.

On aiokafka itself. Faust 0.15.3 was measured on this path: of 1,300 crossings it lost one at a start under
load (what it has fetched when partitions are assigned anew it drops, and then commits over the gap), and
its hop took 2.9 ms at p50 and 8.7 ms at p99 where aiokafka's took 1.6 and 4.5, at 100 records/s.

Several crossings are worked on at once. An offset is committed when everything up to it has been
published: what a crash leaves undone is done again and gives the same id.
"""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from schemas.codec import encode
from schemas.deadletter import DeadLetter
from schemas.decision import Crossing, Decision
from schemas.errors import HoldfastError, UnavailableError
from schemas.topics import CROSSINGS, DECISIONS, INTERVENTIONS, REJECTED
from schemas.vocabulary import Outcome
from streams.agents import COMPOSER_GROUP
from streams.agents.composer import Composer
from streams.settings import Settings
from streams.store import UserStore

DECISIONS_GROUP = "holdfast-latest-decision"
AT_ONCE = 16
"""Crossings that are composed at the same time."""
_SESSION_MS = 10_000  # after a crash nobody takes over before it has passed
_COMMIT_S, _RETRY_S, _FINISH_S = 0.5, 1.0, 5.0
_KEEP_BATCH, _KEEP_TIMEOUT_S = 500, 2.0

logger = logging.getLogger(__name__)

_crossings = msgspec.json.Decoder(Crossing)


class Progress:
    """How far each partition is done, where several records of it are worked on at once."""

    def __init__(self) -> None:
        self._under_way: dict[TopicPartition, set[int]] = {}
        self._next: dict[TopicPartition, int] = {}

    def begin(self, partition: TopicPartition, offset: int) -> None:
        """Work on a record begins; its offsets come in order."""
        self._under_way.setdefault(partition, set()).add(offset)
        self._next[partition] = offset + 1

    def end(self, partition: TopicPartition, offset: int) -> None:
        """Work on a record is done. That of a partition which was given away counts for nothing."""
        self._under_way.get(partition, set()).discard(offset)

    def forget(self, partitions: Iterable[TopicPartition]) -> None:
        """The partitions are given away."""
        for partition in partitions:
            self._under_way.pop(partition, None)
            self._next.pop(partition, None)

    def offsets(self) -> dict[TopicPartition, int]:
        """The first offset of each partition that is not done."""
        return {at: min(self._under_way[at], default=after) for at, after in self._next.items()}


class App(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """The composer between its topics."""

    def __init__(self, settings: Settings, composer: Composer) -> None:
        self._composer = composer
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=settings.bootstrap_servers,
            group_id=COMPOSER_GROUP,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=_SESSION_MS,
            max_partition_fetch_bytes=CROSSINGS.max_bytes,
        )
        # Without idempotence: after a long outage its numbering would not let the producer go on.
        self._producer = AIOKafkaProducer(
            bootstrap_servers=settings.bootstrap_servers, acks="all", max_request_size=REJECTED.max_bytes
        )
        self._progress = Progress()
        self._committed: dict[TopicPartition, int] = {}
        self._working: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Composes until it is cancelled."""
        committing = None
        try:
            await self._producer.start()
            self._consumer.subscribe([CROSSINGS.name], listener=self)
            await self._consumer.start()
            committing = asyncio.create_task(self._commit_for_ever())
            await self._consume()
        finally:
            if committing is not None:
                committing.cancel()
                await self._finish()
            await self._consumer.stop()
            await self._producer.stop()

    async def _consume(self) -> None:
        free = asyncio.Semaphore(AT_ONCE)

        def done(task: asyncio.Task[None]) -> None:
            self._working.discard(task)
            free.release()

        async for record in self._consumer:
            await free.acquire()
            self._progress.begin(TopicPartition(record.topic, record.partition), record.offset)
            task = asyncio.create_task(self._handle(record))
            self._working.add(task)
            task.add_done_callback(done)

    async def _handle(self, record: Any) -> None:
        try:
            decision = await self._composer.compose(_crossings.decode(record.value or b""))
        except Exception as error:  # whatever is wrong with one crossing, the others go on
            logger.error("a crossing cannot be composed: %r", error)
            await self._publish({REJECTED.name: encode(_dead(record, error))}, record.key)
        else:
            published = encode(decision)
            await self._publish(dict.fromkeys(_topics(decision), published), record.key)
        self._progress.end(TopicPartition(record.topic, record.partition), record.offset)

    async def _publish(self, records: dict[str, bytes], key: bytes | None) -> None:
        """Publishes all of them, through every outage of the broker."""
        while True:
            try:
                sent = [await self._producer.send(topic, value, key=key) for topic, value in records.items()]
                await asyncio.gather(*sent)
                return
            except KafkaError as error:
                logger.warning("cannot publish, trying again: %r", error)
                await asyncio.sleep(_RETRY_S)

    async def _commit_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_COMMIT_S)
            await self._commit()

    async def _commit(self) -> None:
        offsets = self._progress.offsets()
        if offsets and offsets != self._committed:
            try:
                await self._consumer.commit(offsets)
                self._committed = offsets
            except KafkaError as error:  # what is not committed is done again, under the same ids
                logger.warning("cannot commit: %r", error)

    async def _finish(self) -> None:
        """What is under way is brought to its end, or left to whoever comes next."""
        if self._working:
            await asyncio.wait(self._working, timeout=_FINISH_S)
        await self._commit()

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Partitions are about to go to another composer, or to come back."""
        await self._finish()
        self._progress.forget(revoked)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """They begin where the last commit stands."""
        self._committed = {}


async def keep_decisions(settings: Settings) -> None:
    """Copies each user's latest decision to Redis until cancelled. An outage of Redis delays nobody else."""
    store = UserStore(settings.redis_url, timeout_s=_KEEP_TIMEOUT_S)
    consumer = AIOKafkaConsumer(
        DECISIONS.name,
        bootstrap_servers=settings.bootstrap_servers,
        group_id=DECISIONS_GROUP,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=_SESSION_MS,
    )
    try:
        await consumer.start()
        async for latest in _batches(consumer):
            await _until_available(partial(store.put_decisions, latest))
            try:
                await consumer.commit()
            except KafkaError as error:  # they are written again, which changes nothing
                logger.warning("cannot commit: %r", error)
    finally:
        await consumer.stop()
        await store.close()


async def _batches(consumer: AIOKafkaConsumer) -> AsyncIterator[dict[str, bytes]]:
    while True:
        found = await consumer.getmany(timeout_ms=1000, max_records=_KEEP_BATCH)
        records = [record for of_partition in found.values() for record in of_partition]
        if records:
            yield {r.key.decode(): r.value for r in records if r.key is not None and r.value is not None}


async def _until_available(write: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            return await write()
        except UnavailableError as error:
            logger.warning("%s", error)
            await asyncio.sleep(_RETRY_S)


async def serve(settings: Settings, composer: Composer) -> None:
    """Composes, and keeps the latest decisions, until SIGTERM or SIGINT.

    Raises:
        UnavailableError: the broker is not there, or is lost for good.
    """
    try:
        await composer.warm_up()
    except HoldfastError as error:
        logger.warning("scripts come from templates for now: %s", error)
    tasks = [
        asyncio.create_task(App(settings, composer).run()),
        asyncio.create_task(keep_decisions(settings)),
    ]
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: [task.cancel() for task in tasks])
    try:
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks)
    except KafkaError as error:
        raise UnavailableError(f"Kafka at {settings.bootstrap_servers} does not answer: {error}") from error
    finally:
        for task in tasks:
            if not task.cancelling():  # a second time would break off what it still has to finish
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _topics(decision: Decision) -> list[str]:
    sent = decision.outcome is Outcome.SENT
    return [DECISIONS.name, INTERVENTIONS.name] if sent else [DECISIONS.name]


def _dead(record: Any, error: Exception) -> DeadLetter:
    return DeadLetter(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        append_ms=record.timestamp,
        field="record",
        reason=str(error) or repr(error),
        key=record.key,
        value=record.value,
    )
