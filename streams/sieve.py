"""The way in: every event is decoded here, once, and few go on to the keyed operator.

Nearly all logins and uses change nothing there, since their user's pane is marked. So of those that are
accepted only the first of each user and pane passes, and what is rejected becomes a dead letter. (Messages
and accounts are few and urgent: the main job reads and judges them itself.) For readers near a decision all
accepted events are packed, so that the sequences in Redis are written without a look at any of them.

What is remembered is in memory alone: an event that passes a second time changes nothing.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from operators.window import PANE_MS, boundary_ms, pane_of, phase_ms
from schemas.codec import Judged, Record, judge
from schemas.errors import RejectedEvent
from schemas.events import Account, Event, Login, Replay, Tick, Usage
from schemas.pack import Pack
from schemas.risk import Burst
from schemas.topics import SIFTED
from streams import flow
from streams.bursts import Bursts
from streams.store import arrays

USERS = 500_000
"""Of twice as many users at the most it is remembered which pane they were last seen in."""
PACK_BYTES = 4_000_000
"""A pack is full when its events are as large as this."""

_Seen = tuple[int, Replay | None]
"""Begin of the pane (epoch ms) in which a user was last seen, and of which replay."""
_NEVER: _Seen = (-PANE_MS, None)


class Sifted(NamedTuple):
    """What becomes of some records."""

    passed: list[tuple[str, int, Record]]
    """Each with the topic and the partition that it goes on to; those of a partition in their order."""
    rejected: list[flow.Out]
    packs: list[Pack]
    bursts: list[Burst]


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
    >>> bytes(sifted.packs[0].users[3])[:60]
    b'{"acme/u1":[{"kind":"login","event_id":"e0","ts":0,"channel"'
    """

    def __init__(self, users: int = USERS) -> None:
        self._users = users
        self._seen: dict[bytes, _Seen] = {}
        self._before: dict[bytes, _Seen] = {}
        self._bursts = Bursts()

    def sift(self, read: Iterable[tuple[str, int, Sequence[Record]]]) -> Sifted:
        """What becomes of records, given by topic and partition, those of each in their order."""
        sifted, packing = Sifted([], [], [], []), _Packing()
        for topic, partition, records, size_bytes in _cut(read):
            judged = judge(records)
            if packing.size_bytes and packing.size_bytes + size_bytes > PACK_BYTES:
                sifted.packs.append(packing.pack())
                packing = _Packing()
            packing.add(partition, records, judged, size_bytes)
            onward = SIFTED.get(topic)
            if onward is not None:
                news = self._news(records, judged)
                sifted.passed.extend((onward.name, partition, record) for record in news)
                sifted.rejected.extend(_dead_letters(topic, partition, records, judged))
                sifted.bursts.extend(self._bursts.told(judged))
        if not packing.is_empty:
            sifted.packs.append(packing.pack())
        return sifted

    def _news(self, records: Sequence[Record], judged: Sequence[Judged]) -> Iterator[Record]:
        """Ticks, and what may be the first login or use of its user's pane or replay, or is neither."""
        for record, event in zip(records, judged, strict=True):
            if type(event) is Usage or type(event) is Login:
                key, ts, mark = record.key, event.ts, event.replay
                assert key is not None  # else it was not accepted
                begin, known = self._seen.get(key) or self._before.get(key) or _NEVER
                if begin <= ts < begin + PANE_MS and (mark is None or mark == known):
                    continue
                phase = phase_ms(event.key)
                self._seen[key] = boundary_ms(pane_of(ts, phase), phase) - PANE_MS, mark or known
                if len(self._seen) > self._users:
                    self._seen, self._before = {}, self._seen
            elif type(event) is RejectedEvent:
                continue
            yield record


class _Packing:
    """What becomes a pack."""

    def __init__(self) -> None:
        self.size_bytes = 0
        self._ticks: dict[int, int] = {}
        self._users: dict[int, defaultdict[bytes, list[Event]]] = {}
        self._accounts: dict[str, Account] = {}

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to tell of."""
        return not self._ticks and not any(self._users.values())

    def add(
        self, partition: int, records: Sequence[Record], judged: Sequence[Judged], size_bytes: int
    ) -> None:
        """The accepted events of some records go into the pack, without their replays' marks."""
        self.size_bytes += size_bytes
        users = self._users.setdefault(partition, defaultdict(list))
        for record, event in zip(records, judged, strict=True):
            if type(event) is RejectedEvent:
                continue
            if type(event) is Tick:
                self._ticks[partition] = max(event.ts, self._ticks.get(partition, 0))
                continue
            key = record.key
            assert key is not None  # else it was not accepted
            if event.replay is not None:
                event = msgspec.structs.replace(event, replay=None)
            if type(event) is Account and event.ts >= self._accounts.get(event.key, event).ts:
                # The last of equals counts, as everywhere: a later account event replaces an earlier one.
                self._accounts[event.key] = event
            users[key].append(event)

    def pack(self) -> Pack:
        """All of it."""
        return Pack(
            users={
                partition: arrays({key.decode(): events for key, events in users.items()})
                for partition, users in self._users.items()
                if users
            },
            accounts=list(self._accounts.values()),
            ticks=self._ticks,
        )


def _cut(
    read: Iterable[tuple[str, int, Sequence[Record]]],
) -> Iterator[tuple[str, int, Sequence[Record], int]]:
    """The same records, of one topic and partition no more at once than go into a pack, and their bytes."""
    for topic, partition, records in read:
        size_bytes = sum([len(record.value or b"") for record in records])
        if size_bytes <= PACK_BYTES or len(records) == 1:
            yield topic, partition, records, size_bytes
        else:
            half = len(records) // 2
            yield from _cut([(topic, partition, records[:half]), (topic, partition, records[half:])])


def _dead_letters(
    topic: str, partition: int, records: Sequence[Record], judged: Sequence[Judged]
) -> Iterator[flow.Out]:
    for record, error in zip(records, judged, strict=True):
        if isinstance(error, RejectedEvent):
            place = flow.Place(topic, partition, record.offset, record.timestamp)
            yield flow.reject(place, record.key, record.value, error)
