"""Sends the load from a process of its own, so that nothing else that Python does here delays it.

The load is open: each event has its intended time, and goes out at it whether or not the stream keeps up. If
the sender itself falls behind, what is due goes out at once, and how late that was is reported.
"""

import asyncio
import logging
import multiprocessing
import time
from multiprocessing.connection import Connection

import uvloop
from msgspec import Struct

from benchmarks.load import STEP_S, Background, Shape
from schemas.errors import HoldfastError, UnavailableError
from streams.producer import connected
from streams.telemetry import Latencies, Latency
from streams.traffic import Population

LATE_MS = 3 * STEP_S * 1000
"""An event that went out so long after its time was sent late: it waits for the end of its step anyway."""
_MOST_HELD = 5000
_TELL_S = 0.5
_STARTS_WITHIN_S = 30.0
_ENDS_WITHIN_S = 60.0


class Sending(Struct, frozen=True, kw_only=True):
    """What the sender did. `send_lag` is from the intended time until the producer had the event."""

    sent: int
    late: int
    """Events that went out more than `LATE_MS` after their time."""
    send_lag: Latency
    send_lag_histogram: str
    by_second: list[int]
    """Events by the second of their intended time after the start."""
    new_panes: int
    """Users' hours that became active: the events that the keyed operator sees."""
    time_factor: float
    """By how much the users' own time was compressed to meet the rate."""
    cpu_us_per_event: float
    """Processor time of the sender, the making and encoding of the events included."""


class Sender:
    """The load of `shape`, sent by another process."""

    def __init__(self, bootstrap_servers: str, shape: Shape) -> None:
        self._servers, self._shape = bootstrap_servers, shape
        self.sent = 0
        self.done: Sending | None = None
        self._process: multiprocessing.process.BaseProcess | None = None
        self._pipe: Connection | None = None

    @property
    def pid(self) -> int | None:
        """The process that sends."""
        return None if self._process is None else self._process.pid

    def start(self, population: Population, start_ms: int, seconds: float) -> None:
        """Begin at `start_ms` (epoch ms); the population is there beside these users.

        Raises:
            UnavailableError: it is too late for the plans, or the process does not start.
        """
        if any(plan.at < start_ms for plan in population.plans):
            raise UnavailableError("the stream took too long for the history: the first crossing has passed")
        spawn = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawn.Pipe(duplex=False)
        self._process = spawn.Process(
            name="load", target=_run, args=(self._servers, self._shape, start_ms, theirs), daemon=True
        )
        self._process.start()
        theirs.close()
        if not self._pipe.poll(_STARTS_WITHIN_S):
            raise UnavailableError("the sender of the load did not start")
        self._take()

    def check(self) -> None:
        """Take what the process tells; raise what ended it."""
        while self.done is None and self._pipe is not None and self._pipe.poll():
            self._take()

    def join(self) -> None:
        """Wait for its last word."""
        end_s = time.monotonic() + _ENDS_WITHIN_S
        while self.done is None and self._pipe is not None:
            if not self._pipe.poll(max(0.0, end_s - time.monotonic())):
                raise UnavailableError("the sender of the load did not end")
            self._take()

    def _take(self) -> None:
        assert self._pipe is not None  # the callers have looked
        try:
            told: int | str | Sending = self._pipe.recv()
        except EOFError:
            raise UnavailableError("the sender of the load has died") from None
        if isinstance(told, str):
            raise UnavailableError(told)
        if isinstance(told, Sending):
            self.done = told
        self.sent = told.sent if isinstance(told, Sending) else told


def _run(servers: str, shape: Shape, start_ms: int, pipe: Connection) -> None:
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it logs each attempt to connect
    try:
        pipe.send(uvloop.run(_send(servers, shape, start_ms, pipe)))
    except HoldfastError as error:
        pipe.send(str(error))


async def _send(servers: str, shape: Shape, start_ms: int, pipe: Connection) -> Sending:
    background = Background(shape, start_ms)
    by_second = [0] * (int(shape.seconds) + 2)
    lags, waiting = _Lags(), list[float]()
    sent, told_s = 0, time.monotonic()
    begun_cpu_s = time.process_time()
    async with connected(servers) as producer:
        pipe.send(0)
        for step in background.steps():
            for record in step.records:
                await producer.add(*record)
            waiting += step.intended_s
            sent += len(step.records)
            by_second[int(step.due_s - STEP_S / 2)] += len(step.records)
            # Who has fallen behind sends what is due in few large batches, to catch up.
            wait_s = start_ms / 1000 + step.due_s - time.time()
            if wait_s > -STEP_S or len(waiting) > _MOST_HELD:
                await asyncio.sleep(max(0.0, wait_s))
                await producer.flush()
                lags.count(waiting, time.time() - start_ms / 1000)
                waiting = []
            if time.monotonic() - told_s > _TELL_S:
                told_s = time.monotonic()
                pipe.send(sent)
        await producer.flush(wait=True)
        lags.count(waiting, time.time() - start_ms / 1000)
    return Sending(
        sent=sent,
        late=lags.late,
        send_lag=lags.times.summary(),
        send_lag_histogram=lags.times.encoded(),
        by_second=by_second,
        new_panes=background.new_panes,
        time_factor=background.factor,
        cpu_us_per_event=(time.process_time() - begun_cpu_s) / max(1, sent) * 1e6,
    )


class _Lags:
    """How late events went out, to the millisecond."""

    def __init__(self) -> None:
        self.times = Latencies()
        self.late = 0

    def count(self, intended_s: list[float], now_s: float) -> None:
        """Events that have just gone out; times in s after the start."""
        lags: dict[int, int] = {}
        for due_s in intended_s:
            lag_ms = round((now_s - due_s) * 1000)
            lags[lag_ms] = lags.get(lag_ms, 0) + 1
        for lag_ms, times in lags.items():
            self.times.record(lag_ms, times)
            self.late += times if lag_ms > LATE_MS else 0
