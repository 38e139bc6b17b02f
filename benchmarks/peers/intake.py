"""What each peer does with a record, whoever keeps its state: the operators of the stream, by hand.

No peer gives a process the event time of all its partitions, so each keeps the clock of this module. Nothing
of it is durable: after a restart event time begins anew, once each partition has told it.
"""

import argparse
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import Struct

from operators.lifecycle import Lifecycle, Settled
from operators.userstate import UserState
from schemas.decision import Draft, DraftRequest
from schemas.errors import RejectedEvent
from schemas.events import Event, Tick
from schemas.policy import RuleBook
from schemas.risk import Risk
from schemas.topics import EVENT_TOPICS, PARTITIONS
from streams.flow import Out, Place, admit, lifecycle, reject, settle
from streams.tenants import Tenants

GROUP = "peer"
TOPICS = tuple(topic.name for topic in EVENT_TOPICS)
SESSION_S = 20
"""How long the broker waits for a consumer that was killed, before another gets its partitions."""
START = Lifecycle.start()
_NEVER = -(1 << 63)
_TENANTS = Tenants({})
_NO_RULES = RuleBook()
_NO_RULES = RuleBook()

decode_state = msgspec.msgpack.Decoder(UserState).decode
encode_state = msgspec.msgpack.Encoder().encode


class Options(Struct, frozen=True):
    """The broker, a folder of its own, how often (s) a peer saves, and how late (ms) events may come."""

    bootstrap: str
    state_dir: Path
    save_every_s: float
    bound_ms: int


def options() -> Options:
    """What the command line says, the same for each peer."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--state-dir", type=Path, required=True)
    parser.add_argument("--save-every-s", type=float, required=True)
    parser.add_argument("--bound-ms", type=int, required=True)
    given = Options(**vars(parser.parse_args()))
    given.state_dir.mkdir(parents=True, exist_ok=True)
    return given


class Admitted(NamedTuple):
    """What was read, or the dead letter of what was rejected, and event time (epoch ms) at that moment."""

    record: Event | Tick | Out
    watermark_ms: int


class Clock:
    """Event time of one process: the least of all partitions, each the bound (and 1 ms) behind its latest.

    >>> clock = Clock(bound_ms=10, places=[("logins", 0), ("logins", 1)])
    >>> clock.note("logins", 0, 100)
    >>> clock.watermark_ms < 0
    True
    >>> clock.note("logins", 1, 50)
    >>> clock.watermark_ms
    39
    """

    def __init__(self, bound_ms: int, places: list[tuple[str, int]]) -> None:
        self._behind_ms = bound_ms + 1
        self._latest = dict.fromkeys(places, _NEVER)
        self._least = _NEVER

    @property
    def watermark_ms(self) -> int:
        """Event time (epoch ms): what is due by now can be decided."""
        return self._least if self._least == _NEVER else self._least - self._behind_ms

    def note(self, topic: str, partition: int, ts: int) -> None:
        """An event or tick of `ts` (epoch ms) was read there."""
        before = self._latest[topic, partition]
        if ts > before:
            self._latest[topic, partition] = ts
            if before == self._least:
                self._least = min(self._latest.values())


class Intake:
    """What is read of some partitions, of each topic, and their clock."""

    def __init__(self, bound_ms: int, partitions: Iterable[int] = range(PARTITIONS)) -> None:
        self._clock = Clock(bound_ms, [(topic, number) for number in partitions for topic in TOPICS])
        self._replay_until_ms = _NEVER
        self._looked_until_ms = _NEVER

    @property
    def watermark_ms(self) -> int:
        """Event time (epoch ms) of all that was read."""
        return self._clock.watermark_ms

    def admit(self, place: Place, key: bytes | None, value: bytes | None) -> Admitted:
        """A record as it is read; those of a partition in their order."""
        before_ms = self._clock.watermark_ms
        try:
            record = admit(place, key, value)
        except RejectedEvent as error:
            return Admitted(reject(place, key, value, error), before_ms)
        if isinstance(record, Draft | Risk):
            raise TypeError("answers are on none of the topics that are read")
        self._clock.note(place.topic, place.partition, record.ts)
        if not isinstance(record, Tick):
            return Admitted(record, before_ms)
        if record.replay is not None:
            self._replay_until_ms = max(self._replay_until_ms, record.replay.until)
        return Admitted(record, self._clock.watermark_ms)

    def replay_has_ended(self) -> bool:
        """True once, when event time has come to the end of a replay: all users should be looked at then."""
        until_ms = self._replay_until_ms
        ended = self._looked_until_ms < until_ms <= self._clock.watermark_ms + 1
        if ended:
            self._looked_until_ms = until_ms
        return ended


def take(state: UserState, admitted: Admitted) -> tuple[UserState, list[Out]]:
    """The state of a user after a record under the user's key, and what is to be published.

    What was due before it is decided first: without timers that is when a user's time passes.
    """
    record, watermark_ms = admitted
    if isinstance(record, Tick):
        return state, []
    if isinstance(record, Out):
        return state, [record]
    life = lifecycle(record.key, _TENANTS, _NO_RULES, 0)
    state, found = life.wake(state, watermark_ms)
    state, more = life.step(state, record, watermark_ms)
    return state, _published((*found, *more)) if found or more else []


def wake(user: str, state: UserState, watermark_ms: int) -> tuple[UserState, list[Out]]:
    """The state of `user` at that event time (epoch ms), and what is to be published."""
    state, found = lifecycle(user, _TENANTS, _NO_RULES, 0).wake(state, watermark_ms)
    return state, _published(found)


def due_ms(user: str, state: UserState) -> int | None:
    """Event time (epoch ms) of the next change of `user`, if no event comes."""
    return lifecycle(user, _TENANTS, _NO_RULES, 0).due(state)


def _published(found: tuple[Settled | DraftRequest, ...]) -> list[Out]:
    now_ms = time.time() * 1000
    return [out for one in found for out in settle(one, now_ms, now_ms)]
