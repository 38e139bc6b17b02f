"""Notices when the machine itself stands still, for which nothing that runs on it is to blame.

On each core a thread asks to be woken every 10 ms, before all else there (`SCHED_FIFO`, the highest
priority). While it is not woken, the core runs nothing of ours: the host of a virtual machine has taken it,
or the kernel does not let go of it. This is to a whole machine what jHiccup is to a JVM. Without
CAP_SYS_NICE the turns of all other processes count as well; `machine.real_time` of a report says whether it
was there.
"""

import multiprocessing
import os
import threading
import time
from contextlib import suppress
from multiprocessing.connection import Connection

from msgspec import Struct

NOTICED_MS = 10.0
_EVERY_S = 0.01
_ENDS_WITHIN_S = 10.0


class Stall(Struct, frozen=True, kw_only=True):
    """The core `core` ran nothing for `ms`, from `at_ms` (epoch ms) on."""

    core: int
    at_ms: float
    ms: float

    def meets(self, from_ms: float, to_ms: float) -> bool:
        """Whether any of it lies between the two times (epoch ms)."""
        return self.at_ms <= to_ms and from_ms <= self.at_ms + self.ms


class Stalls:
    """Those of more than `NOTICED_MS` from `start` to `stop`, watched for by a process of its own."""

    def __init__(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        self._process = spawn.Process(name="stalls", target=_run, args=(theirs,), daemon=True)
        self.found: list[Stall] = []

    @property
    def pid(self) -> int | None:
        """The process that watches."""
        return self._process.pid

    def start(self) -> None:
        """Begin to watch."""
        self._process.start()

    def stop(self) -> None:
        """Watch no longer; what was seen is `found`, by the time at which it began."""
        if self._process.pid is None:
            return
        with suppress(OSError, EOFError):  # where it was killed, nothing is known
            self._pipe.send(None)
            if self._pipe.poll(_ENDS_WITHIN_S):
                self.found = self._pipe.recv()
        self._process.kill()
        self._process.join()


def _run(pipe: Connection) -> None:
    found: list[Stall] = []
    for core in os.sched_getaffinity(0):
        threading.Thread(target=_watch, args=(core, found), daemon=True).start()
    with suppress(EOFError):  # whoever asked has ended
        pipe.recv()
        pipe.send(sorted(found, key=lambda stall: stall.at_ms))


def _watch(core: int, found: list[Stall]) -> None:
    os.sched_setaffinity(0, {core})
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(os.sched_get_priority_max(os.SCHED_FIFO)))
    before_s = time.monotonic()
    while True:
        time.sleep(_EVERY_S)  # to wake late is what is measured
        now_s = time.monotonic()
        ms = (now_s - before_s - _EVERY_S) * 1000
        if ms > NOTICED_MS:
            found.append(Stall(core=core, at_ms=time.time() * 1000 - ms, ms=ms))
        before_s = now_s
