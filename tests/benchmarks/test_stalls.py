"""What the machine itself delays is told from what its programs do."""

import os
import signal
import time

import psutil
import pytest

from benchmarks.stalls import NOTICED_MS, Stall, Stalls


def test_who_is_given_no_core_for_a_while_is_noticed_on_each_of_them() -> None:
    stalls = Stalls()
    stalls.start()
    assert stalls.pid is not None
    watching, until_s = psutil.Process(stalls.pid), time.monotonic() + 60
    while watching.num_threads() <= len(os.sched_getaffinity(0)) and time.monotonic() < until_s:
        time.sleep(0.05)  # what it sees it tells at its end alone
    time.sleep(0.5)  # until each of its threads has begun to wait
    os.kill(stalls.pid, signal.SIGSTOP)
    begun_ms = time.time() * 1000
    time.sleep(0.2)  # for so long no core is given to it, as if the host had taken them all
    os.kill(stalls.pid, signal.SIGCONT)
    stalls.stop()
    seen = [stall for stall in stalls.found if stall.meets(begun_ms, begun_ms + 200) and stall.ms > 100]
    assert {stall.core for stall in seen} == os.sched_getaffinity(0)
    assert all(stall.ms > NOTICED_MS for stall in stalls.found)


def test_what_was_never_started_has_seen_nothing() -> None:
    stalls = Stalls()
    stalls.stop()
    assert stalls.found == []


@pytest.mark.parametrize(
    ("from_ms", "to_ms", "meets"),
    [(0, 99, False), (0, 100, True), (110, 115, True), (120, 130, True), (121, 130, False)],
)
def test_a_stall_meets_what_was_under_way_meanwhile(from_ms: float, to_ms: float, meets: bool) -> None:
    assert Stall(core=0, at_ms=100, ms=20).meets(from_ms, to_ms) is meets
