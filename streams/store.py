"""Redis: the last 30 days of each user, for those who read them near a decision.

| key | type | what it holds |
| --- | --- | --- |
| `seq:<tenant>/<user_id>` | sorted set | one member an event, score = its `ts` (epoch ms) |
| `account:<tenant>/<user_id>` | string | the account event with the highest `ts` |
| `decision:<tenant>/<user_id>` | string | the latest decision record |
| `seq:newest:<partition>` | sorted set | `<tenant>/<user_id>` by the `ts` of its newest event |

A member is the event as compact JSON without `tenant` and `user_id`, which the key states, and without
`replay`. Writing an event again therefore changes nothing, in whatever order events come. An event that
comes again with the same `event_id` and other content is a second member: what the tiers are decided
from does not depend on Redis, and looking every id up here would double what a write costs.

A write keeps of its user what is newer than the user's newest event - 30 days; a tick drops what is not
newer than the tick - 30 days of users who have gone silent. After all writes and ticks up to a time T,
`read` as of T gives exactly the events in (T - 30 days, T]. Everything here can be built anew from Kafka.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
import redis
import redis.asyncio
from msgspec import Struct

from schemas.codec import encode
from schemas.errors import UnavailableError
from schemas.events import Account, Event

KEEP_MS = 30 * 86_400_000
MAX_EVENTS = 3_000
"""Up to how many events of a user are read near a decision."""

# Redis gives a Lua call some 8000 arguments, two for each member.
_MEMBERS_PER_CALL = 2000
_USERS_PER_EXPIRY = 500
_ADD_AND_TRIM = """
redis.call('ZADD', KEYS[1], unpack(ARGV, 2))
local newest = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2]
return redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', tonumber(newest) - tonumber(ARGV[1]))
"""
_SET_IF_NEWER = """
local old = redis.call('GET', KEYS[1])
if not old or cjson.decode(old).ts <= tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[2]) end
return 1
"""
_FORGET_STALE = """
for i = 2, #ARGV do
  local newest = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if newest and tonumber(newest) <= tonumber(ARGV[1]) then redis.call('ZREM', KEYS[1], ARGV[i]) end
