"""Very many users, each with a few events: records at the cost of formatting bytes, for measures of size.

Their ids are as long as those of real ones: 16 characters for a user, 36 for an event.
"""

from collections.abc import Iterator

import redis

from schemas.topics import PARTITIONS, USAGE
from streams.producer import partition_of
from streams.sending import Outgoing

TENANT = b"acme"
HOUR_MS = 3_600_000
_EVENT = (
    b'{"kind":"usage","event_id":"%032x-%03d","tenant":"acme","user_id":"%s","ts":%d,'
    b'"feature":"dashboard","duration_ms":1200,"outcome":"ok"}'
)


def user_id(number: int) -> bytes:
    """The id of the user `number`.

    >>> user_id(255)
    b'user-00000000255'
    """
    return b"user-%011d" % number


def events(users: int, stage: int, ts_ms: int) -> Iterator[Outgoing]:
    """One usage event of each user at `ts_ms` (epoch ms); events of different stages have different ids."""
    for number in range(users):
        value = _EVENT % (number, stage, user_id(number), ts_ms)
        yield Outgoing(0.0, USAGE.name, key(number), value)


def key(number: int) -> bytes:
    """The key of the records of the user `number`."""
    return b"%s/%s" % (TENANT, user_id(number))


def last_keys(users: int) -> list[bytes]:
    """The last key in each partition: what was done for it was done for all before it."""
    last: dict[int, bytes] = {}
    for number in reversed(range(users)):
        last.setdefault(partition_of(key(number)), key(number))
        if len(last) == PARTITIONS:
            break
    return list(last.values())


def held(client: redis.Redis, key: bytes) -> int:
    """How many events of the user Redis holds."""
    count = client.llen((b"events:" + key).decode())
    assert isinstance(count, int)
    return count
