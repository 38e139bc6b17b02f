"""Looks at the running stack from beside it, now and then, and stops and starts parts of it."""

import threading
import time

from msgspec import Struct

from benchmarks.scenario import Outage
from schemas.errors import HoldfastError, UnavailableError
from streams.embedded import Stack
from streams.flink.rest import Rest

_EVERY_S = 5.0
"""Each look costs Flink some 50 ms of processor time."""


class Sample(Struct, frozen=True, kw_only=True):
    """How far the main job was behind at `at_ms` (epoch ms).

    `behind` are the records that it has not read of the partition furthest behind, `watermark_ms` is the
    distance of event time from the present.
    """

    at_ms: int
    behind: int
    watermark_ms: int


class Checkpoint(Struct, frozen=True, kw_only=True):
    """A checkpoint of the main job: when it was triggered (epoch ms), and how long it took."""

    at_ms: int
    took_ms: int


class Watch:
    """Samples of the main job behind REST port `port`, from `start` to `stop`.

    While Flink does not answer there are no samples.
    """

    def __init__(self, port: int) -> None:
        self._rest = Rest(port)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._checkpoints: dict[int, Checkpoint] = {}
        self.samples: list[Sample] = []

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    @property
    def started(self) -> bool:
        """Whether it was told to begin."""
        return self._thread.ident is not None

    def stop(self) -> None:
        """Look a last time, and no more."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def checkpoints(self) -> list[Checkpoint]:
        """Those that completed while this was looking."""
        return list(self._checkpoints.values())

    def _run(self) -> None:
        while not self._stop.wait(_EVERY_S):
            self._look()
        self._look()

    def _look(self) -> None:
        try:
            self._rest.refresh()
            watermark_ms, behind = self._rest.watermark_ms(), self._rest.behind()
            checkpoint = self._rest.checkpoint()
        except UnavailableError:
            return
        now_ms = int(time.time() * 1000)
        if watermark_ms is not None:
            self.samples.append(Sample(at_ms=now_ms, behind=behind, watermark_ms=now_ms - watermark_ms))
        if checkpoint is not None:
            self._checkpoints[checkpoint[0]] = Checkpoint(at_ms=checkpoint[0], took_ms=checkpoint[1])


class Saboteur:
    """Stops a component of `stack` and starts it again, when `outage` says."""

    def __init__(self, stack: Stack, outage: Outage) -> None:
        self._stack, self._outage = stack, outage
        self._thread: threading.Thread | None = None
        self._failure: HoldfastError | None = None
        self.away_ms: tuple[int, int] | None = None
        """From when (epoch ms) it was told to stop, until when it served again."""

    def start(self, start_ms: int) -> None:
        """The load starts at `start_ms` (epoch ms)."""
        self._thread = threading.Thread(target=self._run, args=(start_ms / 1000,), daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait until the component serves again; raise what kept it from that."""
        if self._thread is not None:
            self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _run(self, start_s: float) -> None:
        outage = self._outage
        try:
            _wait_until(start_s + outage.from_s)
            begun_ms = int(time.time() * 1000)
            self._stack.down(only=[outage.stop])
            _wait_until(start_s + outage.to_s)
            self._stack.up(only=[outage.stop])
            self.away_ms = begun_ms, int(time.time() * 1000)
        except HoldfastError as error:
            self._failure = error


def _wait_until(at_s: float) -> None:
    time.sleep(max(0.0, at_s - time.time()))  # an outage comes by the clock, whatever the stream does
