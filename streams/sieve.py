"""The way in: every event is decoded here, once, and few go on to the keyed operator.

Nearly all logins and uses change nothing there, since their user's pane is marked. So of those that are
accepted only the first of each user and pane passes, and what is rejected becomes a dead letter. (Messages
and accounts are few and urgent: the main job reads and judges them itself.) For readers near a decision all
accepted events are packed, so that the sequences in Redis are written without a look at any of them.

What is remembered is in memory alone: an event that passes a second time changes nothing.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple, Protocol

import msgspec

from operators.window import PANE_MS, boundary_ms, pane_of, phase_ms
from schemas.codec import accept
from schemas.errors import RejectedEvent
from schemas.events import Account, Event, Login, Replay, Tick, Usage
from schemas.pack import Pack
from schemas.topics import SIFTED
from streams import flow
from streams.bursts import Bursts
from streams.store import array

USERS = 500_000
"""Of twice as many users at the most it is remembered which pane they were last seen in."""
PACK_BYTES = 4_000_000
"""A pack is full when its events are as large as this."""

_Seen = tuple[int, Replay | None]
"""Begin of the pane (epoch ms) in which a user was last seen, and of which replay."""
_MARKING = (Login, Usage)
_NEVER: _Seen = (-PANE_MS, None)


class Record(Protocol):
    """A record as the client gives it; `timestamp` is when the broker appended it (epoch ms)."""

    key: bytes | None
    value: bytes | None
    timestamp: int
    offset: int


class Sifted(NamedTuple):
    """What becomes of some records."""

    passed: list[tuple[str, int, Record]]
    """Each with the topic and the partition that it goes on to; those of a partition in their order."""
    rejected: list[flow.Out]
    packs: list[Pack]


class Sieve:
    """Remembers users, and sifts the records of some partitions. For one thread.

    >>> from collections import namedtuple
    >>> from schemas.codec import encode
    >>> events = [Login(event_id=f"e{n}", tenant="acme", user_id="u1", ts=n * PANE_MS // 2) for n in range(4)]
    >>> row = namedtuple("Row", "key value timestamp offset")
    >>> rows = [row(event.key.encode(), encode(event), event.ts, n) for n, event in enumerate(events)]
    >>> sifted = Sieve().sift([("events.login", 3, rows)])
    >>> [(topic, partition, record.offset) for topic, partition, record in sifted.passed]
    [('sifted.login', 3, 0), ('sifted.login', 3, 1), ('sifted.login', 3, 3)]
    >>> bytes(sifted.packs[0].users[3]["acme/u1"])[:50]
    b'[{"kind":"login","event_id":"e0","ts":0,"channel":'
    """

    def __init__(self, users: int = USERS) -> None:
        self._users = users
        self._seen: dict[bytes, _Seen] = {}
        self._before: dict[bytes, _Seen] = {}
        self._bursts = Bursts()

    def sift(self, read: Iterable[tuple[str, int, Iterable[Record]]]) -> Sifted:
        """What becomes of records, given by topic and partition, those of each in their order."""
        sifted, packing = Sifted([], [], []), _Packing()
        for topic, partition, records in read:
            onward = SIFTED.get(topic)
            for record in records:
                key, value = record.key, record.value
                try:
                    event = accept(key, value, record.timestamp)
                except RejectedEvent as error:
                    if onward is not None:
                        place = flow.Place(topic, partition, record.offset, record.timestamp)
                        sifted.rejected.append(flow.reject(place, key, value, error))
                    continue
                if isinstance(event, Tick):
                    packing.ticks[partition] = max(event.ts, packing.ticks.get(partition, 0))
                    is_new = True
                else:
                    assert key is not None and value is not None  # else it was not accepted
                    packing.add(partition, key, event, len(value))
                    is_new = self._is_new(key, event)
                if is_new and onward is not None:
                    sifted.passed.append((onward.name, partition, record))
                if packing.size_bytes > PACK_BYTES:
                    sifted.packs.append(packing.pack(self._bursts))
                    packing = _Packing()
        if packing.size_bytes or packing.ticks:
            sifted.packs.append(packing.pack(self._bursts))
        return sifted

    def _is_new(self, key: bytes, event: Event) -> bool:
        """Whether it may be the first login or use of its user's pane or replay, or is neither."""
        if event.__class__ not in _MARKING:
            return True
        ts, mark = event.ts, event.replay
        begin, known = self._seen.get(key) or self._before.get(key) or _NEVER
        if begin <= ts < begin + PANE_MS and (mark is None or mark == known):
            return False
        phase = phase_ms(event.key)
        self._seen[key] = boundary_ms(pane_of(ts, phase), phase) - PANE_MS, mark or known
        if len(self._seen) > self._users:
            self._seen, self._before = {}, self._seen
        return True


class _Packing:
    """What becomes a pack."""

    def __init__(self) -> None:
        self.ticks: dict[int, int] = {}
        self.size_bytes = 0
        self._users: defaultdict[int, defaultdict[bytes, list[Event]]] = defaultdict(
            lambda: defaultdict(list)
        )
        self._failed: list[Event] = []
        self._accounts: dict[str, Account] = {}

    def add(self, partition: int, key: bytes, event: Event, size_bytes: int) -> None:
        """An accepted event goes into the pack, without its replay's mark."""
        bare = event if event.replay is None else msgspec.structs.replace(event, replay=None)
        self._users[partition][key].append(bare)
        self.size_bytes += size_bytes
        if isinstance(event, Usage) and event.outcome == "error":
            self._failed.append(event)
        elif isinstance(bare, Account) and bare.ts >= self._accounts.get(bare.key, bare).ts:
            # The last of equals counts, as everywhere: a later account event replaces an earlier one.
            self._accounts[bare.key] = bare

    def pack(self, bursts: Bursts) -> Pack:
        """All of it, and the bursts that end in it."""
        return Pack(
            users={
                partition: {key.decode(): array(events) for key, events in users.items()}
                for partition, users in self._users.items()
            },
            accounts=list(self._accounts.values()),
            ticks=self.ticks,
            bursts=bursts.told(self._failed),
        )
