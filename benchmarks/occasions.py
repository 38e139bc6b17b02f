"""Occasions to assess users, each at its own time: messages to support, bursts of errors, account changes.

They go out beside a load of users in the background, one for each user of the population: who is over the
threshold does not cross it a second time.
"""

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from msgspec import Struct

from benchmarks.sender import Sender
from schemas.codec import encode
from schemas.decision import decision_id
from schemas.errors import HoldfastError, UnavailableError
from schemas.events import Account, Event, Support, Usage
from schemas.topics import TOPIC_OF_KIND
from schemas.vocabulary import Cause, Locale, Trigger
from streams.bursts import FAILURES
from streams.traffic import Persona, Population

TRIGGERS = tuple(Trigger)
_TEXT = {Locale.EN: "The export fails again and again.", Locale.ZH: "导出功能总是失败。"}
_SEATS = 7
"""No account of the history has so many: with them it is a change."""


class Occasion(Struct, frozen=True, kw_only=True):
    """What happens to one user at `at` (epoch ms): the last of `events` is what the user is assessed at."""

    at: int
    trigger: Trigger
    events: tuple[Event, ...]

    @property
    def decision_id(self) -> str:
        """The id of the decision that must come of it."""
        last = self.events[-1]
        return decision_id(last.tenant, last.user_id, Cause.RISK, last.event_id)


def occasions(personas: Sequence[Persona], at_ms: Sequence[int]) -> Iterator[Occasion]:
    """One for each of `at_ms` and a user of its own, of the three kinds in turn."""
    for number, (persona, at) in enumerate(zip(personas, at_ms, strict=False)):
        trigger = TRIGGERS[number % len(TRIGGERS)]
        yield Occasion(at=at, trigger=trigger, events=_events(trigger, persona, at))


def _events(trigger: Trigger, persona: Persona, at: int) -> tuple[Event, ...]:
    tenant, user_id = persona.tenant, persona.user_id
    event_id = f"occasion-{user_id}"
    match trigger:
        case Trigger.SUPPORT:
            text, lang = _TEXT[persona.locale], persona.locale.value
            return (Support(event_id=event_id, tenant=tenant, user_id=user_id, ts=at, text=text, lang=lang),)
        case Trigger.ACCOUNT:
            return (Account(event_id=event_id, tenant=tenant, user_id=user_id, ts=at, seats=_SEATS),)
        case Trigger.ERRORS:
            return tuple(
                Usage(
                    event_id=f"{event_id}-{number}",
                    tenant=tenant,
                    user_id=user_id,
                    ts=at - FAILURES + 1 + number,
                    feature="export",
                    outcome="error",
                )
                for number in range(FAILURES)
            )


class Happening:
    """The load of `background`, and an occasion at each of `at_s` (s after the start)."""

    def __init__(self, bootstrap_servers: str, background: Sender, at_s: Sequence[float]) -> None:
        self._servers, self._background, self._at_s = bootstrap_servers, background, at_s
        self.sent = 0
        self.planned: list[Occasion] = []
        self.append_ms: dict[str, int] = {}
        """When (epoch ms) the broker appended the last event of each occasion, by its decision's id."""
        self._failure: HoldfastError | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self, population: Population, start_ms: int, seconds: float) -> None:
        """Begin at `start_ms` (epoch ms)."""
        times = [start_ms + round(at_s * 1000) for at_s in self._at_s]
        self.planned = list(occasions(population.personas, times))
        self._background.start(population, start_ms, seconds)
        self._thread.start()

    def check(self) -> None:
        """Raise what ended one of the two."""
        self._background.check()
        self.sent = self._background.sent + len(self.append_ms)
        if self._failure is not None:
            raise self._failure

    def join(self) -> None:
        """Wait for the last acknowledgements."""
        self._background.join()
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._send())
        except (KafkaError, OSError) as error:
            self._failure = UnavailableError(f"Kafka at {self._servers} does not answer: {error}")

    async def _send(self) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self._servers, acks="all")
        await producer.start()
        try:
            sending = []
            for occasion in self.planned:
                await asyncio.sleep(max(0.0, occasion.at / 1000 - time.time()))
                sending.append(asyncio.create_task(self._one(producer, occasion)))
            await asyncio.gather(*sending)
        finally:
            await producer.stop()

    async def _one(self, producer: AIOKafkaProducer, occasion: Occasion) -> None:
        for event in occasion.events:
            topic = TOPIC_OF_KIND[str(event.__struct_config__.tag)].name
            sent = await producer.send_and_wait(topic, encode(event), key=event.key.encode())
        self.append_ms[occasion.decision_id] = sent.timestamp
