"""Drives a running stack with generated traffic: a history, then live events at a constant rate.

The load is open: each event goes out at its own time, whatever the stream does. The users who shall decline
do so at boundaries known beforehand, spread over the live part.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator

from msgspec import Struct

from schemas.codec import encode
from schemas.errors import HoldfastError
from schemas.events import Event, Replay
from schemas.topics import DECISIONS
from streams.batch import pane_of, phase_ms
from streams.consumer import Record, reading
from streams.flink.rest import Rest
from streams.producer import send
from streams.sending import Disorder, outgoing
from streams.settings import Settings
from streams.traffic import TENANT, Population, populate

_PATIENCE_MS = 60_000
"""How long after the live part crossings are still waited for."""
_CATCH_UP_S = 300.0

Stage = Callable[[str, int, int | None], None]
"""What is being done, how much of it is done, and of how much."""


class Load(Struct, frozen=True, kw_only=True):
    """How many users there are, how many of them decline in the live part, and at what rate events come.

    `lead_s` is the time between the end of the history and the live part: it is generated and sent in it.
    `warm_up_s` at the head of the live part belong to it, and the crossings begin with it.
    """

    users: int
    declining: int
    rate_per_s: float
    seconds: float
    warm_up_s: float = 0.0
    lead_s: float = 20.0
    seed: int = 1
    thin: bool = False
    """One event for each active pane is enough: the history is sent in a third of the time."""


class Drive:
    """One run against the stack of `settings`."""

    def __init__(self, settings: Settings, load: Load) -> None:
        self._settings, self._load = settings, load
        self.population: Population | None = None
        self.live_from_ms = 0
        self.sent = 0
        self._failure: HoldfastError | None = None

    def run(self, on_stage: Stage, on_record: Callable[[Record | None], None]) -> None:
        """History, then the live part; `on_record` gets each decision, and None after each look.

        Raises:
            HoldfastError: the stack does not take the events.
        """
        load, settings = self._load, self._settings
        on_stage("making users", 0, None)
        now_ms = int(time.time() * 1000)
        span_s = load.warm_up_s + load.seconds
        population = self.population = populate(
            load.users, now_ms, load.seed, declining=load.declining, window_s=span_s, lead_s=load.lead_s
        )
        self._send_history(population, on_stage)
        on_stage("waiting for the stream to catch up", 0, None)
        Rest(settings.flink_port).wait_watermark(population.now_ms - 1, _CATCH_UP_S)
        with reading(settings.bootstrap_servers, DECISIONS, from_beginning=False) as reader:
            self.live_from_ms = int(max(now_ms + load.lead_s * 1000, time.time() * 1000))
            end_ms = self.live_from_ms + span_s * 1000
            while (left_ms := self.live_from_ms - time.time() * 1000) > 0:
                on_stage(
                    "waiting for the first crossing", int(load.lead_s - left_ms / 1000), int(load.lead_s)
                )
                reader.poll()
            sender = threading.Thread(target=self._send_live, args=(population, span_s), daemon=True)
            sender.start()
            # A stall is waited out, or what it delayed would be missing from the figures.
            waiting = {f"{TENANT}/{plan.user_id}".encode() for plan in population.plans}
            until_ms = end_ms + _PATIENCE_MS
            while self._failure is None and self.now_ms() < until_ms and (waiting or self.now_ms() < end_ms):
                for record in reader.poll():
                    waiting.discard(record.key or b"")
                    on_record(record)
                on_record(None)
            sender.join(timeout=10)
        if self._failure is not None:
            raise self._failure

    @staticmethod
    def now_ms() -> float:
        """The clock that all of it goes by, epoch ms."""
        return time.time() * 1000

    def is_measured(self, at_ms: float) -> bool:
        """Whether a decision for that boundary belongs to what is measured, and not to the warm-up."""
        return at_ms >= self.live_from_ms + self._load.warm_up_s * 1000

    def _send_history(self, population: Population, on_stage: Stage) -> None:
        events = population.history()
        if self._load.thin:
            events = list(_thinned(events))
        on_stage("sending history", 0, len(events))
        bound_ms = self._settings.watermark_bound_ms
        records = outgoing(map(encode, events), Replay(until=population.now_ms), Disorder(bound_ms=bound_ms))
        asyncio.run(
            send(
                self._settings.bootstrap_servers,
                records,
                on_progress=lambda sent: on_stage("sending history", sent.events, len(events)),
            )
        )

    def _send_live(self, population: Population, seconds: float) -> None:
        live = population.live(self._load.rate_per_s, self.live_from_ms, seconds)

        def counted() -> Iterator[bytes]:
            for event in live:
                self.sent += 1
                yield encode(event)

        try:
            asyncio.run(send(self._settings.bootstrap_servers, outgoing(counted()), speed=1.0))
        except HoldfastError as error:
            self._failure = error


def _thinned(events: list[Event]) -> Iterator[Event]:
    seen: set[tuple[str, type[Event], int]] = set()
    for event in events:
        place = (event.user_id, type(event), pane_of(event.ts, phase_ms(event.key)))
        if place not in seen:
            seen.add(place)
            yield event
