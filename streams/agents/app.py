"""The composer's Faust app: from `crossings` to `decisions` and, what is sent, `interventions`.

A crossing is acknowledged once its decision has been published: what a crash leaves undone is done
again and gives the same id. Several are worked on at once, as long as their offsets' gap is bounded.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import faust
import msgspec
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from schemas.codec import encode
from schemas.deadletter import DeadLetter
from schemas.decision import Crossing, Decision
from schemas.errors import HoldfastError, UnavailableError
from schemas.topics import CROSSINGS, DECISIONS, INTERVENTIONS, REJECTED, Topic
from schemas.vocabulary import Outcome
from streams.agents.composer import Composer
from streams.settings import Settings
from streams.store import UserStore

GROUP = "holdfast-composer"
DECISIONS_GROUP = "holdfast-latest-decision"
AT_ONCE = 16
"""Crossings that are composed at the same time."""
_KEEP_BATCH, _KEEP_TIMEOUT_S = 500, 2.0
_RETRY_S = 1.0

logger = logging.getLogger(__name__)

_crossings = msgspec.json.Decoder(Crossing)


def build(settings: Settings, composer: Composer) -> faust.App:
    """The app; nothing is connected before it runs."""
    app = faust.App(
        GROUP,
        broker=[f"kafka://{server}" for server in settings.bootstrap_servers.split(",")],
        datadir=str(settings.work_dir / "agents"),
        store="memory://",
        web_enabled=False,
        stream_wait_empty=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        broker_session_timeout=10,  # after a crash nobody takes over before it has passed
        producer_max_request_size=REJECTED.max_bytes,
        consumer_max_fetch_size=CROSSINGS.max_bytes,
        worker_redirect_stdouts=False,
    )
    decisions, interventions, rejected = (_raw(app, topic) for topic in (DECISIONS, INTERVENTIONS, REJECTED))

    async def publish(decision: Decision) -> None:
        key, record = f"{decision.tenant}/{decision.user_id}".encode(), encode(decision)
        sent = [await decisions.send(key=key, value=record)]
        if decision.outcome is Outcome.SENT:
            sent.append(await interventions.send(key=key, value=record))
        await asyncio.gather(*sent)

    async def handle(event: Any) -> None:
        try:
            await publish(await composer.compose(_crossings.decode(event.value)))
        except msgspec.DecodeError as error:
            logger.error("a crossing cannot be read: %s", error)
            await (await rejected.send(key=event.key, value=encode(_dead(event.message, error))))
        event.ack()

    async def compose(stream: Any) -> None:
        free = asyncio.Semaphore(AT_ONCE)
        working: set[asyncio.Task[None]] = set()

        def done(task: asyncio.Task[None]) -> None:
            working.discard(task)
            free.release()
            if not task.cancelled() and (error := task.exception()) is not None:
                # It stays unacknowledged: the app ends, and begins again from there.
                logger.error("a crossing cannot be composed", exc_info=error)
                app.loop.create_task(app.crash(error))

        async for event in stream.noack().events():
            await free.acquire()
            task = asyncio.create_task(handle(event))
            working.add(task)
            task.add_done_callback(done)

    app.agent(_raw(app, CROSSINGS), name="compose")(compose)

    async def warm_up() -> None:
        try:
            await composer.warm_up()
        except HoldfastError as error:
            logger.warning("scripts come from templates for now: %s", error)

    async def keep_latest() -> None:
        await keep_decisions(settings)

    app.task(warm_up)
    app.task(keep_latest)
    return app


async def keep_decisions(settings: Settings) -> None:
    """Copies each user's latest decision to Redis, for ever. An outage of Redis delays nobody else."""
    store = UserStore(settings.redis_url, timeout_s=_KEEP_TIMEOUT_S)
    consumer = AIOKafkaConsumer(
        DECISIONS.name,
        bootstrap_servers=settings.bootstrap_servers,
        group_id=DECISIONS_GROUP,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        async for latest in _batches(consumer):
            while True:
                try:
                    await store.put_decisions(latest)
                    break
                except UnavailableError as error:
                    logger.warning("%s", error)
                    await asyncio.sleep(_RETRY_S)
            try:
                await consumer.commit()
            except KafkaError as error:  # they are written again, which changes nothing
                logger.warning("cannot commit: %s", error)
    finally:
        await consumer.stop()
        await store.close()


async def _batches(consumer: AIOKafkaConsumer) -> AsyncIterator[dict[str, bytes]]:
    while True:
        found = await consumer.getmany(timeout_ms=1000, max_records=_KEEP_BATCH)
        records = [record for of_partition in found.values() for record in of_partition]
        if records:
            yield {r.key.decode(): r.value for r in records if r.key is not None and r.value is not None}


def _raw(app: faust.App, topic: Topic) -> Any:
    return app.topic(
        topic.name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw"
    )


def _dead(message: Any, error: Exception) -> DeadLetter:
    return DeadLetter(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        append_ms=int(message.timestamp * 1000),
        field="record",
        reason=str(error),
        key=message.key,
        value=message.value,
    )
