"""Where the loop runs: on the stack, through Kafka and Flink, or in this process.

Simulated days pass much faster than the clock. Events are marked as a replay that composes, so nothing is too
old, and every crossing is composed when event time reaches it.
"""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import msgspec
from kafka import KafkaProducer

from benchmarks.simulation.parameters import PROFILE, TENANT
from inference.client import Generation
from operators.window import pane_of, phase_ms
from schemas.codec import encode
from schemas.decision import Crossing, Decision, Ruling
from schemas.errors import UnavailableError
from schemas.events import Account, Event, Login, Replay, Support, Tick, Usage
from schemas.feedback import Feedback, about, join
from schemas.outcome import UserOutcome
from schemas.policy import RuleBook, Rules
from schemas.topics import CROSSINGS, DECISIONS, OUTCOMES, TOPIC_OF_KIND
from streams.agents.author import Author
from streams.agents.composer import Composer
from streams.agents.prompter import Prompter
from streams.agents.segments import Segments
from streams.consumer import Reader
from streams.feedback import read_decisions, read_feedback
from streams.memory import Memory
from streams.producer import send
from streams.rules import publish_rules
from streams.sending import Outgoing
from streams.settings import Settings
from streams.store import User
from streams.tenants import Tenants

_SPAN_MS = 30 * 86_400_000
_SPAN_DAYS = 32
"""A script's facts reach back 30 days from its crossing, which may have been put off overnight."""
_PATIENT_MS = 60_000.0
_PATIENCE_S = 180.0
_HEARD_S = 3.0
"""What the job's copies of the rules may take to hear of a new version, generously."""
_SETTLE_S = 0.3
"""What the writer of sequences gets to catch up before event time moves on."""

_decision = msgspec.json.Decoder(Decision)
_crossing = msgspec.json.Decoder(Crossing)
_event = msgspec.json.Decoder(Login | Usage | Support)


class Engine(Protocol):
    """What runs the jobs: events go in, and decisions come out."""

    def publish(self, rules: Rules) -> None:
        """A new version of the rules."""

    def day(self, events: Sequence[Event], until_ms: int, replay: Replay) -> list[Decision]:
        """Event time goes on to `until_ms` with `events`; all the decisions that this leads to."""

    def report(self, outcomes: Sequence[UserOutcome]) -> None:
        """What came of decisions is told to the stream."""

    def known(
        self, decisions: Sequence[Decision], outcomes: Sequence[UserOutcome]
    ) -> tuple[Sequence[Decision], Sequence[Feedback]]:
        """What is to be learned from: `decisions` and their `outcomes` as the stream has them."""


class InMemory:
    """The operators and the composer in this process; people's templates are all that is written."""

    def __init__(self, tenants: Tenants | None = None) -> None:
        self._tenants = tenants or Tenants({TENANT: PROFILE})
        self._memory = Memory(self._tenants, now_ms=1)
        self._sequences = _Sequences()
        self._composer = Composer(
            author=Author(self._sequences, self._tenants),
            model=_Nobody(),
            segments=Segments(_Nobody(), Prompter()),
            prompter=Prompter(),
            budget_ms=_PATIENT_MS,
            publish_margin_ms=0.0,
        )
        self._phases: dict[str, int] = {}

    def publish(self, rules: Rules) -> None:
        """A new version of the rules."""
        self._memory.book = RuleBook([*self._memory.book.versions, rules])

    def crossed(self, events: Sequence[Event], until_ms: int) -> tuple[list[Decision], list[Crossing]]:
        """What the operators decided by themselves, and what is still to be composed."""
        self._sequences.add(events)
        for event in self._marking(events):
            self._memory.send(TOPIC_OF_KIND[_kind(event)].name, event.key.encode(), encode(event))
        self._memory.tick(until_ms + self._memory.bound_ms + 1)
        news = self._memory.drain()
        decided = [_decision.decode(one.value) for one in news if one.topic == DECISIONS.name]
        return decided, [_crossing.decode(one.value) for one in news if one.topic == CROSSINGS.name]

    def day(self, events: Sequence[Event], until_ms: int, replay: Replay) -> list[Decision]:
        """Event time goes on to `until_ms` with `events`; all the decisions that this leads to."""
        decided, crossings = self.crossed(events, until_ms)
        return [*decided, *asyncio.run(self._compose(crossings))]

    def report(self, outcomes: Sequence[UserOutcome]) -> None:
        """Nobody listens here."""

    def known(
        self, decisions: Sequence[Decision], outcomes: Sequence[UserOutcome]
    ) -> tuple[Sequence[Decision], Sequence[Feedback]]:
        """The same, each outcome joined to its decision."""
        abouts = {one.id: about(one) for one in decisions}
        return decisions, [join(one, abouts[one.decision_id]) for one in outcomes]

    async def _compose(self, crossings: Iterable[Crossing]) -> list[Decision]:
        now_ms = time.time() * 1000
        return [
            await self._composer.compose(msgspec.structs.replace(one, detected_ms=now_ms))
            for one in crossings
        ]

    def _marking(self, events: Sequence[Event]) -> Iterator[Event]:
        """Of a user's logins and uses in an hour the first: as in the job, no other changes anything."""
        seen: set[tuple[str, int]] = set()
        for event in events:
            if isinstance(event, Login | Usage):
                key = event.key
                if (phase := self._phases.get(key)) is None:
                    phase = self._phases[key] = phase_ms(key)
                pane = key, pane_of(event.ts, phase)
                if pane in seen:
                    continue
                seen.add(pane)
            yield event


