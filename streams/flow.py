"""The steps of the main job that hold on every engine: judge a record, feed a user, word what comes out.

Engines differ in how they keep state, time and order; what happens to a record is only here.
"""

from typing import NamedTuple

import msgspec

from operators.lifecycle import Lifecycle, Settled, UserState
from operators.window import pane_of, phase_ms
from schemas.codec import accept, encode, parse
from schemas.deadletter import DeadLetter
from schemas.decision import Decision, Timing
from schemas.errors import RejectedEvent
from schemas.events import Account, Replay, Support, Tick
from schemas.topics import CROSSINGS, DECISIONS
from schemas.vocabulary import Outcome
from streams.tenants import Tenants


class Place(NamedTuple):
    """Where a record lies, and when (epoch ms) the broker appended it."""

    topic: str
    partition: int
    offset: int
    append_ms: int


class Judged(NamedTuple):
    """What becomes of a record.

    `user` is its user's key. Of the records of a user with the same `once`, only the first can change
    anything, so the others need not go on; None where not even the first does. `dead_letter` is JSON,
    of a rejected record.
    """

    user: str | None = None
    once: str | None = None
    dead_letter: bytes | None = None


class Out(NamedTuple):
    """A record to publish."""

    topic: str
    key: bytes | None
    value: bytes


_NOTHING = Judged()


def judge(place: Place, key: bytes | None, value: bytes | None) -> Judged:
    """Whether a record is accepted, and whether the user's state can change by it."""
    try:
        event = accept(key, value, place.append_ms)
    except RejectedEvent as error:
        return Judged(_spot(place), _spot(place), encode(_dead_letter(place, key, value, error)))
    match event:
        case Tick() | Support():
            return _NOTHING
        case Account():  # each may bring something new
            return Judged(event.key, _spot(place))
        case _:
            pane = pane_of(event.ts, phase_ms(event.key))
            return Judged(event.key, f"{pane}{_mark(event.replay)}")


def lifecycle(user: str, tenants: Tenants) -> Lifecycle:
    """The operator of `user` (`tenant/user_id`), as the user's tenant wants it."""
    return Lifecycle(user, care_on_rise=tenants.of(user.partition("/")[0]).care_on_rise)


def step(
    life: Lifecycle, state: UserState, value: bytes, watermark_ms: int
) -> tuple[UserState, tuple[Settled, ...]]:
    """The state of a user after an accepted event, given as JSON."""
    event = parse(value)
    assert not isinstance(event, Tick)  # `judge` lets none pass
    return life.step(state, event, watermark_ms)


def settle(settled: Settled, detected_ms: float, now_ms: float) -> Out:
    """The record for a crossing: its decision where a rule holds it, else what is still to be composed.

    `detected_ms` is when the watermark passed its boundary, `now_ms` the present (epoch ms).
    """
    crossing = settled.crossing
    key = f"{crossing.tenant}/{crossing.user_id}".encode()
    if settled.held_by is None:
        return Out(CROSSINGS.name, key, encode(msgspec.structs.replace(crossing, detected_ms=detected_ms)))
    decision = Decision(
        id=crossing.id,
        tenant=crossing.tenant,
        user_id=crossing.user_id,
        cause=crossing.cause,
        at=crossing.at,
        from_tier=crossing.from_tier,
        to_tier=crossing.to_tier,
        activity=crossing.activity,
        outcome=Outcome.HELD,
        held_by=settled.held_by,
        strategy=crossing.to_tier.strategy,
        timing=Timing(detected_ms=detected_ms, steps={"evaluate": now_ms - detected_ms}, published_ms=now_ms),
    )
    return Out(DECISIONS.name, key, encode(decision))


def _spot(place: Place) -> str:
    return f"{place.topic}-{place.partition}-{place.offset}"


def _mark(replay: Replay | None) -> str:
    """A replay's mark is remembered with the user, so the first event that carries it must pass."""
    return "" if replay is None else f" {replay.until} {replay.compose}"


def _dead_letter(place: Place, key: bytes | None, value: bytes | None, error: RejectedEvent) -> DeadLetter:
    return DeadLetter(
        topic=place.topic,
        partition=place.partition,
        offset=place.offset,
        append_ms=place.append_ms,
        field=error.field,
        reason=error.reason,
        key=key,
        value=value,
    )
