"""The main job: events in, crossings, requests for drafts and decisions out. `python -m streams.flink.job`.

Kafka, sifted events and the agents' answers ─ watermark of each partition, in the JVM
  └─ one keyed operator a user, Python in a thread of the JVM ─ decisions, crossings, events.rejected
"""

import sys
from collections.abc import Sequence
from typing import Any

from pyflink.common import Types
from pyflink.datastream import DataStream, KeyedStream, StreamExecutionEnvironment
from pyflink.java_gateway import get_gateway
from pyflink.table import DataTypes, Schema, StreamTableEnvironment

from schemas.codec import MAX_AHEAD_MS
from schemas.errors import HoldfastError
from schemas.events import LAST_TS_MS
from schemas.topics import (
    CROSSINGS,
    DECISIONS,
    DRAFT_REQUESTS,
    DRAFTS,
    INTERVENTIONS,
    JUDGED,
    REJECTED,
    RISKS,
    TICK_KEY,
    Topic,
)
from streams.flink.environment import Cluster, leave, run, start
from streams.flink.keyed import OFFERS, OUTPUT, RECORD, Lives
from streams.flink.offers import Offers
from streams.flink.rest import KEYED_OPERATOR, OFFERS_OPERATOR
from streams.settings import Settings, load_settings
from streams.tenants import load_tenants
from streams.topics import ensure_topics

NAME = "decisions"
ANSWER_TOPICS = (DRAFTS, RISKS)
_OUT_TOPICS = (DECISIONS, INTERVENTIONS, CROSSINGS, DRAFT_REQUESTS, REJECTED)


def cluster(settings: Settings) -> Cluster:
    """Where the main job runs."""
    return Cluster(
        name=NAME,
        rest_port=settings.flink_port,
        state_dir=settings.checkpoints(NAME),
        log_dir=settings.work_dir / "logs",
        jars_dir=settings.jars_dir / "flink",
        parallelism=settings.parallelism,
        checkpoint_interval_ms=settings.checkpoint_interval_ms,
        state_backend=settings.state_backend,
        heap_mb=settings.flink_heap_mb,
    )


def build(
    env: StreamExecutionEnvironment,
    tables: StreamTableEnvironment,
    settings: Settings,
    lives: Lives,
    events: Sequence[Topic] = JUDGED,
) -> None:
    """Adds the job to `env`; `events` are the topics that it reads them from."""
    tables.get_config().set("table.local-time-zone", "UTC")
    for source in _sources(settings, events):
        tables.execute_sql(source)
    # Two inputs of the operator, not one of both joined: rows would cross to one more thread for that.
    given, answers = (
        _keyed(tables.to_data_stream(tables.sql_query(_records(table))), RECORD)
        for table in ("events", "answers")
    )
    published = (
        given.connect(answers).process(lives, output_type=OUTPUT).name(KEYED_OPERATOR).uid(KEYED_OPERATOR)
    )
    streams = [published]
    if lives.rules_from is not None:
        offers = (
            published.get_side_output(OFFERS)
            .key_by(lambda row: row[0], key_type=Types.STRING())
            .process(Offers(lives.rules_from), output_type=OUTPUT)
            .name(OFFERS_OPERATOR)
            .uid(OFFERS_OPERATOR)
        )
        streams.append(offers)
    schema = Schema.new_builder()
    schema.column("topic", DataTypes.STRING()).column("key", DataTypes.BYTES()).column(
        "value", DataTypes.BYTES()
    )
    inserts = tables.create_statement_set()
    # A sink table each: streams into one would be joined before it, and so cross to another thread as well.
    for number, stream in enumerate(streams):
        sink = f"published_{number}"
        tables.execute_sql(_sink(settings, sink))
        inserts.add_insert(sink, tables.from_data_stream(stream, schema.build()))
    inserts.attach_as_datastream()


def _keyed(rows: DataStream, value_type: Any) -> KeyedStream:
    """Rows of a key and a value, by the key.

    They are as `rows.key_by` makes them; but that calls a function of Python for each, which took longer here
    than the SQL before it.
    """
    key_type = Types.STRING()
    rows._j_data_stream.getTransformation().setOutputType(
        Types.ROW([key_type, value_type]).get_java_type_info()
    )
    selector = get_gateway().jvm.KeyByKeySelector()
    keyed = rows._j_data_stream.keyBy(selector, Types.ROW([key_type]).get_java_type_info())
    return KeyedStream(keyed, value_type, rows)


def _sources(settings: Settings, events: Sequence[Topic]) -> tuple[str, str]:
    behind_s = (settings.watermark_bound_ms + 1) / 1000
    watermark = f"`time` - INTERVAL '{behind_s:.3f}' SECOND(3)"
    return (
        _source(
            settings,
            "events",
            events,
            _EVENT_TIME,
            watermark,
            idle_ms=0,
            batch_bytes=100_000,
            wait_ms=50,
        ),
        # Answers do not hold event time back: what comes is at its end, and silence counts for nothing. They
        # are few, and each is handed over as it comes.
        _source(
            settings, "answers", ANSWER_TOPICS, _AT_THE_END, "`time`", idle_ms=100, batch_bytes=1, wait_ms=500
        ),
    )