class OnStack:
    """The stack of `settings`: events, rules and outcomes go through Kafka, decisions come from it.

    The same operators run here as well, without composing: they tell which decisions a day has, and so when
    all of them have come. `differing` are decisions of the stream that they did not expect, or decided
    otherwise.
    """

    def __init__(self, settings: Settings, reader: Reader, tenants: Tenants | None = None) -> None:
        self._settings, self._reader = settings, reader
        self._expected = InMemory(tenants)
        self._seen: set[str] = set()
        self.differing = 0
        self._producer = KafkaProducer(bootstrap_servers=settings.bootstrap_servers.split(","), acks="all")

    def publish(self, rules: Rules) -> None:
        """A new version of the rules, heard of by all before this returns."""
        publish_rules(self._settings.bootstrap_servers, [rules])
        self._expected.publish(rules)
        time.sleep(_HEARD_S)  # a copy of the rules tells nobody what it has heard

    def day(self, events: Sequence[Event], until_ms: int, replay: Replay) -> list[Decision]:
        """Event time goes on to `until_ms` with `events`; all the decisions that this leads to.

        Raises:
            UnavailableError: the broker does not answer, or a decision does not come.
        """
        servers = self._settings.bootstrap_servers
        records = [
            Outgoing(event.ts, TOPIC_OF_KIND[_kind(event)].name, event.key.encode(), encode(event))
            for event in events
        ]
        asyncio.run(send(servers, records))
        held, crossings = self._expected.crossed(events, until_ms)
        time.sleep(_SETTLE_S)  # the writer tells nobody how far it is, but with its next commit
        tick = Tick(ts=until_ms + self._settings.watermark_bound_ms + 1, replay=replay)
        asyncio.run(send(servers, [Outgoing(until_ms, None, None, encode(tick))]))
        rulings = {one.id: one.ruling for one in held} | {one.id: one.ruling for one in crossings}
        return self._await(rulings)

    def report(self, outcomes: Sequence[UserOutcome]) -> None:
        """Outcomes go to their topic."""
        for one in outcomes:
            self._producer.send(OUTCOMES.name, key=one.key.encode(), value=encode(one))
        self._producer.flush()

    def known(
        self, decisions: Sequence[Decision], outcomes: Sequence[UserOutcome]
    ) -> tuple[Sequence[Decision], Sequence[Feedback]]:
        """Both from their topics, once the agent has joined all outcomes that were reported.

        Raises:
            UnavailableError: the broker does not answer, or outcomes are not joined.
        """
        servers, end_s = self._settings.bootstrap_servers, time.monotonic() + _PATIENCE_S
        expected = len({one.outcome_id for one in outcomes})  # who was won back may leave a second time
        while len(feedback := read_feedback(servers)) < expected:
            if time.monotonic() > end_s:
                raise UnavailableError(f"{expected - len(feedback)} outcomes are not joined yet")
            time.sleep(_HEARD_S)  # the agent tells nobody how far it is, and a look reads a topic whole
        return read_decisions(servers), feedback

    def close(self) -> None:
        """Let go of the broker."""
        self._producer.close()

    def _await(self, rulings: dict[str, Ruling | None]) -> list[Decision]:
        waiting, found = set(rulings), []
        end_s = time.monotonic() + _PATIENCE_S
        while waiting:
            for record in self._reader.poll():
                decision = _decision.decode(record.value or b"")
                if decision.id in self._seen:
                    continue
                self._seen.add(decision.id)
                found.append(decision)
                self.differing += decision.ruling != rulings.get(decision.id)
                waiting.discard(decision.id)
                end_s = time.monotonic() + _PATIENCE_S
            if time.monotonic() > end_s:
                raise UnavailableError(f"{len(waiting)} decisions have not come within {_PATIENCE_S:g} s")
        return found


class _Nobody:
    """A model that writes nothing, so that people's templates are sent."""

    def version_for(self, user: str) -> str:
        return "none"

    async def generate(self, prompt: str, deadline_ms: float, user: str = "", *, seed: int = 0) -> Generation:
        raise UnavailableError("no model is asked here")


class _Sequences:
    """The users' last 30 days, as Redis would have them: a day of all users after the other."""

    def __init__(self) -> None:
        self._days: deque[dict[str, list[bytes]]] = deque(maxlen=_SPAN_DAYS)
        self._accounts: dict[str, Account] = {}

    def add(self, events: Sequence[Event]) -> None:
        """The events of the next day."""
        day: defaultdict[str, list[bytes]] = defaultdict(list)
        for event in events:
            if isinstance(event, Account):
                self._accounts[event.key] = event
            else:
                day[event.key].append(encode(event))
        self._days.append(day)

    async def user(self, key: str, as_of_ms: int) -> User:
        events = [_event.decode(one) for day in self._days for one in day.get(key, ())]
        span = tuple(one for one in events if as_of_ms - _SPAN_MS < one.ts <= as_of_ms)
        return User(events=span, account=self._accounts.get(key))


def _kind(event: Event) -> str:
    return str(event.__struct_config__.tag)
