"""Redis: the last 30 days of each user, for those who read them near a decision.

| key | type | what it holds |
| --- | --- | --- |
| `events:<tenant>/<user_id>` | list | one element an event, in the order in which they came |
| `account:<tenant>/<user_id>` | string | the account event with the highest `ts` |
| `decision:<tenant>/<user_id>` | string | the latest decision record |
| `events:oldest:<partition>` | sorted set | the keys above by the `ts` of their first event |

An element is the event as compact JSON without `tenant` and `user_id`, which the key states, and without
`replay`. Writing an event again adds one that readers count once, in whatever order events come. An event
that comes again with the same `event_id` and other content counts twice: what the tiers are decided from does
not depend on Redis, and looking every id up here would double what a write costs.

Events are only ever appended, by one call for hundreds of users: a call and entries of a sorted set for each
cost three times as much, and twice the memory. A tick drops, of the users whose first event is a day older
than that, what is not newer than the tick - 30 days. After all writes and ticks up to a time T, `read`
as of T gives exactly the events in (T - 30 days, T]. Everything here can be built anew from Kafka.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

import msgspec
import redis
import redis.asyncio
from msgspec import Struct

from schemas.codec import encode
from schemas.errors import UnavailableError
from schemas.events import Account, Event
from schemas.pack import Pack

DAY_MS = 86_400_000
KEEP_MS = 30 * DAY_MS
MAX_EVENTS = 3_000
"""Up to how many events of a user are read near a decision."""
LARGEST = 100_000
"""Of a user who has more events, the older half is dropped."""

_USERS_PER_CALL = 250  # some 0.5 ms, for which Redis answers nobody else
_USERS_PER_EXPIRY = 50
_USERS_PER_READ = 8
# Redis gives a Lua call some 8000 arguments.
_EVENTS_PER_PUSH = 2000
_APPEND = """
local at = 2
for i = 2, #KEYS do
  local count = tonumber(ARGV[at])
  local size = redis.call('RPUSH', KEYS[i], unpack(ARGV, at + 1, at + count))
  if size == count then
    redis.call('ZADD', KEYS[1], string.match(ARGV[at + 1], '"ts":(%d+)'), KEYS[i])
  elseif size > tonumber(ARGV[1]) then
    redis.call('LTRIM', KEYS[i], -math.floor(ARGV[1] / 2), -1)
  end
  at = at + count + 1
end
return 1
"""
_SET_IF_NEWER = """
local old = redis.call('GET', KEYS[1])
if not old or cjson.decode(old).ts <= tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[2]) end
return 1
"""
_DROP_OLD = """
for i = 2, #KEYS do
  local ts
  repeat
    if ts then redis.call('LPOP', KEYS[i]) end
    local first = redis.call('LINDEX', KEYS[i], 0)
    ts = first and tonumber(string.match(first, '"ts":(%d+)'))
  until not ts or ts > tonumber(ARGV[1])
  if ts then redis.call('ZADD', KEYS[1], ts, KEYS[i]) else redis.call('ZREM', KEYS[1], KEYS[i]) end
end
return 1
"""
# Of an event as it is encoded: where its owner begins and ends, and what nobody needs.
_TENANT, _TS, _NO_REPLAY = b'"tenant":', b'"ts":', b'"replay":null,'

_Known = tuple[list[bytes], bytes | None]
"""The elements of a user's events, and of the account."""
_events: msgspec.json.Decoder[list[Event]] = msgspec.json.Decoder(list[Event])
_arrays = msgspec.json.Decoder(dict[str, list[msgspec.Raw]])


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

    def write(self, pack: Pack) -> None:
        """Write the events of a pack, and drop those of the users whom its ticks show to be silent.

        Raises:
            UnavailableError: Redis does not answer or cannot write; a part of it may be written.
        """
        with _translated(self._url):
            try:
                self._send(pack)
            except redis.exceptions.NoScriptError:  # Redis was restarted
                self._scripts = None
                self._send(pack)
        for partition, now_ms in pack.ticks.items():
            self.expire(partition, now_ms)

    def _send(self, pack: Pack) -> None:
        if self._scripts is None:
            load = self._redis.script_load
            self._scripts = (str(load(_APPEND)), str(load(_SET_IF_NEWER)))
        append, set_if_newer = self._scripts
        pipeline = self._redis.pipeline(transaction=False)
        call = _untyped(pipeline)
        for partition, users in pack.users.items():
            left = _pieces(_arrays.decode(users))
            while some := list(islice(left, _USERS_PER_CALL)):
                keys = [f"events:{key}" for key, _ in some]
                counted = [x for _, piece in some for x in (len(piece), *piece)]
                call("EVALSHA", append, len(keys) + 1, _index(partition), *keys, LARGEST, *counted)
        for account in pack.accounts:
            ((element,),) = _arrays.decode(arrays({"": [account]})).values()
            call("EVALSHA", set_if_newer, 1, f"account:{account.key}", account.ts, bytes(element))
        pipeline.execute()

    def expire(self, partition: int, now_ms: int) -> int:
        """Drop what is not newer than `now_ms` - 30 days of the users who have events from a day before that;
        how many there were.

        Raises:
            UnavailableError: Redis does not answer or cannot write.
        """
        index, oldest_ms, looked = _index(partition), now_ms - KEEP_MS, 0
        with _translated(self._url):
            call = _untyped(self._redis)
            due = ("ZRANGEBYSCORE", index, "-inf", oldest_ms - DAY_MS, "LIMIT", 0, _USERS_PER_EXPIRY)
            while keys := call(*due):
                call("EVAL", _DROP_OLD, len(keys) + 1, index, *keys, oldest_ms)
                looked += len(keys)
        return looked

    def close(self) -> None:
        """Close the connection."""
        self._redis.close()


