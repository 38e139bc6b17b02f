"""One Flink job in one process: PyFlink on Flink's local cluster, with checkpoints kept on disk.

`start` gives the environments, `run` submits and keeps the job until the process is told to stop.
"""

import json
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException
from itertools import chain
from pathlib import Path
from types import FrameType
from typing import NoReturn
from urllib.request import urlopen

from msgspec import Struct
from py4j.protocol import Py4JError, Py4JJavaError
from pyflink.common import Configuration
from pyflink.common.job_client import JobClient
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.java_gateway import get_gateway
from pyflink.table import StreamTableEnvironment

from schemas.errors import UnavailableError
from streams.flink.rest import Rest, last_cause
from streams.settings import StateBackend

_HERE = Path(__file__).parent
_ROOT = _HERE.parent.parent
_ENVIRON = dict(os.environ)  # before Flink and its workers, which live here too, leave their marks in it
_POLL_S = 0.5
_LOST_POLLS = 6
_LEAST_LIFE_S = 10.0
_PORT_WAIT_S = 10.0
_COMPLETE = ("*/chk-*/_metadata", "savepoint-*/_metadata")


class Cluster(Struct, frozen=True, kw_only=True):
    """Where a job runs and what it may use.

    `state_dir` keeps its checkpoints, `log_dir` gets `flink-<name>.log`, `jars_dir` holds the
    connector that pom.xml names.
    """

    name: str
    rest_port: int
    state_dir: Path
    log_dir: Path
    jars_dir: Path
    parallelism: int = 1
    checkpoint_interval_ms: int = 10_000
    heap_mb: int = 1024
    state_backend: StateBackend = "hashmap"


def newest_checkpoint(state_dir: Path) -> Path | None:
    """The newest complete checkpoint or savepoint under `state_dir`, or None.

    Flink writes a checkpoint's `_metadata` last and by renaming: a folder that has one is complete.
    """
    found: list[tuple[float, Path]] = []
    for metadata in chain.from_iterable(map(state_dir.glob, _COMPLETE)):
        with suppress(FileNotFoundError):  # a running job deletes its old ones
            found.append((metadata.stat().st_mtime, metadata.parent))
    return max(found)[1] if found else None


def start(cluster: Cluster) -> tuple[StreamExecutionEnvironment, StreamTableEnvironment]:
    """The environments of `cluster`, whose job will go on from its newest checkpoint.

    Raises:
        UnavailableError: a connector jar is missing, the REST port is taken or the JVM does not start.
    """
    jars = sorted(cluster.jars_dir.glob("flink-sql-connector-kafka-*.jar"))
    if not jars:
        raise UnavailableError(f"no flink-sql-connector-kafka jar in {cluster.jars_dir}")
    _wait_free(cluster.rest_port)
    cluster.state_dir.mkdir(parents=True, exist_ok=True)
    cluster.log_dir.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(_working_dir(cluster), ignore_errors=True)  # a killed job left it
    _prepare_jvm(cluster)
    try:
        get_gateway()
    except Exception as error:  # PyFlink raises bare exceptions here
        raise UnavailableError(f"the JVM for Flink does not start: {error}") from error
    config = _configuration(cluster, jars, newest_checkpoint(cluster.state_dir))
    env = StreamExecutionEnvironment.get_execution_environment(config)
    return env, StreamTableEnvironment.create(env)


def run(cluster: Cluster, submit: Callable[[], JobClient], on_started: Callable[[JobClient], None]) -> None:
    """Submits a job and keeps it until SIGTERM or SIGINT; then cancels it. Its checkpoints stay.

    Flink restarts a job that fails, for ever. Where Flink itself is lost, this process begins anew, from
    the newest checkpoint. A job that was stopped with a savepoint is over.

    Raises:
        UnavailableError: the checkpoint to go on from cannot be restored, the job ended by itself, or Flink
            was lost just after the start.
    """
    stop: list[int] = []

    def told(number: int, frame: FrameType | None) -> None:
        stop.append(number)

    signal.signal(signal.SIGTERM, told)
    signal.signal(signal.SIGINT, told)
    started = time.monotonic()
    checkpoint = newest_checkpoint(cluster.state_dir)
    restored = checkpoint is None
    try:
        client = _submitted(submit, checkpoint)
        on_started(client)
        lost_polls = 0
        while not stop and lost_polls < _LOST_POLLS:
            status = _status(client)
            if status == "FINISHED":
                return
            if status in ("FAILED", "CANCELED"):
                raise UnavailableError(f"the Flink job ended: {status.lower()}")
            restored = restored or _is_restored(cluster.rest_port, checkpoint)
            time.sleep(_POLL_S)
            lost_polls = lost_polls + 1 if _has_no_workers(cluster.rest_port) else 0
        if stop:
            client.cancel().result()
            return
        problem = "Flink has lost its task manager"
    except (Py4JError, OSError) as error:
        if stop:  # a signal to the whole process group takes the JVM along
            return
        problem = f"the JVM of Flink has died: {last_cause(str(error))}"
    if time.monotonic() - started < _LEAST_LIFE_S:
        raise UnavailableError(problem)
    _begin_anew(cluster, problem)


def _submitted(submit: Callable[[], JobClient], checkpoint: Path | None) -> JobClient:
    try:
        return submit()
    except Py4JJavaError as error:
        problem = last_cause(str(error))
        if checkpoint is None:
            raise UnavailableError(f"Flink does not take the job: {problem}") from error
        raise _unrestorable(checkpoint, problem) from error


