"""The second Flink job: every event, batch by batch, into the users' sequences in Redis.

It is a process of its own, so that a Redis that is away delays readers and no decision. While Redis is
away a batch waits and is tried again for ever; the checkpoint waits with it, so nothing is lost, and what
a restart writes again changes nothing. Records that are rejected are left out here: the job of the
decisions puts them into the dead-letter topic. Every event passes here, and nowhere else in Python, so
bursts of errors are seen here, too: a batch that is written gives notice of those that end in it.

One instance keeps up with far more than a billion events a day, so the job is not spread.
"""

import logging
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import Protocol, TypeVar

import pandas as pd
from pyflink.common.job_client import JobClient
from pyflink.table import DataTypes, StreamTableEnvironment
from pyflink.table.udf import FunctionContext, ScalarFunction, udf

from schemas.codec import accept, encode
from schemas.errors import HoldfastError, RejectedEvent, UnavailableError
from schemas.events import Event, Tick
from schemas.topics import BURSTS, EVENT_TOPICS
from streams.bursts import Bursts
from streams.flink.environment import Cluster, leave, run, start
from streams.settings import Settings, load_settings
from streams.store import SequenceWriter

NAME = "sequences"
GROUP = "holdfast-sequences"
FIRST_WAIT_S, LONGEST_WAIT_S = 0.1, 5.0
_BATCH = 50_000
_OPTIONS = {
    # Not critical for latency: rather few large batches.
    "python.fn-execution.bundle.time": "200",
    "python.fn-execution.bundle.size": str(_BATCH),
    "python.fn-execution.arrow.batch.size": str(_BATCH),
    "execution.buffer-timeout.interval": "50 ms",
}

# Its JVM only hands records on to Python: the second compiler took more than it gave.
# Arrow, by itself, looks up at every byte whether its buffer is still there.
_JVM = (
    "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
    " -Darrow.enable_unsafe_memory_access=true -Darrow.enable_null_check_for_get=false"
)

logger = logging.getLogger(__name__)

Written = TypeVar("Written")
Record = tuple[bytes | None, bytes | None, int, int]
"""Key, value, partition and append time (epoch ms) of a record on an events topic."""


class Writer(Protocol):
    """Writes and drops events, as `SequenceWriter` does."""

    def write(self, events: Iterable[tuple[int, Event]]) -> None:
        """Write events, each with its partition, or raise UnavailableError."""

    def expire(self, partition: int, now_ms: int) -> int:
        """Drop the silent users' events, or raise UnavailableError."""


def write_records(writer: Writer, records: Iterable[Record]) -> list[Event]:
    """Write the events among `records`, then drop whom the ticks among them show to be silent; the events.

    Raises:
        UnavailableError: Redis does not answer; all of it may be written again.
    """
    events: list[Event] = []
    ticks: dict[int, int] = {}

    def accepted() -> Iterator[tuple[int, Event]]:
        for key, value, partition, append_ms in records:
            try:
                event = accept(key, value, append_ms)
            except RejectedEvent:
                continue
            if isinstance(event, Tick):
                ticks[partition] = max(event.ts, ticks.get(partition, 0))
            else:
                events.append(event)
                yield partition, event

    writer.write(accepted())  # one by one: what was just decoded is encoded in half the time
    for partition, now_ms in ticks.items():
        writer.expire(partition, now_ms)
    return events


def persist(write: Callable[[], Written], wait: Callable[[float], None]) -> Written:
    """What `write` gives once Redis takes it, however long that is; `wait` gets seconds."""
    wait_s = FIRST_WAIT_S
    while True:
        try:
            return write()
        except UnavailableError as error:
            logger.warning("%s; trying again in %.1f s", error, wait_s)
            wait(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)


