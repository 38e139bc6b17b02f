"""Redis: what joins outcomes to decisions, whichever of the two comes first.

| key | type | what it holds | until |
| --- | --- | --- | --- |
| `about:<decision_id>` | string | what a decision was about; of copies the first | 180 days |
| `outcome:<tenant>/<outcome_id>` | string | a digest of the outcome, then ` published` behind it | 365 days |
| `waiting:<decision_id>` | hash | outcomes without a decision, as dead letters, by their place | deadline |
| `waiting` | sorted set | the same, by their deadline (epoch ms) | deadline |
| `outcomes:offsets` | hash | the next offset of each partition, written last | |

The offsets lie with the state: a Redis that lost its data, or came back with those of last hour (it is
another run then), sends the agent back to where its state ends, and what it then does again gives the same
records under the same keys.
Every call may be repeated.
"""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any, Protocol
from uuid import uuid4

import msgspec
import redis.asyncio
from aiokafka import TopicPartition
from msgspec import Struct

from schemas.codec import encode
from schemas.feedback import About

DAY_S = 86_400
ABOUT_DAYS = 180
"""How long after its decision an outcome finds it."""
OUTCOME_DAYS = 365
"""How long a copy is known for one: as long as `outcomes` keeps the original."""
_PUBLISHED = " published"
_OFFSETS = "outcomes:offsets"
_WAITING = "waiting"
_RETRY_S = 1.0
_IDENTITY = """
redis.call('HSETNX', KEYS[1], 'made', ARGV[1])
return string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') .. redis.call('HGET', KEYS[1], 'made')
"""
_ADVANCE = """
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local made = redis.call('HGET', KEYS[1], 'made')
if run .. (made or '') ~= ARGV[1] then return 0 end
for i = 2, #ARGV, 3 do
  if (redis.call('HGET', KEYS[1], ARGV[i]) or '0') ~= ARGV[i + 1] then return 0 end
end
for i = 2, #ARGV, 3 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 2]) end
return 1
"""

logger = logging.getLogger(__name__)
_about = msgspec.json.Decoder(About)


class Parked(Struct, frozen=True):
    """An outcome that waits: for which decision, where it lies on its topic, and its dead letter."""

    decision_id: str
    place: str
    letter: bytes


class Claimed(Struct, frozen=True):
    """Whether an outcome is the one that holds its id, and whether that one has been published."""

    ours: bool
    published: bool


class Joins(Protocol):
    """What the agent asks of its store. Each call may be repeated, and waits until it is answered."""

    async def learn(self, about: About) -> About:
        """Keep what a decision is about, and give what is kept: of copies the first."""
        ...

    async def about(self, decision_id: str) -> About | None:
        """What a decision is about, if it has come."""
        ...

    async def claim(self, key: str, digest: str) -> Claimed:
        """Have the outcome `key` stand for the content `digest`, unless it stands for another."""
        ...

    async def published(self, key: str, digest: str) -> None:
        """The broker has acknowledged it."""
        ...

    async def park(self, one: Parked, until_ms: int) -> None:
        """Let an outcome wait; one that waits already keeps its deadline."""
        ...

    async def parked(self, decision_id: str) -> list[Parked]:
        """The outcomes that wait for a decision."""
        ...

    async def overdue(self, now_ms: int) -> list[Parked]:
        """Some of those whose time is over."""
        ...

    async def unpark(self, many: Iterable[Parked]) -> None:
        """They wait no longer."""
        ...


