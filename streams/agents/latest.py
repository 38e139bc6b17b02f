"""Copies each user's latest decision from its topic to Redis, for readers."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from schemas.errors import UnavailableError
from schemas.topics import DECISIONS
from streams.agents.agent import SESSION_MS
from streams.settings import Settings
from streams.store import UserStore

GROUP = "holdfast-latest-decision"
_BATCH, _TIMEOUT_S, _RETRY_S = 500, 2.0, 1.0

logger = logging.getLogger(__name__)


async def keep_decisions(settings: Settings) -> None:
    """Copies each user's latest decision to Redis until cancelled. An outage of Redis delays nobody else."""
    store = UserStore(settings.redis_url, timeout_s=_TIMEOUT_S)
    consumer = AIOKafkaConsumer(
        DECISIONS.name,
        bootstrap_servers=settings.bootstrap_servers,
        group_id=GROUP,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=SESSION_MS,
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
        found = await consumer.getmany(timeout_ms=1000, max_records=_BATCH)
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
