"""Joins what users did to the decisions that it came of, exactly once for each outcome's id.

What a crash leaves behind, at each point of the way of an outcome:

| the process ends | what follows |
| --- | --- |
| before the claim of the id, or before it waits | the record was not committed, comes again, and is new |
| after the claim, before the broker has acknowledged | it comes again, has its own claim, and is published |
| after the acknowledgement, before the claim says so | published again: same key, same bytes; one is kept |
| after that, before the commit | it comes again and is dropped, as any copy is |
| while it waits | it waits in Redis, and the place on the topic that Redis remembers is behind it |
| after its decision came, before it waits no longer | the decision comes again, and finds it waiting |

Redis holds the state *and* the offsets that go with it (`streams.joined`). One record is worked on at a time:
copies of an outcome have one key, hence one partition, and follow each other.
"""

from collections.abc import AsyncIterator, Callable
from hashlib import blake2b

import msgspec

from schemas.codec import accept_outcome, encode, parse_outcome
from schemas.deadletter import DeadLetter
from schemas.decision import Decision
from schemas.errors import RejectedEvent
from schemas.feedback import About, about, join, outcome_key
from schemas.outcome import UserOutcome
from schemas.topics import DECISIONS, FEEDBACK, REJECTED
from schemas.vocabulary import HeldBy
from streams.agents.agent import Received
from streams.agents.author import now_ms
from streams.flow import Out, Place, reject
from streams.joined import Joins, Parked

WAIT_DAYS = 7
"""How long an outcome waits for its decision. It cannot come of one that is older than that and unknown."""
_DAY_MS = 86_400_000
_LOOK_MS = 60_000
"""How often those are looked for whose time is over."""

_decisions = msgspec.json.Decoder(Decision)
_letters = msgspec.json.Decoder(DeadLetter)


class _Made:
    """What is to be published, and what Redis is told once it was."""

    def __init__(self) -> None:
        self.outs: list[Out] = []
        self.told: list[tuple[str, str]] = []
        self.done: list[Parked] = []


class Joiner:
    """Takes decisions and outcomes, in whatever order they come, one at a time."""

    def __init__(self, store: Joins, clock: Callable[[], float] = now_ms) -> None:
        self._store = store
        self._clock = clock
        self._looked_ms = 0.0

    async def take(self, received: Received) -> AsyncIterator[list[Out]]:
        """What is to be published of a record of `decisions` or `outcomes`; once it is, Redis is told."""
        made = _Made()
        if received.topic == DECISIONS.name:
            await self._decision(_decisions.decode(received.value or b""), made)
        else:
            await self._outcome(received, made)
        if self._clock() - self._looked_ms >= _LOOK_MS:
            await self._give_up(made)
            self._looked_ms = self._clock()
        yield made.outs
        for key, digest in made.told:
            await self._store.published(key, digest)
        await self._store.unpark(made.done)

    async def _decision(self, decision: Decision, made: _Made) -> None:
        if decision.held_by is HeldBy.REPLAY:
            return  # of the past: nobody was written to, nor compared with
        of = await self._store.learn(about(decision))
        for parked in await self._store.parked(decision.id):
            await self._release(parked, of, made)

    async def _outcome(self, received: Received, made: _Made) -> None:
        try:
            outcome = accept_outcome(received.key, received.value)
        except RejectedEvent as error:
            made.outs.append(reject(_place(received), received.key, received.value, error))
            return
        of = await self._store.about(outcome.decision_id)
        if of is not None:
            await self._join(outcome, of, _letter(received), made)
            return
        parked = Parked(
            outcome.decision_id,
            f"{received.topic}-{received.partition}-{received.offset}",
            encode(_letter(received)),
        )
        await self._store.park(parked, int(self._clock()) + WAIT_DAYS * _DAY_MS)
        # Its decision may have come between the two looks, and not have seen it wait.
        of = await self._store.about(outcome.decision_id)
        if of is not None:
            await self._release(parked, of, made)

    async def _release(self, parked: Parked, of: About, made: _Made) -> None:
        letter = _letters.decode(parked.letter)
        await self._join(parse_outcome(letter.value), of, letter, made)
        made.done.append(parked)

    async def _join(self, outcome: UserOutcome, of: About, letter: DeadLetter, made: _Made) -> None:
        if outcome.key != of.key:
            made.outs.append(_rejected(letter, "decision_id", "is that of a decision on another user"))
            return
        key, digest = outcome_key(outcome), blake2b(encode(outcome), digest_size=16).hexdigest()
        claim = await self._store.claim(key, digest)
        if not claim.ours:
            made.outs.append(_rejected(letter, "outcome_id", "was given to another outcome before"))
        elif not claim.published and (key, digest) not in made.told:
            made.outs.append(Out(FEEDBACK.name, key.encode(), encode(join(outcome, of))))
            made.told.append((key, digest))

    async def _give_up(self, made: _Made) -> None:
        for parked in await self._store.overdue(int(self._clock())):
            if parked in made.done:
                continue
            if parked.letter:  # its decision may have come, and the process ended in between
                letter = _letters.decode(parked.letter)
                made.outs.append(Out(REJECTED.name, letter.key, parked.letter))
            made.done.append(parked)


def _place(received: Received) -> Place:
    return Place(received.topic, received.partition, received.offset, received.append_ms)


def _letter(received: Received) -> DeadLetter:
    """The dead letter that an outcome becomes if its decision never comes."""
    return DeadLetter(
        topic=received.topic,
        partition=received.partition,
        offset=received.offset,
        append_ms=received.append_ms,
        field="decision_id",
        reason=f"names no decision that came within {WAIT_DAYS} days",
        key=received.key,
        value=received.value,
    )


def _rejected(letter: DeadLetter, field: str, reason: str) -> Out:
    return Out(REJECTED.name, letter.key, encode(msgspec.structs.replace(letter, field=field, reason=reason)))