def _status(client: JobClient) -> str:
    """Flink's word for the job. The local cluster goes with its job, and knows then only how that ended."""
    try:
        return str(client.get_job_status().result().name)
    except Py4JJavaError:
        client.get_job_execution_result().result()
        return "FINISHED"


def _is_restored(rest_port: int, checkpoint: Path | None) -> bool:
    """Whether all tasks run with the state that they began with. One that cannot would be tried for ever."""
    rest = Rest(rest_port)
    try:
        problem = rest.restore_problem()
        if problem is None:
            return rest.state() == "RUNNING"
    except UnavailableError:
        return False  # it is asked again
    raise _unrestorable(checkpoint, problem)


def _unrestorable(checkpoint: Path | None, problem: str) -> UnavailableError:
    return UnavailableError(
        f"the checkpoint {checkpoint} cannot be restored ({problem}): it is damaged, or from another state "
        "backend or version; docs/scale.md says what to do"
    )


def leave(status: int) -> NoReturn:
    """Ends this process and its JVM at once: py4j's threads would keep both alive."""
    _end_jvm()
    os._exit(status)


def _has_no_workers(rest_port: int) -> bool:
    """Whether the local cluster's task manager is gone: a fatal error in it, and nothing starts another."""
    try:
        with urlopen(f"http://127.0.0.1:{rest_port}/taskmanagers", timeout=_POLL_S) as answer:
            return not json.load(answer)["taskmanagers"]
    except (OSError, HTTPException, ValueError):
        return False  # a busy JVM may be slow to answer; a dead one shows in py4j


def _begin_anew(cluster: Cluster, problem: str) -> NoReturn:
    print(f"holdfast {cluster.name}: {problem}; beginning anew", file=sys.stderr)
    _end_jvm()
    os.execve(sys.executable, sys.orig_argv, _ENVIRON)


def _end_jvm() -> None:
    with suppress(Exception):  # the JVM may be gone already
        get_gateway().shutdown()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()


def _wait_free(port: int) -> None:
    """Waits for the port, which a JVM that is just ending may still hold."""
    end = time.monotonic() + _PORT_WAIT_S
    while True:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                return probe.bind(("127.0.0.1", port))
            except OSError as error:
                if time.monotonic() > end:
                    raise UnavailableError(f"port {port} for Flink's REST is taken: {error}") from error
        time.sleep(_POLL_S)


def _prepare_jvm(cluster: Cluster) -> None:
    """What PyFlink reads from the environment when it starts the JVM, which hands it on to its workers."""
    environ = os.environ
    # Workers are started as `python`, and import our packages from where this process has them.
    environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environ.get("PATH", "")])
    others = [
        path for path in environ.get("PYTHONPATH", "").split(os.pathsep) if path not in ("", str(_ROOT))
    ]
    environ["PYTHONPATH"] = os.pathsep.join([str(_ROOT), *others])
    environ["LOG4J_PROPERTIES"] = str(_HERE / "log4j.properties")
    log = cluster.log_dir.resolve() / f"flink-{cluster.name}.log"
    environ["JVM_ARGS"] = (
        # Whole from the start: a heap that grows is collected more often.
        f"-Xms{cluster.heap_mb}m -Xmx{cluster.heap_mb}m -XX:+ExitOnOutOfMemoryError -Dholdfast.log={log}"
    )


def _working_dir(cluster: Cluster) -> Path:
    return cluster.state_dir.resolve() / "rocksdb"


def _configuration(cluster: Cluster, jars: list[Path], checkpoint: Path | None) -> Configuration:
    settings = {
        "pipeline.name": f"holdfast {cluster.name}",
        "pipeline.jars": ";".join(jar.resolve().as_uri() for jar in jars),
        "rest.bind-port": str(cluster.rest_port),
        "rest.port": str(cluster.rest_port),
        "rest.address": "localhost",
        "rest.bind-address": "localhost",
        "metrics.fetcher.update-interval": "200",
        "parallelism.default": str(cluster.parallelism),
        "taskmanager.numberOfTaskSlots": str(cluster.parallelism),
        "python.execution-mode": "thread",  # inside the JVM
        "python.executable": sys.executable,
        "python.client.executable": sys.executable,
        "pipeline.object-reuse": "true",
        "execution.buffer-timeout.interval": "10 ms",
        "pipeline.auto-watermark-interval": "20 ms",
        # State is exact; only what leaves through the sink may be repeated, under the same id.
        "execution.checkpointing.mode": "EXACTLY_ONCE",
        "execution.checkpointing.interval": f"{cluster.checkpoint_interval_ms} ms",
        "execution.checkpointing.timeout": "10 min",
        "execution.checkpointing.tolerable-failed-checkpoints": "1000000000",
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "execution.checkpointing.num-retained": "2",
        "execution.checkpointing.dir": cluster.state_dir.resolve().as_uri(),
        "state.backend.type": cluster.state_backend,
        "execution.checkpointing.incremental": str(cluster.state_backend == "rocksdb").lower(),
        # Not among the temporary files, which may lie in memory.
        "state.backend.rocksdb.localdir": str(_working_dir(cluster)),
        "restart-strategy.type": "exponential-delay",
        "restart-strategy.exponential-delay.initial-backoff": "1 s",
        "restart-strategy.exponential-delay.max-backoff": "15 s",
    }
    if checkpoint is not None:
        settings["execution.state-recovery.path"] = checkpoint.resolve().as_uri()
        # The new job owns what it starts from, and deletes it once it has newer ones of its own.
        settings["execution.state-recovery.claim-mode"] = "CLAIM"
    config = Configuration()
    for key, value in settings.items():
        config.set_string(key, value)
    return config
