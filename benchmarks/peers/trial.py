"""One candidate on a broker of its own: how fast it reads the log, how soon it answers, what a kill costs."""

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import psutil
from msgspec import Struct

from benchmarks.peers.candidates import TICKER
from benchmarks.peers.log import END, MARKS_EACH, MIDDLE, WARM, Log, live_values
from benchmarks.peers.tally import Comparison, Tally
from schemas.decision import decision_id
from schemas.errors import UnavailableError
from schemas.topics import CROSSINGS, DECISIONS, REJECTED
from schemas.vocabulary import Cause
from streams.consumer import Reader, reading
from streams.embedded import Stack, process
from streams.embedded.broker import BROKER
from streams.embedded.component import Component
from streams.producer import send
from streams.sending import Outgoing, outgoing
from streams.settings import Settings
from streams.telemetry import Latencies, Latency
from streams.traffic import TENANT

_START_S = 120.0
_READ_S = 180.0
_QUIET_S = 6.0
"""Once all has been read, what does not come in this time is missing."""
_WARM_UP_S = 5.0
_AFTER_S = 3.0


class Speed(Struct, frozen=True, kw_only=True):
    """How fast the second part of the log was read, and with how much processor time, broker left out."""

    events: int
    seconds: float
    events_per_s: float
    cpu_s_per_million: float


class Silent(Struct, frozen=True, kw_only=True):
    """Live declines of users who sent nothing: how many were due, how many came, and how late (ms)."""

    due: int
    published: int
    lateness: Latency


class Killed(Struct, frozen=True, kw_only=True):
    """What a kill half-way left, and how long (s) from the restart until something was published again."""

    comparison: Comparison
    back_after_s: float


