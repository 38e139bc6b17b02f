"""Drives a running stack with generated traffic: a history, then live events.

The load is open: each event goes out at its own time, whatever the stream does. The users who shall decline
do so at boundaries known beforehand, spread over the live part.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from msgspec import Struct

from schemas.codec import encode
from schemas.errors import HoldfastError
from schemas.events import Replay
from schemas.topics import DECISIONS
from streams.consumer import Record, reading
from streams.flink.rest import Rest
from streams.producer import send
from streams.sending import Disorder, outgoing
from streams.settings import Settings
from streams.traffic import Population, populate

_PATIENCE_MS = 60_000
"""How long after the live part crossings are still waited for."""
_CATCH_UP_S = 300.0
_WAIT_MS = 500
"""For which the broker holds a question where nothing has come: to ask more often takes the stream's time."""

Stage = Callable[[str, int, int | None], None]
"""What is being done, how much of it is done, and of how much."""


class Load(Struct, frozen=True, kw_only=True):
    """How many users there are, when which of them decline, and how long live events come.

    `lead_s` is the time between the end of the history and the live part: the history is generated and sent
    in it. `declines_s` are seconds after the start of the live part, `tenants` whose users those are.
    `warm_up_s` at its head are not measured, and what comes in the `seconds` after them is.
    """

    users: int
    declines_s: tuple[float, ...]
    tenants: tuple[str, ...] = ()
    seconds: float
    warm_up_s: float = 0.0
    lead_s: float = 20.0
    seed: int = 1
    thin: bool = False


class Live(Protocol):
    """Sends the live events: at their own times, whatever the stream does."""

    sent: int
    """How many events, so far."""

    def start(self, population: Population, start_ms: int, seconds: float) -> None:
        """Begin at `start_ms` (epoch ms, some time ahead), and return at once."""

    def check(self) -> None:
        """Raise the HoldfastError for which sending has ended before its time."""

    def join(self) -> None:
        """Wait for the last acknowledgements."""


class Habits:
    """The live events that the population makes by itself, at a constant rate, from a thread."""

    def __init__(self, bootstrap_servers: str, rate_per_s: float) -> None:
        self._servers, self._rate_per_s = bootstrap_servers, rate_per_s
        self.sent = 0
        self._thread: threading.Thread | None = None
        self._failure: HoldfastError | None = None

    def start(self, population: Population, start_ms: int, seconds: float) -> None:
        """Begin at `start_ms`."""
        live = population.live(self._rate_per_s, start_ms, seconds)

        def counted() -> Iterator[bytes]:
            for event in live:
                self.sent += 1
                yield encode(event)

        def run() -> None:
            time.sleep(max(0.0, start_ms / 1000 - time.time()))  # the load begins by the clock
            try:
                asyncio.run(send(self._servers, outgoing(counted()), speed=1.0))
            except HoldfastError as error:
                self._failure = error

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise what ended the sending."""
        if self._failure is not None:
            raise self._failure

    def join(self) -> None:
        """Wait for the thread."""
        if self._thread is not None:
            self._thread.join(timeout=10)


class Drive:
    """One run against the stack of `settings`."""

    def __init__(self, settings: Settings, load: Load, live: Live) -> None:
        self._settings, self._load, self._live = settings, load, live
        self.population: Population | None = None
        self.live_from_ms = 0
        self.history_s = 0.0
        """How long it took to make the history, to send it and to have it read."""

    @property
    def sent(self) -> int:
        """Live events sent so far."""
        return self._live.sent

    @property
    def measured_ms(self) -> tuple[float, float]:
        """The begin and the end (epoch ms) of what is measured."""
        begin_ms = self.live_from_ms + self._load.warm_up_s * 1000
        return begin_ms, begin_ms + self._load.seconds * 1000

    def run(self, on_stage: Stage, on_record: Callable[[Record | None], None]) -> None:
        """History, then the live part; `on_record` gets each decision, and None after each look.

        Raises:
            HoldfastError: the stack does not take the events.
        """
        load, settings, live = self._load, self._settings, self._live
        on_stage("making users", 0, None)
        now_ms = int(time.time() * 1000)
        population = self.population = populate(
            load.users,
            now_ms,
            load.seed,
            declines_s=[load.lead_s + at_s for at_s in load.declines_s],
            tenants=load.tenants,
            thin=load.thin,
        )
        self._send_history(population, on_stage)
        on_stage("waiting for the stream to catch up", 0, None)
        Rest(settings.flink_port).wait_watermark(population.now_ms - 1, _CATCH_UP_S)
        self.history_s = (self.now_ms() - now_ms) / 1000
        with reading(
            settings.bootstrap_servers, DECISIONS, from_beginning=False, max_wait_ms=_WAIT_MS
        ) as reader:
            self.live_from_ms = int(max(now_ms + load.lead_s * 1000, time.time() * 1000))
            end_ms = self.measured_ms[1]
            live.start(population, self.live_from_ms, load.warm_up_s + load.seconds)
            while (left_ms := self.live_from_ms - time.time() * 1000) > 0:
                on_stage(
                    "waiting for the first live event", int(load.lead_s - left_ms / 1000), int(load.lead_s)
                )
                reader.poll()
            # A stall is waited out, or what it delayed would be missing from the figures.
            waiting = {plan.key.encode() for plan in population.plans if plan.at < end_ms}
            until_ms = end_ms + _PATIENCE_MS
            while self.now_ms() < until_ms and (waiting or self.now_ms() < end_ms):
                live.check()
                for record in reader.poll():
                    waiting.discard(record.key or b"")
                    on_record(record)
                on_record(None)
            live.join()
            live.check()

    @staticmethod
    def now_ms() -> float:
        """The clock that all of it goes by, epoch ms."""
        return time.time() * 1000

    def is_measured(self, at_ms: float) -> bool:
        """Whether a decision for that boundary belongs to what is measured."""
        begin_ms, end_ms = self.measured_ms
        return begin_ms <= at_ms < end_ms

    def _send_history(self, population: Population, on_stage: Stage) -> None:
        events = population.history()
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