class UserStore:
    """Reads users near a decision, and keeps their latest decision; for one event loop.

    A call takes `timeout_s` at the most: Redis is never needed to decide.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._redis = redis.asyncio.Redis.from_url(url)
        self._asked: list[str] = []
        self._exchange: asyncio.Task[dict[str, _Known]] | None = None

    async def user(self, key: str, as_of_ms: int) -> User:
        """The user's events in (`as_of_ms` - 30 days, `as_of_ms`] and the account.

        Those who are asked for at the same time share an exchange: users cross together, and one for each
        took the client as long as the decoding. A user with more than `MAX_EVENTS` comes without events:
        reading them would take longer than there is time, and a part of them would tell what is not so.

        Raises:
            UnavailableError: Redis does not answer in time.
        """
        if self._exchange is None or len(self._asked) == _USERS_PER_READ:
            self._asked = []
            self._exchange = asyncio.create_task(self._exchanged(self._asked))
        self._asked.append(key)
        with _translated(self._url):
            # Others wait for it as well: who is cancelled does not cancel it.
            elements, account = (await asyncio.shield(self._exchange))[key]
        return User(
            events=tuple(_sequence(key, elements, as_of_ms)) if len(elements) <= MAX_EVENTS else (),
            account=_account(key, account),
        )

    async def _exchanged(self, asked: list[str]) -> dict[str, _Known]:
        """What Redis has of the users who were `asked` for until this runs."""
        if asked is self._asked:
            self._exchange = None
        async with asyncio.timeout(self._timeout_s):
            pipeline = self._redis.pipeline(transaction=False)
            for key in asked:
                pipeline.lrange(f"events:{key}", -MAX_EVENTS - 1, -1)
                pipeline.get(f"account:{key}")
            found = await pipeline.execute()
        return dict(zip(asked, zip(found[::2], found[1::2], strict=True), strict=True))

    async def read(self, key: str, as_of_ms: int) -> list[Event]:
        """The user's events in (`as_of_ms` - 30 days, `as_of_ms`], oldest first.

        Raises:
            UnavailableError: Redis does not answer in time.
        """
        with _translated(self._url):
            async with asyncio.timeout(self._timeout_s):
                elements = await _untyped(self._redis)("LRANGE", f"events:{key}", 0, -1)
        return _sequence(key, elements, as_of_ms)

    async def account(self, key: str) -> Account | None:
        """The user's account event with the highest `ts`.

        Raises:
            UnavailableError: Redis does not answer in time.
        """
        with _translated(self._url):
            async with asyncio.timeout(self._timeout_s):
                found = await self._redis.get(f"account:{key}")
        return _account(key, found)

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


def arrays(users: Mapping[str, Sequence[Event]]) -> msgspec.Raw:
    """Events of users, of no replay, as they are kept: an array for each, without what the key states.

    No text in an event can hold what is looked for, since quotes are escaped. All at once take a third of the
    time that a dict without these fields takes for each event.

    >>> from schemas.events import Login
    >>> bytes(arrays({"a/u1": [Login(event_id="e1", tenant="a", user_id="u1", ts=7)]}))
    b'{"a/u1":[{"kind":"login","event_id":"e1","ts":7,"channel":"web","action":"login"}]}'
    """
    first, *rest = encode(users).split(_TENANT)
    bare = b"".join([first, *[piece[piece.index(_TS) :] for piece in rest]])
    return msgspec.Raw(bare.replace(_NO_REPLAY, b""))


def _pieces(users: Mapping[str, Sequence[msgspec.Raw]]) -> Iterator[tuple[str, list[bytes]]]:
    """The users' elements, of nobody more at once than a script can push."""
    for key, events in users.items():
        elements = list(map(bytes, events))
        for start in range(0, len(elements), _EVENTS_PER_PUSH):
            yield key, elements[start : start + _EVENTS_PER_PUSH]


def _owner(key: str) -> bytes:
    tenant, _, user_id = key.partition("/")
    return encode({"tenant": tenant, "user_id": user_id})


def _sequence(key: str, elements: Iterable[bytes], as_of_ms: int) -> list[Event]:
    """The events in (`as_of_ms` - 30 days, `as_of_ms`], each once, oldest first."""
    texts = list(set(elements))
    events = _decoded(key, texts)
    timed = sorted(zip([event.ts for event in events], texts, events, strict=True))
    return [event for ts, _, event in timed if as_of_ms - KEEP_MS < ts <= as_of_ms]


def _decoded(key: str, elements: Iterable[bytes]) -> list[Event]:
    """The events of elements, in their order. One call takes three quarters of the time of many."""
    start = _owner(key)[:-1] + b","
    return _events.decode(b"[" + b",".join([start + element[1:] for element in elements]) + b"]")


def _account(key: str, element: bytes | None) -> Account | None:
    found = [] if element is None else _decoded(key, [element])
    return next((event for event in found if isinstance(event, Account)), None)


def _index(partition: int) -> str:
    return f"events:oldest:{partition}"


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
