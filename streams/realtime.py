"""What a decision waits for goes first on the processor, where the machine allows it.

Threads of Linux's real-time class run as soon as they have something to do; all others take turns of some
milliseconds, and on busy cores a crossing has to wait for several of them. What is in that class here does a
bounded work for each record; the operator's threads share one interpreter, so they take one core at most.

It takes CAP_SYS_NICE or a limit (`ulimit -r`) of 1. Without either all goes on, later on a busy machine.
"""

import gc
import logging
import os
from contextlib import suppress
from enum import Enum, auto
from pathlib import Path

FIRST, IN_TURNS = (os.SCHED_RR, os.sched_param(1)), (os.SCHED_OTHER, os.sched_param(0))
"""Policy and parameters of a thread that goes first, and of any other."""
LATE_NICENESS = 5
"""Where the processor is short, what may be late gets a third of the others' share."""
_TASKS = Path("/proc/self/task")
_PRODUCER = "kafka-producer-"
"""How the kernel names the thread in which a Kafka producer sends (it keeps 15 letters)."""

logger = logging.getLogger(__name__)


class Turn(Enum):
    """When a process gets the processor: before all else, in turn, or where it may be late with a smaller
    share."""

    FIRST = auto()
    EQUAL = auto()
    LATE = auto()


def is_allowed() -> bool:
    """Whether this thread may join the real-time class; it is as before afterwards."""
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, *FIRST)
    except PermissionError:
        return False
    os.sched_setscheduler(0, *before)
    return True


def put_publishing_first() -> None:
    """Put this thread first, and those in which this process's Kafka producers send; none that they start."""
    policy, parameters = FIRST
    senders = [int(task.name) for task in _TASKS.iterdir() if _name(task).startswith(_PRODUCER)]
    try:
        for thread in (0, *senders):
            with suppress(ProcessLookupError):  # it has ended meanwhile
                os.sched_setscheduler(thread, policy | os.SCHED_RESET_ON_FORK, parameters)
    except PermissionError:
        logger.warning("not allowed to go first (CAP_SYS_NICE): on a busy machine decisions wait for a core")


def keep_what_is_loaded() -> None:
    """Collects garbage a last time among all objects that there are, and never looks at these again.

    A look through the 50,000 objects of the libraries takes 30 to 70 ms, and no thread of the interpreter
    goes on meanwhile.
    """
    gc.collect()
    gc.freeze()


def _name(task: Path) -> str:
    try:
        return (task / "comm").read_text()
    except OSError:
        return ""  # it has ended meanwhile
