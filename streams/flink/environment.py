"""One Flink job in one process: PyFlink on Flink's local cluster, with checkpoints kept on disk.

Both jobs start the same way: `start` gives the environments, `run` submits and keeps the job until
the process is told to stop.
"""

import os
import signal
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from msgspec import Struct
from py4j.protocol import Py4JError
from pyflink.common import Configuration
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.java_gateway import get_gateway
from pyflink.table import StreamTableEnvironment

from schemas.errors import UnavailableError

_HERE = Path(__file__).parent
_ROOT = _HERE.parent.parent
_STOP_POLL_S = 0.5


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
    thread_mode: bool = True
    """The Python operators run inside the JVM; vectorised functions never do."""


def newest_checkpoint(state_dir: Path) -> Path | None:
    """The newest complete checkpoint under `state_dir`, or None.

    Flink writes a checkpoint's `_metadata` last and by renaming: a folder that has one is complete.
    """
    found: list[tuple[float, Path]] = []
    for metadata in state_dir.glob("*/chk-*/_metadata"):
        with suppress(FileNotFoundError):  # a running job deletes its old ones
            found.append((metadata.stat().st_mtime, metadata.parent))
    return max(found)[1] if found else None


def start(
    cluster: Cluster, restore: Path | None = None
) -> tuple[StreamExecutionEnvironment, StreamTableEnvironment]:
    """The environments of `cluster`, whose job will go on from `restore`, or else from its newest checkpoint.

    Raises:
        UnavailableError: a connector jar is missing, the REST port is taken or the JVM does not start.
    """
    jars = sorted(cluster.jars_dir.glob("flink-sql-connector-kafka-*.jar"))
    if not jars:
        raise UnavailableError(f"no flink-sql-connector-kafka jar in {cluster.jars_dir}")
    _check_free(cluster.rest_port)
    cluster.state_dir.mkdir(parents=True, exist_ok=True)
    cluster.log_dir.mkdir(parents=True, exist_ok=True)
    _prepare_jvm(cluster)
    try:
        get_gateway()
    except Exception as error:  # PyFlink raises bare exceptions here
        raise UnavailableError(f"the JVM for Flink does not start: {error}") from error
    checkpoint = restore or newest_checkpoint(cluster.state_dir)
    config = _configuration(cluster, jars, checkpoint)
    env = StreamExecutionEnvironment.get_execution_environment(config)
    return env, StreamTableEnvironment.create(env)


def run(env: StreamExecutionEnvironment) -> None:
    """Runs the job of `env` until SIGTERM or SIGINT; then cancels it. Its checkpoints stay.

    Raises:
        UnavailableError: the job ended by itself, or its JVM died.
    """
    stop: list[int] = []

    def told(number: int, frame: FrameType | None) -> None:
        stop.append(number)

    signal.signal(signal.SIGTERM, told)
    signal.signal(signal.SIGINT, told)
    try:
        client = env.execute_async()
        while not stop:
            status = client.get_job_status().result().name
            if status in ("FAILED", "CANCELED", "FINISHED"):
                raise UnavailableError(f"the Flink job ended: {status.lower()}")
            time.sleep(_STOP_POLL_S)
        client.cancel().result()
    except (Py4JError, OSError) as error:
        if not stop:  # a signal to the whole process group takes the JVM along
            raise UnavailableError(f"the JVM of Flink has died: {error}") from error


def leave(status: int) -> NoReturn:
    """Ends this process and its JVM at once: py4j's threads would keep both alive."""
    with suppress(Exception):  # the JVM may be gone already
        get_gateway().shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise UnavailableError(f"port {port} for Flink's REST is taken: {error}") from error


def _prepare_jvm(cluster: Cluster) -> None:
    """What PyFlink reads from the environment when it starts the JVM, which hands it on to its workers."""
    environ = os.environ
    # Workers are started as `python`, and import our packages from where this process has them.
    environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environ.get("PATH", "")])
    environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(_ROOT), environ.get("PYTHONPATH", "")]))
    environ["LOG4J_PROPERTIES"] = str(_HERE / "log4j.properties")
    log = cluster.log_dir.resolve() / f"flink-{cluster.name}.log"
    environ["JVM_ARGS"] = f"-Xmx{cluster.heap_mb}m -XX:+ExitOnOutOfMemoryError -Dholdfast.log={log}"


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
        "python.execution-mode": "thread" if cluster.thread_mode else "process",
        "python.executable": sys.executable,
        "python.client.executable": sys.executable,
        # The latency budget: Flink's defaults are a second, 100,000 records and 100 ms.
        "python.fn-execution.bundle.time": "5",
        "python.fn-execution.bundle.size": "1000",
        "python.fn-execution.arrow.batch.size": "1000",
        "execution.buffer-timeout.interval": "2 ms",
        "pipeline.auto-watermark-interval": "20 ms",
        # State is exact; only what leaves through the sink may be repeated, under the same id.
        "execution.checkpointing.mode": "EXACTLY_ONCE",
        "execution.checkpointing.interval": f"{cluster.checkpoint_interval_ms} ms",
        "execution.checkpointing.timeout": "10 min",
        "execution.checkpointing.tolerable-failed-checkpoints": "1000000000",
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "execution.checkpointing.num-retained": "2",
        "execution.checkpointing.dir": cluster.state_dir.resolve().as_uri(),
        "state.backend.type": "hashmap",
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
