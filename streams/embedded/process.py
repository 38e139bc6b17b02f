"""Processes that outlive the command that started them, and are found again without a note on disk.

Each carries its work directory and component in its environment, and so do the processes that it starts.
Nothing can be stale then: a crash between start and note, a pid that was given to somebody else, or
children that outlive their parent are all seen as what they are.
"""

import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
from msgspec import Struct

from streams.realtime import FIRST, IN_TURNS, LATE_NICENESS, Turn, is_allowed

MARK = "HOLDFAST_COMPONENT"


class Found(Struct, frozen=True):
    """The processes of one component; `main` is the one that was started, None when it has died."""

    main: int | None
    environ: dict[str, str]
    every: tuple[psutil.Process, ...]


def mark(work_dir: Path, name: str) -> str:
    """What the environment of the component's processes holds under `MARK`."""
    return f"{work_dir}#{name}"


def start(
    argv: list[str],
    env: Mapping[str, str],
    work_dir: Path,
    name: str,
    log: Path,
    turn: Turn = Turn.EQUAL,
) -> int:
    """Start `argv` in a process group of its own, its output in `log`; that of the last start is kept as
    `.1`.

    The session stays the caller's. Linux shares the processor between sessions first (sched_autogroup): with
    one for each component, every JVM had to wait for whole turns of the others. No terminal is attached to
    the group, so that closing the caller's does not end it.

    Raises:
        OSError: it cannot be executed.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists():
        log.replace(log.with_suffix(".log.1"))
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    if turn is Turn.LATE:
        argv = ["nice", "-n", str(LATE_NICENESS), *argv]
    return os.posix_spawnp(
        argv[0],
        argv,
        {**env, MARK: mark(work_dir, name)},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setpgroup=0,
        setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE],
        scheduler=FIRST if turn is Turn.FIRST and is_allowed() else IN_TURNS,
    )


def lives(pid: int) -> bool:
    """Whether the process that was started as `pid` just now still runs."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def find(work_dir: Path) -> dict[str, Found]:
    """The components of `work_dir` that have living processes."""
    found: dict[str, Found] = {}
    for process, environ in _marked(f"{work_dir}#"):
        name = environ[MARK].rpartition("#")[2]
        known = found.get(name, Found(None, {}, ()))
        every = (*known.every, process)
        found[name] = (
            Found(process.pid, environ, every)
            if _leads_group(process.pid)
            else Found(known.main, known.environ, every)
        )
    return found


def stop(found: Found, within_s: float) -> None:
    """Ask the processes to end, and kill those that have not after `within_s`."""
    _signal(found.every, signal.SIGTERM)
    _, left = psutil.wait_procs(found.every, timeout=within_s)
    _signal(left, signal.SIGKILL)
    psutil.wait_procs(left, timeout=within_s)


def _marked(prefix: str) -> Iterator[tuple[psutil.Process, dict[str, str]]]:
    for process in psutil.process_iter():
        try:
            environ = process.environ()
            if environ.get(MARK, "").startswith(prefix) and process.status() != psutil.STATUS_ZOMBIE:
                yield process, environ
        except psutil.Error:
            continue  # ended meanwhile, or somebody else's


def _leads_group(pid: int) -> bool:
    try:
        return os.getpgid(pid) == pid
    except ProcessLookupError:
        return False


def _signal(processes: Iterator[psutil.Process] | tuple[psutil.Process, ...], number: int) -> None:
    for process in processes:
        try:
            process.send_signal(number)  # psutil compares the start time: a reused pid is left alone
        except psutil.NoSuchProcess:
            continue
