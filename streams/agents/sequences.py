"""The writer of the sequences: packs of events into Redis.

It is a process of its own, so that a Redis that is away delays readers and no decision: a pack waits and is
tried again for ever, and what comes after it waits on its topic. What a restart writes again changes nothing.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

import msgspec

from schemas.errors import UnavailableError
from schemas.pack import Pack
from streams.agents.agent import Received
from streams.flow import Out

FIRST_WAIT_S, LONGEST_WAIT_S = 0.1, 5.0
PACKS_AHEAD = 4
"""A pack may hold megabytes."""

logger = logging.getLogger(__name__)
_packs = msgspec.json.Decoder(Pack)


class Writer(Protocol):
    """Writes packs, as `SequenceWriter` does."""

    def write(self, pack: Pack) -> None:
        """Write a pack, or raise UnavailableError."""


async def written(
    writer: Writer, received: Received, wait: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> AsyncIterator[list[Out]]:
    """Writes a pack, however long Redis is away, and gives nothing to publish; `wait` gets seconds."""
    pack = _packs.decode(received.value or b"")
    wait_s = FIRST_WAIT_S
    while True:
        try:
            await asyncio.to_thread(writer.write, pack)
            break
        except UnavailableError as error:
            logger.warning("%s; trying again in %.1f s", error, wait_s)
            await wait(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)
    yield []