def _quoted(text: str) -> str:
    """`text` as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def _source(
    settings: Settings,
    name: str,
    topics: Sequence[Topic],
    time: str,
    watermark: str,
    *,
    idle_ms: int,
    batch_bytes: int,
    wait_ms: int,
) -> str:
    return f"""
        CREATE TEMPORARY TABLE {name} (
            `key` BYTES,
            `value` BYTES,
            `topic` STRING NOT NULL METADATA VIRTUAL,
            `partition` INT NOT NULL METADATA VIRTUAL,
            `offset` BIGINT NOT NULL METADATA VIRTUAL,
            `appended` TIMESTAMP_LTZ(3) NOT NULL METADATA FROM 'timestamp' VIRTUAL,
            `time` AS {time},
            WATERMARK FOR `time` AS {watermark}
        ) WITH (
            'connector' = 'kafka',
            'topic' = '{";".join(topic.name for topic in topics)}',
            'properties.bootstrap.servers' = '{settings.bootstrap_servers}',
            'properties.group.id' = 'holdfast-{NAME}',
            'properties.fetch.max.wait.ms' = '{wait_ms}',
            'properties.fetch.min.bytes' = '{batch_bytes}',
            'properties.max.partition.fetch.bytes' = '{max(topic.max_bytes for topic in topics)}',
            'scan.startup.mode' = 'earliest-offset',
            'scan.watermark.idle-timeout' = '{idle_ms} ms',
            'key.format' = 'raw',
            'key.fields' = 'key',
            'value.format' = 'raw',
            'value.fields-include' = 'EXCEPT_KEY'
        )"""


_NUMBER = "(?:0|[1-9][0-9]{0,13})"
_REPLAY = rf'\{{"until": ?+{_NUMBER}, ?+"compose": ?+(?:true|false)\}}'
# Patterns are read by Java and, in tests, by Python: they use what is the same in both.
MARK = rf'"replay": ?+{_REPLAY}'
"""The replay's mark."""
TICK = rf'^\{{"kind":"tick","ts":{_NUMBER},"replay":(?:null|{_REPLAY})\}}$'
"""A tick as ours are written; it belongs to no user."""
CLOCK = rf'^\{{[^{{}}]*?"ts": ?+({_NUMBER})[,}}]'
"""The `ts` of an object's head, as group 1, whatever else is wrong with it."""

# What moves event time: the `ts` of a tick, unless it is too far ahead of the broker's clock and no replay
# says so. NULL moves nothing. (Events need not: without ticks the partitions that nobody writes to would hold
# event time back anyway. REGEXP_EXTRACT compiles its pattern for every row, REGEXP_EXTRACT_ALL keeps it.)
_TEXT = "CAST(`value` AS STRING)"
_TIME = f"TO_TIMESTAMP_LTZ(CAST(REGEXP_EXTRACT_ALL({_TEXT}, {_quoted(CLOCK)}, 1)[1] AS BIGINT), 3)"
_AT_THE_END = f"TO_TIMESTAMP_LTZ({LAST_TS_MS}, 3)"
_TICK_KEY = f"X'{TICK_KEY.hex()}'"
_EVENT_TIME = f"""CASE
                WHEN `key` <> {_TICK_KEY} THEN CAST(NULL AS TIMESTAMP_LTZ(3))
                WHEN {_TIME} <= `appended` + INTERVAL '{MAX_AHEAD_MS // 60_000}' MINUTE THEN {_TIME}
                WHEN REGEXP({_TEXT}, {_quoted(MARK)}) THEN {_TIME}
            END"""


def _records(table: str) -> str:
    """SQL for the records of a table, as the keyed operator takes them: all but ticks."""
    return f"""
    SELECT COALESCE(CAST(`key` AS STRING), '') AS `user`, ROW(
        `topic`, `partition`, `offset`,
        EXTRACT(EPOCH FROM `appended`) * 1000 + EXTRACT(MILLISECOND FROM `appended`),
        `key`, `value`
    )
    FROM {table}
    WHERE `key` IS NULL OR `key` <> {_TICK_KEY} OR NOT COALESCE(REGEXP({_TEXT}, {_quoted(TICK)}), FALSE)"""


def _sink(settings: Settings, name: str) -> str:
    return f"""
        CREATE TEMPORARY TABLE {name} (
            `topic` STRING NOT NULL METADATA,
            `key` BYTES,
            `value` BYTES
        ) WITH (
            'connector' = 'kafka',
            'topic' = '{";".join(topic.name for topic in _OUT_TOPICS)}',
            'properties.bootstrap.servers' = '{settings.bootstrap_servers}',
            'properties.linger.ms' = '1',
            'properties.max.request.size' = '{max(topic.max_bytes for topic in _OUT_TOPICS)}',
            'properties.delivery.timeout.ms' = '120000',
            'sink.delivery-guarantee' = 'at-least-once',
            'key.format' = 'raw',
            'key.fields' = 'key',
            'value.format' = 'raw',
            'value.fields-include' = 'EXCEPT_KEY'
        )"""


def main() -> None:
    """Runs the job until SIGTERM; exit status 1 and one line where something that it needs is not there."""
    try:
        settings = load_settings()
        tenants = load_tenants(settings.tenants_file)
        ensure_topics(settings.bootstrap_servers)
        place = cluster(settings)
        env, tables = start(place)
        build(env, tables, settings, Lives(tenants, settings.draft_lead_ms, settings.bootstrap_servers))
        run(
            place,
            lambda: env.execute_async(f"holdfast {NAME}"),
            lambda _: print(f"{NAME}: running", flush=True),
        )
    except HoldfastError as error:
        print(f"holdfast {NAME}: {error}", file=sys.stderr)
        leave(1)
    leave(0)


if __name__ == "__main__":
    main()