class WriteSequences(ScalarFunction):  # type: ignore[misc]  # PyFlink has no types
    """The job's one function: writes a batch of records; a burst that one of them ends stands beside one."""

    def __init__(self, redis_url: str) -> None:
        self._redis_url = redis_url
        self._writer: SequenceWriter | None = None
        self._bursts = Bursts()
        self._jvm = 0

    def is_deterministic(self) -> bool:
        """False: the planner must neither fold nor repeat a call that has an effect."""
        return False

    def open(self, function_context: FunctionContext) -> None:
        """Connects, lazily: Redis need not be there yet."""
        self._jvm = os.getppid()
        self._writer = SequenceWriter(self._redis_url)

    def close(self) -> None:
        """Closes the connection."""
        if self._writer is not None:
            self._writer.close()

    def eval(
        self,
        keys: "pd.Series[bytes]",
        values: "pd.Series[bytes]",
        partitions: "pd.Series[int]",
        appended: "pd.Series[pd.Timestamp]",
    ) -> pd.DataFrame:
        """Writes the records; each argument is one column of the batch.

        Gives the bursts' notices as key and value, in the first rows; the other rows hold nothing.
        """
        writer = self._writer
        assert writer is not None  # Flink opens a function before it calls it
        append_ms = appended.dt.as_unit("ms").astype("int64")
        records = list(zip(keys, values, partitions, append_ms, strict=True))
        events = persist(lambda: write_records(writer, records), self._wait)
        bursts = self._bursts.told(events)
        empty = [None] * (len(records) - len(bursts))
        columns = {
            "key": [burst.key.encode() for burst in bursts] + empty,
            "value": [encode(burst) for burst in bursts] + empty,
        }
        return pd.DataFrame(columns, index=keys.index)

    def _wait(self, seconds: float) -> None:
        if os.getppid() != self._jvm:
            os._exit(1)  # a worker whose JVM was killed has nobody to wait for
        time.sleep(seconds)


def submit(tables: StreamTableEnvironment, settings: Settings) -> JobClient:
    """Starts the job."""
    for option, value in _OPTIONS.items():
        tables.get_config().set(option, value)
    writer = WriteSequences(settings.redis_url)
    notice = DataTypes.ROW(
        [DataTypes.FIELD("key", DataTypes.BYTES()), DataTypes.FIELD("value", DataTypes.BYTES())]
    )
    function = udf(writer, result_type=notice, func_type="pandas", deterministic=False)
    tables.create_temporary_function("write_sequences", function)
    topics = ";".join(topic.name for topic in EVENT_TOPICS)
    tables.execute_sql(f"""
        CREATE TEMPORARY TABLE events (
          `key` BYTES,
          `value` BYTES,
          `partition` INT METADATA VIRTUAL,
          `appended` TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL
        ) WITH (
          'connector' = 'kafka',
          'topic' = '{topics}',
          'properties.bootstrap.servers' = '{settings.bootstrap_servers}',
          'properties.group.id' = '{GROUP}',
          'properties.fetch.min.bytes' = '100000',
          'properties.fetch.max.wait.ms' = '100',
          'scan.startup.mode' = 'earliest-offset',
          'key.format' = 'raw',
          'key.fields' = 'key',
          'value.format' = 'raw',
          'value.fields-include' = 'EXCEPT_KEY'
        )""")
    tables.execute_sql(f"""
        CREATE TEMPORARY TABLE bursts (`key` BYTES, `value` BYTES) WITH (
          'connector' = 'kafka',
          'topic' = '{BURSTS.name}',
          'properties.bootstrap.servers' = '{settings.bootstrap_servers}',
          'properties.linger.ms' = '0',
          'sink.delivery-guarantee' = 'at-least-once',
          'key.format' = 'raw',
          'key.fields' = 'key',
          'value.format' = 'raw',
          'value.fields-include' = 'EXCEPT_KEY'
        )""")
    # (A function whose result nobody asks for, or could be had by calling it twice, would be planned so.)
    result = tables.execute_sql("""
        INSERT INTO bursts SELECT `notice`.`key`, `notice`.`value` FROM (
            SELECT write_sequences(`key`, `value`, `partition`, `appended`) AS `notice` FROM events
        ) WHERE `notice`.`key` IS NOT NULL""")
    client: JobClient = result.get_job_client()
    return client


def main() -> None:
    """Runs the job until it is told to stop; exit status 1 where it cannot run."""
    try:
        settings = load_settings()
        cluster = Cluster(
            name=NAME,
            rest_port=settings.sequences_port,
            state_dir=settings.checkpoints(NAME),
            log_dir=settings.work_dir / "logs",
            jars_dir=settings.jars_dir / "flink",
            checkpoint_interval_ms=settings.checkpoint_interval_ms,
            heap_mb=512,
            thread_mode=False,
            jvm_options=_JVM,
        )
        _, tables = start(cluster)
        run(cluster, lambda: submit(tables, settings), lambda _: print(f"{NAME}: writing", flush=True))
    except HoldfastError as error:
        print(f"{NAME}: {error}", file=sys.stderr)
        leave(1)
    leave(0)


if __name__ == "__main__":
    # By its module name: what `__main__` defines would be sent to the workers by value.
    import_module("streams.flink.sequences").main()