class Trial:
    """A broker and a candidate in the work directory of `settings`, for the time of a `with`."""

    def __init__(self, settings: Settings, candidate: Sequence[Component], log: Log) -> None:
        self._names = [part.name for part in candidate]
        self._stack = Stack(settings, (BROKER, *candidate, TICKER))
        self._log = log
        self._tally = Tally(log.expected, log.until_ms)
        self._open = ExitStack()
        self._readers: list[tuple[str, Reader]] = []

    def __enter__(self) -> "Trial":
        """Bring up both; the first part of the log has been read then."""
        try:
            self._begin()
        except BaseException:
            self._open.close()
            raise
        return self

    def _begin(self) -> None:
        self._open.callback(self._stack.down)
        self._stack.up(("broker",))
        for topic in (REJECTED, DECISIONS, CROSSINGS):
            reader = self._open.enter_context(reading(self._servers, topic))
            self._readers.append((topic.name, reader))
        self._send(self._log.first)
        self._stack.up(self._names)
        self._wait(lambda: self._tally.marks(WARM) == MARKS_EACH, _START_S, "read the first part")

    def __exit__(self, *exc: object) -> None:
        """Stop both."""
        self._open.close()

    def speed(self) -> tuple[Speed, Comparison]:
        """Read the second part, flat out."""
        processes = self._processes()
        with _stopped(processes):
            self._send(self._log.second)
            before_s, begun_ms = _used_s(processes), time.time() * 1000
        used_s = self._until_done(lambda: _used_s(processes)) - before_s
        seconds = (self._tally.last_ms - begun_ms) / 1000
        speed = Speed(
            events=self._log.events,
            seconds=seconds,
            events_per_s=self._log.events / seconds,
            cpu_s_per_million=used_s * 1e6 / self._log.events,
        )
        return speed, self._tally.comparison()

    def live(self, rate_per_s: float, seconds: float) -> tuple[Latency, Silent]:
        """Live events at a constant rate: rejected event to dead letter, and silent users' declines."""
        self._stack.up(("ticker",))
        start_ms = int(time.time() * 1000) + 500
        from_ms, end_ms = start_ms + _WARM_UP_S * 1000, start_ms + (_WARM_UP_S + seconds) * 1000
        values = live_values(self._log.population, rate_per_s, start_ms, _WARM_UP_S + seconds)
        sender = threading.Thread(
            target=lambda: asyncio.run(send(self._servers, outgoing(values), speed=1.0)), daemon=True
        )
        sender.start()
        while time.time() * 1000 < end_ms + _AFTER_S * 1000:
            self._look()
        sender.join(timeout=10)
        hops, lateness = Latencies(), Latencies()
        for appended_ms, rejected_ms in self._tally.hops:
            if from_ms <= appended_ms <= end_ms:
                hops.record(rejected_ms - appended_ms)
        due = [plan for plan in self._log.population.plans if from_ms <= plan.at <= end_ms]
        for plan in due:
            published_ms = self._tally.later.get(decision_id(TENANT, plan.user_id, Cause.DECLINE, plan.at))
            if published_ms is not None:
                lateness.record(published_ms - plan.at)
        late = lateness.summary()
        return hops.summary(), Silent(due=len(due), published=late.count, lateness=late)

    def killed(self, pause_s: float) -> Killed:
        """Read the second part, with a kill -9 of all its processes when a half has been read.

        `pause_s` goes by before it, in which the state of the first part is saved.
        """
        self._look_for(pause_s)
        processes = self._processes()
        with _stopped(processes):
            self._send(self._log.second)
        self._wait(lambda: self._tally.marks(MIDDLE) > 0, _READ_S, "read a half")
        _signal(processes, signal.SIGKILL)
        psutil.wait_procs(processes, timeout=10)
        self._look_for(1.0)
        begun_ms, back_ms = time.time() * 1000, 0.0
        self._tally.last_ms = 0
        self._stack.up(self._names)

        def back() -> float:
            nonlocal back_ms
            back_ms = back_ms or float(self._tally.last_ms)
            return back_ms

        self._until_done(back)
        return Killed(comparison=self._tally.comparison(), back_after_s=(back_ms - begun_ms) / 1000)

    @property
    def _servers(self) -> str:
        return self._stack.settings.bootstrap_servers

    def _send(self, records: list[Outgoing]) -> None:
        asyncio.run(send(self._servers, records))

    def _processes(self) -> tuple[psutil.Process, ...]:
        found = process.find(self._stack.settings.work_dir)
        return tuple(one for name in self._names for one in found[name].every)

    def _look(self) -> bool:
        """Take what has been published; whether there was anything."""
        found = False
        for number, (topic, reader) in enumerate(self._readers):
            for record in reader.poll(0 if number else 20):
                self._tally.take(topic, record)
                found = True
        return found

    def _look_for(self, seconds: float) -> None:
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            self._look()

    def _wait(self, done: Callable[[], bool], within_s: float, what: str) -> None:
        end_s = time.monotonic() + within_s
        while not done():
            self._look()
            if time.monotonic() > end_s or not process.find(self._stack.settings.work_dir).keys() >= {
                *self._names
            }:
                raise UnavailableError(f"{self._names} did not {what} in {within_s:g} s, or have ended")

    def _until_done(self, note: Callable[[], float]) -> float:
        """Until all has been read and published, or nothing comes any more: `note` at the last record."""
        noted, quiet_from_s, end_s = note(), time.monotonic(), time.monotonic() + _READ_S
        while not (self._tally.complete and self._tally.marks(END) == MARKS_EACH):
            if self._look():
                noted, quiet_from_s = note(), time.monotonic()
            is_read = self._tally.marks(END) == MARKS_EACH
            if time.monotonic() > (quiet_from_s + _QUIET_S if is_read else end_s):
                break
        return noted


@contextmanager
def _stopped(processes: tuple[psutil.Process, ...]) -> Iterator[None]:
    """For the time of the block the processes do nothing: what is sent meanwhile waits."""
    _signal(processes, signal.SIGSTOP)
    try:
        yield
    finally:
        _signal(processes, signal.SIGCONT)


def _signal(processes: tuple[psutil.Process, ...], number: int) -> None:
    for one in processes:
        try:
            one.send_signal(number)
        except psutil.NoSuchProcess:
            continue


def _used_s(processes: tuple[psutil.Process, ...]) -> float:
    used_s = 0.0
    for one in processes:
        try:
            times: Any = one.cpu_times()
        except psutil.NoSuchProcess:
            continue
        used_s += times.user + times.system
    return used_s
