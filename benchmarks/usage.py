"""The processor time that each part of the stack takes while something is measured."""

import multiprocessing
import time
from pathlib import Path

import psutil

from streams.embedded import process


class Usage:
    """Of the stack in `work_dir`, of this process and of those that it has started, from `begin` to `end`.

    What a component that ended in between had used since `begin` is not known, and counts for nothing.
    """

    def __init__(self, work_dir: Path) -> None:
        self._work_dir = work_dir
        self._begun: tuple[float, dict[str, dict[int, float]]] | None = None
        self._ended: tuple[float, dict[str, dict[int, float]]] | None = None

    def begin(self) -> None:
        """Count from now on, if nothing was counted yet."""
        self._begun = self._begun or (time.monotonic(), self._used_s())

    def end(self) -> None:
        """Count no longer, if that was not said yet."""
        self._ended = self._ended or (time.monotonic(), self._used_s())

    @property
    def elapsed_s(self) -> float:
        """From the begin to the end; 0 as long as one of them is missing."""
        return 0.0 if self._begun is None or self._ended is None else self._ended[0] - self._begun[0]

    def cpu_s(self) -> dict[str, float]:
        """By component, the seconds of processor time between."""
        if self._begun is None or self._ended is None:
            return {}
        before = self._begun[1]
        return {
            name: sum(max(0.0, s - before.get(name, {}).get(pid, 0.0)) for pid, s in used.items())
            for name, used in self._ended[1].items()
        }

    def cores(self) -> dict[str, float]:
        """By component, the cores used on average."""
        return {name: cpu_s / self.elapsed_s for name, cpu_s in self.cpu_s().items()}

    def _used_s(self) -> dict[str, dict[int, float]]:
        every = {name: there.every for name, there in process.find(self._work_dir).items()}
        every["harness"] = (psutil.Process(),)
        for child in multiprocessing.active_children():
            every[child.name] = (psutil.Process(child.pid),)
        return {name: {one.pid: _used_s(one) for one in some} for name, some in every.items()}


def _used_s(one: psutil.Process) -> float:
    try:
        times = one.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)