end
return 1
"""
_HIDDEN = ("tenant", "user_id", "replay")

_events: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


class User(Struct, frozen=True, kw_only=True):
    """One user as Redis knows them: the events of the 30 days asked for, oldest first, and the account."""

    events: tuple[Event, ...]
    account: Account | None


class SequenceWriter:
    """Writes sequences and accounts, one pipeline a batch. For one thread.

    Every call may be repeated: a batch that failed half-way is simply written again.
    """

    def __init__(self, url: str, timeout_s: float = 5.0) -> None:
        self._url = url
        self._redis = redis.Redis.from_url(url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s)
        self._scripts: tuple[str, str] | None = None

    def write(self, batch: Mapping[int, Iterable[Event]]) -> None:
        """Write the events of each partition.

        Raises:
            UnavailableError: Redis does not answer or cannot write; a part of the batch may be written.
        """
        with _translated(self._url):
            try:
                self._write(batch)
            except redis.exceptions.NoScriptError:  # Redis was restarted
                self._scripts = None
                self._write(batch)

    def _write(self, batch: Mapping[int, Iterable[Event]]) -> None:
        if self._scripts is None:
            load = self._redis.script_load
            self._scripts = (str(load(_ADD_AND_TRIM)), str(load(_SET_IF_NEWER)))
        add_and_trim, set_if_newer = self._scripts
        pipeline = self._redis.pipeline(transaction=False)
        call = _untyped(pipeline)
        for partition, events in batch.items():
            newest: dict[str, int] = {}
            for key, of_user in _by_user(events).items():
                newest[key] = max(event.ts for event in of_user)
                for start in range(0, len(of_user), _MEMBERS_PER_CALL):
                    scored = [
                        x for e in of_user[start : start + _MEMBERS_PER_CALL] for x in (e.ts, member(e))
                    ]
                    call("EVALSHA", add_and_trim, 1, f"seq:{key}", KEEP_MS, *scored)
                accounts = [event for event in of_user if isinstance(event, Account)]
                if accounts:
                    # The last of equals, as everywhere: a later account event replaces an earlier one.
                    account = max(reversed(accounts), key=lambda event: event.ts)
                    call("EVALSHA", set_if_newer, 1, f"account:{key}", account.ts, member(account))
            if newest:
                pipeline.zadd(f"seq:newest:{partition}", newest, gt=True)
        pipeline.execute()

    def expire(self, partition: int, now_ms: int) -> int:
        """Drop what is not newer than `now_ms` - 30 days of the partition's silent users; their number.

        Raises:
            UnavailableError: Redis does not answer or cannot write.
        """
        index, oldest, dropped = f"seq:newest:{partition}", now_ms - KEEP_MS, 0
        with _translated(self._url):
            call = _untyped(self._redis)
            while users := call("ZRANGEBYSCORE", index, "-inf", oldest, "LIMIT", 0, _USERS_PER_EXPIRY):
                # In one transaction, so that no event slips in between the sequence and its index entry.
                pipeline = self._redis.pipeline(transaction=True)
                for user in users:
                    pipeline.zremrangebyscore(b"seq:" + user, "-inf", oldest)
                _untyped(pipeline)("EVAL", _FORGET_STALE, 1, index, oldest, *users)
                pipeline.execute()
                dropped += len(users)
        return dropped

    def close(self) -> None:
        """Close the connection."""
        self._redis.close()


class UserStore:
    """Reads users near a decision, and keeps their latest decision; for one event loop.

    A call takes `timeout_s` at the most: Redis is never needed to decide.
    """

    def __init__(self, url: str, timeout_s: float = 0.02) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._redis = redis.asyncio.Redis.from_url(url)

    async def user(self, key: str, as_of_ms: int) -> User:
        """The user's events in (`as_of_ms` - 30 days, `as_of_ms`] and the account, in one exchange.

        A user with more than `MAX_EVENTS` comes without events: reading them would take longer than
        there is time, and a part of them would tell what is not so.

        Raises:
            UnavailableError: Redis does not answer in time.
        """
        call = ("ZRANGEBYSCORE", f"seq:{key}", f"({as_of_ms - KEEP_MS}", as_of_ms)
        with _translated(self._url):
            async with asyncio.timeout(self._timeout_s):
                pipeline = self._redis.pipeline(transaction=False)
                _untyped(pipeline)(*call, "LIMIT", 0, MAX_EVENTS + 1)
                pipeline.get(f"account:{key}")
                members, account = await pipeline.execute()
        found = None if account is None else _event(key, account)
        return User(
            events=tuple(_event(key, found) for found in members) if len(members) <= MAX_EVENTS else (),
            account=found if isinstance(found, Account) else None,
        )

    async def read(self, key: str, as_of_ms: int) -> list[Event]:
        """The user's events in (`as_of_ms` - 30 days, `as_of_ms`], oldest first.

        Raises:
            UnavailableError: Redis does not answer in time.
        """
        with _translated(self._url):
            low, high = f"({as_of_ms - KEEP_MS}", as_of_ms
            async with asyncio.timeout(self._timeout_s):
                members = await self._redis.zrangebyscore(f"seq:{key}", low, high)
        return [_event(key, found) for found in members]

    async def account(self, key: str) -> Account | None:
        """The user's account event with the highest `ts`.

        Raises:
            UnavailableError: Redis does not answer in time.
        """
        with _translated(self._url):
            async with asyncio.timeout(self._timeout_s):
                found = await self._redis.get(f"account:{key}")
        event = None if found is None else _event(key, found)
        return event if isinstance(event, Account) else None

    async def put_decisions(self, latest: Mapping[str, bytes]) -> None:
        """Keep decision records, as JSON, by `tenant/user_id`: the latest of each user.

        Raises:
            UnavailableError: Redis does not answer in time; none or all are written.
        """
        if latest:
            with _translated(self._url):
                async with asyncio.timeout(self._timeout_s):
                    await self._redis.mset({f"decision:{key}": record for key, record in latest.items()})

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()


def member(event: Event) -> bytes:
    """The event as a member of its user's sorted set.

    >>> from schemas.events import Login
    >>> member(Login(event_id="e1", tenant="acme", user_id="u1", ts=1_700_000_000_000))
    b'{"kind":"login","event_id":"e1","ts":1700000000000,"channel":"web","action":"login"}'
    """
    fields = msgspec.to_builtins(event)
    for name in _HIDDEN:
        del fields[name]
    return encode(fields)


def _event(key: str, member: bytes) -> Event:
    tenant, _, user_id = key.partition("/")
    return _events.decode(encode({"tenant": tenant, "user_id": user_id})[:-1] + b"," + member[1:])


def _by_user(events: Iterable[Event]) -> dict[str, list[Event]]:
    users: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        users[event.key].append(event)
    return users


def _untyped(client: Any) -> Callable[..., Any]:
    """The client's call of a command by its name: its typed ones know no numbers and no bytes."""
    execute: Callable[..., Any] = client.execute_command
    return execute


@contextmanager
def _translated(url: str) -> Iterator[None]:
    try:
        yield
    except (redis.RedisError, OSError) as error:
        raise UnavailableError(f"Redis at {url} does not answer: {error}") from error
