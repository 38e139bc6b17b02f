"""The way in: every event is decoded and judged here, once, and few go on to the keyed operator.

Nearly all events change nothing there, since their user's pane is marked. So of accepted logins and uses only
the first of each user and pane passes. Whatever else there is passes too, and is judged again by the same
code: what is rejected, messages, accounts. For readers near a decision all accepted events go into packs,
from which the sequences in Redis are written without a look at any event.

What is remembered is in memory alone: an event that passes a second time changes nothing.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple
from uuid import uuid4

import msgspec

from operators.window import PANE_MS, boundary_ms, pane_of, phase_ms
from schemas.codec import accept
from schemas.errors import RejectedEvent
from schemas.events import Account, Event, Login, Replay, Tick, Usage
from schemas.pack import Pack
from streams.bursts import Bursts
from streams.store import array

USERS = 500_000
"""Of twice as many users at the most it is remembered which pane they were last seen in."""
PACK_BYTES = 4_000_000
"""A pack is full when its events are as large as this."""

Record = tuple[bytes | None, bytes | None, int, int]
"""Key, value, partition and append time (epoch ms) of a record on an events topic."""
_Seen = tuple[int, Replay | None]
"""Begin of the pane (epoch ms) in which a user was last seen, and of which replay."""
_NEVER: _Seen = (-PANE_MS, None)


class Sifted(NamedTuple):
    """For each record whether it passes, and the packs, of which there are no more than records."""

    passes: list[bool]
    packs: list[Pack]


class Sieve:
    """Sifts the records of some partitions, in their order. For one thread.

    >>> from schemas.codec import encode
    >>> sieve = Sieve()
    >>> events = [Login(event_id=f"e{n}", tenant="acme", user_id="u1", ts=n * PANE_MS // 2) for n in range(4)]
    >>> sifted = sieve.sift([(event.key.encode(), encode(event), 0, event.ts) for event in events])
    >>> sifted.passes
    [True, True, False, True]
    >>> bytes(sifted.packs[0].users[0]["acme/u1"])[:50]
    b'[{"kind":"login","event_id":"e0","ts":0,"channel":'
    """

    def __init__(self, users: int = USERS) -> None:
        self.id = uuid4().hex[:8].encode()
        """Key of its packs, which so keep their order."""
        self._users = users
        self._seen: dict[bytes, _Seen] = {}
        self._before: dict[bytes, _Seen] = {}
        self._bursts = Bursts()

    def sift(self, records: Iterable[Record]) -> Sifted:
        """Which of the records pass, and all events among them."""
        passes: list[bool] = []
        packs: list[Pack] = []
        packing = _Packing()
        for key, value, partition, append_ms in records:
            try:
                event = accept(key, value, append_ms)
            except RejectedEvent:
                passes.append(True)
                continue
            if isinstance(event, Tick):
                packing.ticks[partition] = max(event.ts, packing.ticks.get(partition, 0))
                passes.append(False)
                continue
            assert key is not None and value is not None  # else it was not accepted
            kind, ts, mark = event.__class__, event.ts, event.replay
            begin, known = self._seen.get(key, _NEVER)
            seen = begin <= ts < begin + PANE_MS and (mark is None or mark == known)
            # Of nearly all events this is all that is looked at.
            passes.append(not (seen and (kind is Usage or kind is Login)) and self._may_change(key, event))
            bare = event if mark is None else msgspec.structs.replace(event, replay=None)
            packing.users[partition][key].append(bare)
            packing.size_bytes += len(value)
            if isinstance(event, Usage) and event.outcome == "error":
                packing.failed.append(event)
            elif isinstance(bare, Account):
                packing.note(bare)
            if packing.size_bytes > PACK_BYTES:
                packs.append(packing.pack(self._bursts))
                packing = _Packing()
        if packing.size_bytes or packing.ticks:
            packs.append(packing.pack(self._bursts))
        return Sifted(passes, packs)

    def _may_change(self, key: bytes, event: Event) -> bool:
        """Whether the event may change its user's state."""
        if not isinstance(event, Login | Usage):
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
        self.users: defaultdict[int, defaultdict[bytes, list[Event]]] = defaultdict(lambda: defaultdict(list))
        self.failed: list[Event] = []
        self.ticks: dict[int, int] = {}
        self.size_bytes = 0
        self._accounts: dict[str, Account] = {}

    def note(self, account: Account) -> None:
        """The last of equals counts, as everywhere: a later account event replaces an earlier one."""
        if account.ts >= self._accounts.get(account.key, account).ts:
            self._accounts[account.key] = account

    def pack(self, bursts: Bursts) -> Pack:
        """All of it, and the bursts that end in it."""
        return Pack(
            users={
                partition: {key.decode(): array(events) for key, events in users.items()}
                for partition, users in self.users.items()
            },
            accounts=list(self._accounts.values()),
            ticks=self.ticks,
            bursts=bursts.told(self.failed),
        )