class RedisJoins:
    """`Joins`, and the agent's offsets, in Redis; for one event loop."""

    def __init__(self, url: str, timeout_s: float = 5.0) -> None:
        self._url = url
        self._redis = redis.asyncio.Redis.from_url(
            url, decode_responses=True, socket_timeout=timeout_s, socket_connect_timeout=timeout_s
        )
        self._written: dict[TopicPartition, int] = {}
        self._identity = ""

    async def learn(self, about: About) -> About:
        """Keep what a decision is about, and give what is kept: of copies the first."""
        key = f"about:{about.decision_id}"
        await self._call("SET", key, encode(about), "NX", "EX", ABOUT_DAYS * DAY_S)
        return await self.about(about.decision_id) or about

    async def about(self, decision_id: str) -> About | None:
        """What a decision is about, if it has come."""
        found = await self._call("GET", f"about:{decision_id}")
        return None if found is None else _about.decode(found)

    async def claim(self, key: str, digest: str) -> Claimed:
        """Have the outcome `key` stand for the content `digest`, unless it stands for another."""
        await self._call("SET", f"outcome:{key}", digest, "NX", "EX", OUTCOME_DAYS * DAY_S)
        there = str(await self._call("GET", f"outcome:{key}") or digest)
        return Claimed(there.removesuffix(_PUBLISHED) == digest, there.endswith(_PUBLISHED))

    async def published(self, key: str, digest: str) -> None:
        """The broker has acknowledged it."""
        await self._call("SET", f"outcome:{key}", digest + _PUBLISHED, "EX", OUTCOME_DAYS * DAY_S)

    async def park(self, one: Parked, until_ms: int) -> None:
        """Let an outcome wait; one that waits already keeps its deadline."""
        await self._call("HSET", f"waiting:{one.decision_id}", one.place, one.letter)
        await self._call("ZADD", _WAITING, "NX", until_ms, _member(one))

    async def parked(self, decision_id: str) -> list[Parked]:
        """The outcomes that wait for a decision."""
        found: dict[str, str] = await self._call("HGETALL", f"waiting:{decision_id}")
        return [Parked(decision_id, place, letter.encode()) for place, letter in found.items()]

    async def overdue(self, now_ms: int) -> list[Parked]:
        """Some of those whose time is over."""
        members = await self._call("ZRANGEBYSCORE", _WAITING, "-inf", now_ms, "LIMIT", 0, 100)
        found = []
        for member in members:
            decision_id, place = member.split("\n")
            letter = await self._call("HGET", f"waiting:{decision_id}", place)
            found.append(Parked(decision_id, place, (letter or "").encode()))
        return found

    async def unpark(self, many: Iterable[Parked]) -> None:
        """They wait no longer."""
        for one in many:
            await self._call("HDEL", f"waiting:{one.decision_id}", one.place)
            await self._call("ZREM", _WAITING, _member(one))

    async def load(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Where each of our partitions is to be read from; 0 where nothing is known of it."""
        self._identity = await self._call("EVAL", _IDENTITY, 1, _OFFSETS, uuid4().hex)
        self._written = {one: int(await self._call("HGET", _OFFSETS, _name(one)) or 0) for one in partitions}
        return dict(self._written)

    async def advance(self, offsets: dict[TopicPartition, int]) -> bool:
        """Write `offsets`; False where Redis is no longer the one that was written to, for any partition."""
        known = dict(self._written)
        after = known | {one: offset for one, offset in offsets.items() if one in known}
        words = [word for one in known for word in (_name(one), known[one], after[one])]
        if words and not await self._call("EVAL", _ADVANCE, 1, _OFFSETS, self._identity, *words):
            return False
        if self._written == known:  # else partitions were given away meanwhile
            self._written = after
        return True

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def _call(self, *words: str | int | bytes) -> Any:
        while True:
            try:
                return await self._redis.execute_command(*words)
            except (redis.RedisError, OSError) as error:
                await self._wait(error)

    async def _wait(self, error: Exception) -> None:
        logger.warning("Redis at %s does not answer, trying again: %s", self._url, error)
        await asyncio.sleep(_RETRY_S)


def _name(partition: TopicPartition) -> str:
    return f"{partition.topic}-{partition.partition}"


def _member(one: Parked) -> str:
    return f"{one.decision_id}\n{one.place}"
