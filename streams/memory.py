"""The main job in this process, with a clock that is set by hand: for tests and dry runs.

The steps are those of `streams.flow`; what differs from Flink is only who keeps the state and the time.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from zlib import crc32

import msgspec
from msgspec import Struct

from operators.budget import Spent, spend
from operators.lifecycle import Lifecycle, Settled
from operators.userstate import UserState
from schemas.codec import MAX_AHEAD_MS
from schemas.decision import Draft, DraftRequest
from schemas.errors import RejectedEvent
from schemas.events import Event, Tick
from schemas.policy import RuleBook
from schemas.risk import Risk
from schemas.topics import EVENT_TOPICS, PARTITIONS
from streams.flow import Out, Place, admit, budgeted, lifecycle, may_offer, reject, settle
from streams.tenants import Tenants

NEVER = -(1 << 63)
"""The watermark before event time has begun, as Flink has it."""


class Record(Struct, frozen=True, kw_only=True):
    """A record that was published, with the clock's time (epoch ms) as its append time."""

    topic: str
    key: bytes | None
    value: bytes
    append_ms: int


class Memory:
    """All topics, all users, one clock.

    Event time moves as in the stream: it is the least of all partitions of the four event topics, each
    `bound_ms` (and 1 ms) behind the latest event or tick in it.

    >>> from operators.window import PANE_MS
    >>> from schemas.codec import encode
    >>> from schemas.events import Login, Replay
    >>> replay, engine = Replay(until=50 * 24 * PANE_MS), Memory()
    >>> for hour in range(0, 40 * 24, 8):
    ...     login = Login(event_id=f"e{hour}", tenant="a", user_id="u", ts=hour * PANE_MS, replay=replay)
    ...     engine.send("events.login", b"a/u", encode(login))
    >>> engine.tick(50 * 24 * PANE_MS + engine.bound_ms)
    >>> len(engine.published("decisions"))
    4
    """

    def __init__(
        self,
        tenants: Tenants | None = None,
        *,
        book: RuleBook | None = None,
        bound_ms: int = 1000,
        now_ms: int = 0,
        lead_ms: int = 0,
    ) -> None:
        self.bound_ms = bound_ms
        self.now_ms = now_ms
        """The clock: append time of what is sent, detection and publication of what comes out."""
        self._tenants = tenants or Tenants({})
        self.book = book or RuleBook()
        self._lead_ms = lead_ms
        self._latest = {(topic.name, part): NEVER for topic in EVENT_TOPICS for part in range(PARTITIONS)}
        self._offsets: defaultdict[tuple[str, int], int] = defaultdict(int)
        self._states: dict[str, UserState] = {}
        self._spent: dict[str, Spent] = {}
        self._published: list[Record] = []

    @property
    def watermark_ms(self) -> int:
        """Event time: every boundary up to here has been evaluated."""
        return min(self._latest.values())

    def published(self, topic: str) -> list[Record]:
        """What has come out on `topic`, in order."""
        return [record for record in self._published if record.topic == topic]

    def drain(self) -> list[Record]:
        """What has come out since the last call, on all topics; it is kept no longer."""
        news, self._published = self._published, []
        return news

    def send(self, topic: str, key: bytes | None, value: bytes | None, partition: int | None = None) -> None:
        """A record arrives now, in the partition of its key or the one given."""
        split = (topic, crc32(key or b"") % PARTITIONS if partition is None else partition)
        place = Place(*split, self._offsets[split], self.now_ms)
        self._offsets[split] += 1
        try:
            record = admit(place, key, value)
        except RejectedEvent as error:
            self._publish([reject(place, key, value, error)])
        else:
            if not isinstance(record, Tick):
                self._take(record)
        moved = _event_time(value, self.now_ms)
        if moved is not None and split in self._latest:
            before = self.watermark_ms
            self._latest[split] = max(self._latest[split], moved - self.bound_ms - 1)
            # Where event time stands still, nobody can be due but whose record this is.
            self._wake(None if self.watermark_ms != before else (key or b"").decode(errors="replace"))

    def tick(self, ts: int) -> None:
        """Event time goes on to `ts` (epoch ms) in every partition, as ticks do it."""
        for split in self._latest:
            self._latest[split] = max(self._latest[split], ts - self.bound_ms - 1)
        self._wake()

    def checkpoint(self) -> bytes:
        """The state of all users, to begin with again after a failure."""
        return msgspec.msgpack.encode((self._states, self._spent))

    def restore(self, checkpoint: bytes) -> None:
        """As a job comes back: with that state, and event time begins anew with the records that follow.

        Those since the checkpoint are sent again, by whoever restores; what was published stays.
        """
        self._states, self._spent = _kept.decode(checkpoint)
        self._latest = dict.fromkeys(self._latest, NEVER)

    def state(self, user: str) -> UserState:
        """The state of `user` (`tenant/user_id`)."""
        return self._states.get(user, Lifecycle.start())

    def _take(self, record: Event | Draft | Risk) -> None:
        life = lifecycle(record.key, self._tenants, self.book, self._lead_ms)
        self._states[record.key], found = life.step(self.state(record.key), record, self.watermark_ms)
        self._publish(self._settled(found))

    def _wake(self, only: str | None = None) -> None:
        """All users that are due, or `only` that one, in the order of their boundaries, as timers fire."""
        watermark_ms = self.watermark_ms
        found: list[Settled | DraftRequest] = []
        for user in self._states if only is None else self._states.keys() & {only}:
            state = self._states[user]
            life = lifecycle(user, self._tenants, self.book, self._lead_ms)
            due = life.due(state)
            if due is not None and due <= watermark_ms:
                self._states[user], some = life.wake(state, watermark_ms)
                found += some
        found.sort(key=lambda one: (one.crossing.decided_at, one.crossing.id))
        self._publish(self._settled(found))

    def _settled(self, found: Iterable[Settled | DraftRequest]) -> Iterator[Out]:
        for one in found:
            if isinstance(one, Settled) and may_offer(one, self._tenants, self.book):
                one = self._spend(one)
            yield from settle(one, float(self.now_ms), float(self.now_ms))

    def _spend(self, settled: Settled) -> Settled:
        tenant = settled.crossing.tenant
        policy = self.book.at(settled.crossing.decided_at).of(tenant)
        self._spent[tenant], crossing = spend(self._spent.get(tenant, Spent()), policy, settled.crossing)
        return budgeted(settled, crossing)

    def _publish(self, outs: Iterable[Out]) -> None:
        for out in outs:
            self._published.append(Record(**out._asdict(), append_ms=self.now_ms))


class _Clock(Struct):
    """What the watermark reads of a record, whatever else it holds."""

    ts: int
    replay: dict[str, object] | None = None


_clock = msgspec.json.Decoder(_Clock)
_kept = msgspec.msgpack.Decoder(tuple[dict[str, UserState], dict[str, Spent]])


def _event_time(value: bytes | None, append_ms: int) -> int | None:
    """The event time (epoch ms) that a record carries; None if that must not move anything."""
    try:
        clock = _clock.decode(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    is_replay = clock.replay is not None and "until" in clock.replay
    return clock.ts if is_replay or clock.ts <= append_ms + MAX_AHEAD_MS else None
