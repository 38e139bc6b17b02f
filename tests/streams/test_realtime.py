"""What a decision waits for goes first where that is allowed, and where not all goes on."""

import gc
import logging
import os
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from streams import realtime
from streams.embedded import process
from streams.realtime import Turn

ALLOWED = realtime.is_allowed()
PLAIN = os.SCHED_OTHER
FIRST = os.SCHED_RR if ALLOWED else PLAIN


@contextmanager
def sleeping_thread(name: str) -> Iterator[int]:
    """A thread that the kernel knows as `name`; its number."""
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    assert thread.native_id is not None
    Path(f"/proc/self/task/{thread.native_id}/comm").write_text(name)
    try:
        yield thread.native_id
    finally:
        end.set()
        thread.join()


@pytest.fixture
def policies() -> dict[str, int]:
    """By thread, the kernel's policy after the publishing of this process was put first.

    In a thread of its own, so that the tests do not go on in the real-time class.
    """
    found: dict[str, int] = {}

    def publish() -> None:
        with sleeping_thread("kafka-producer-") as sender, sleeping_thread("other") as other:
            realtime.put_publishing_first()
            for name, thread in (("own", 0), ("sender", sender), ("other", other)):
                found[name] = os.sched_getscheduler(thread) & ~os.SCHED_RESET_ON_FORK
            with sleeping_thread("child") as child:
                found["child"] = os.sched_getscheduler(child)

    thread = threading.Thread(target=publish)
    thread.start()
    thread.join()
    return found


def test_the_thread_that_decides_and_those_that_send_go_first_and_no_other(policies: dict[str, int]) -> None:
    assert policies == {"own": FIRST, "sender": FIRST, "other": PLAIN, "child": PLAIN}


def test_to_ask_whether_it_is_allowed_changes_nothing() -> None:
    before = os.sched_getscheduler(0)
    realtime.is_allowed()
    assert os.sched_getscheduler(0) == before


@pytest.mark.parametrize(("turn", "policy"), [(Turn.FIRST, FIRST), (Turn.EQUAL, PLAIN), (Turn.LATE, PLAIN)])
def test_a_component_goes_first_with_all_that_it_starts(tmp_path: Path, turn: Turn, policy: int) -> None:
    log = tmp_path / "component.log"
    argv = ["sh", "-c", f"{sys.executable} -c 'import os; print(os.sched_getscheduler(0))'; true"]
    pid = process.start(argv, dict(os.environ), tmp_path, "component", log, turn)
    os.waitpid(pid, 0)
    assert log.read_text() == f"{policy}\n"


def test_where_it_is_not_allowed_all_goes_on_and_the_log_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    assert not realtime.is_allowed()
    with caplog.at_level(logging.WARNING):
        realtime.put_publishing_first()
    assert "CAP_SYS_NICE" in caplog.text


def test_what_is_loaded_is_not_looked_through_again_and_what_comes_later_is() -> None:
    class Cycle:
        def __init__(self) -> None:
            self.itself = self

    loaded = len(gc.get_objects())
    realtime.keep_what_is_loaded()
    try:
        assert len(gc.get_objects()) < loaded / 10
        later = weakref.ref(Cycle())
        gc.collect()
        assert later() is None
    finally:
        gc.unfreeze()
