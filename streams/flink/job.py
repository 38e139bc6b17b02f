"""The main job: events in, crossings, requests for drafts and decisions out. `python -m streams.flink.job`.

Kafka, events and the agents' answers ─ watermark of each partition, in the JVM
  └─ of the plain events the first of each user and pane, and all other records, in the JVM
       └─ one keyed operator a user, Python in a thread of the JVM ─ decisions, crossings, events.rejected
"""

import sys
from collections.abc import Sequence

from pyflink.common import Types
from pyflink.datastream import DataStream, KeyedStream, StreamExecutionEnvironment
from pyflink.table import DataTypes, Schema, StreamTableEnvironment

from operators.window import PANE_MS, PHASE_STEP_MS
from schemas.codec import MAX_AHEAD_MS, MAX_BEHIND_MS
from schemas.errors import HoldfastError
from schemas.events import LAST_TS_MS
from schemas.topics import (
    CROSSINGS,
    DECISIONS,
    DRAFT_REQUESTS,
    DRAFTS,
    EVENT_TOPICS,
    INTERVENTIONS,
    REJECTED,
    RISKS,
    TICK_KEY,
    Topic,
)
from streams.flink.environment import Cluster, leave, run, start
from streams.flink.keyed import OFFERS, OUTPUT, Lives
from streams.flink.offers import Offers
from streams.flink.plain import CLOCK, MARK, PLAIN, TICK, TS_GROUP
from streams.flink.rest import KEYED_OPERATOR, OFFERS_OPERATOR
from streams.settings import Settings, load_settings
from streams.tenants import load_tenants
from streams.topics import ensure_topics

NAME = "decisions"
DEDUP_TTL = "2 h"
"""Processing time. A record that comes again later goes to the operator again, and changes nothing."""
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
    records: str | None = None,
) -> None:
    """Adds the job to `env`; `records` is SQL for other records to the operator than `FIRST`."""
    tables.get_config().set("table.local-time-zone", "UTC")
    tables.get_config().set("table.exec.state.ttl", DEDUP_TTL)
    for source in _sources(settings):
        tables.execute_sql(source)
    # Two inputs of the operator, not one of both joined: rows would cross to one more thread for that.
    events, answers = (
        _keyed(tables.to_data_stream(tables.sql_query(query)))
        for query in (records or FIRST, every("answers"))
    )
    published = (
        events.connect(answers).process(lives, output_type=OUTPUT).name(KEYED_OPERATOR).uid(KEYED_OPERATOR)
    )
    streams = [published]
    if lives.rules_from is not None:
        offers = (
            _keyed(published.get_side_output(OFFERS))
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


def _keyed(rows: DataStream) -> KeyedStream:
    """Rows by their first field."""
    return rows.key_by(lambda row: row[0], key_type=Types.STRING())


def _sources(settings: Settings) -> tuple[str, str]:
    behind_s = (settings.watermark_bound_ms + 1) / 1000
    watermark = f"`time` - INTERVAL '{behind_s:.3f}' SECOND(3)"
    return (
        _source(
            settings,
            "events",
            EVENT_TOPICS,
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
            `arrived` AS PROCTIME(),
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


# What moves event time: the `ts` of a tick, unless it is too far ahead of the broker's clock and no replay
# says so. NULL moves nothing. (Events need not: without ticks the partitions that nobody writes to would hold
# event time back anyway. To look for the time in each took a sixth of what this job takes for an event.)
_TEXT = "CAST(`value` AS STRING)"
_TIME = f"TO_TIMESTAMP_LTZ(CAST(REGEXP_EXTRACT_ALL({_TEXT}, {_quoted(CLOCK)}, 1)[1] AS BIGINT), 3)"
_AT_THE_END = f"TO_TIMESTAMP_LTZ({LAST_TS_MS}, 3)"
_TICK_KEY = f"X'{TICK_KEY.hex()}'"
_EVENT_TIME = f"""CASE
                WHEN `key` <> {_TICK_KEY} THEN CAST(NULL AS TIMESTAMP_LTZ(3))
                WHEN {_TIME} <= `appended` + INTERVAL '{MAX_AHEAD_MS // 60_000}' MINUTE THEN {_TIME}
                WHEN REGEXP({_TEXT}, {_quoted(MARK)}) THEN {_TIME}
            END"""
_APPEND_MS = "EXTRACT(EPOCH FROM `appended`) * 1000 + EXTRACT(MILLISECOND FROM `appended`)"

# (REGEXP_EXTRACT compiles its pattern for every row, REGEXP_EXTRACT_ALL keeps it. The join is there since
# the planner copies an expression to each place that uses its result.)
_RECORDS = f"""
    SELECT `records`.*, `found`.*
    FROM (
        SELECT
            COALESCE(CAST(`key` AS STRING), '') AS `user`,
            `topic`, `partition`, `offset`, `arrived`, `key`, `value`, {_APPEND_MS} AS `append_ms`
        FROM events WHERE `key` <> {_TICK_KEY} OR NOT COALESCE(REGEXP({_TEXT}, {_quoted(TICK)}), FALSE)
    ) AS `records`
    CROSS JOIN UNNEST(ARRAY[ROW(
        CAST(REGEXP_EXTRACT_ALL(`user` || ' ' || {_TEXT}, {_quoted(PLAIN)}, {TS_GROUP})[1] AS BIGINT),
        CASE WHEN {_TEXT} LIKE '%}}}}' THEN REGEXP_EXTRACT_ALL({_TEXT}, {_quoted(MARK)}, 1)[1] END,
        SUBSTRING(MD5(`user`), 1, 3)
    )]) AS `found` (`ts`, `mark`, `hash`)"""


def _hex_digit(at: int) -> str:
    return f"LOCATE(SUBSTRING(`hash`, {at}, 1), '123456789abcdef')"


_PHASE = f"{PHASE_STEP_MS} * (256 * {_hex_digit(1)} + 16 * {_hex_digit(2)} + {_hex_digit(3)})"
# A pane more, since SQL rounds towards 0. A replay's mark is remembered with the user, so the first plain
# event that carries it must pass as well.
FIRST = f"""
    SELECT `user`, `topic`, `partition`, `offset`, `append_ms`, `key`, `value` FROM (
        SELECT *, ROW_NUMBER() OVER (PARTITION BY `user`, `once` ORDER BY `arrived`) AS `turn` FROM (
            SELECT *, CASE
                WHEN `mark` IS NOT NULL AND `ts` IS NOT NULL
                    OR `ts` BETWEEN `append_ms` - {MAX_BEHIND_MS} AND `append_ms` + {MAX_AHEAD_MS}
                THEN CAST((`ts` + {PANE_MS} - {_PHASE}) / {PANE_MS} AS STRING) || COALESCE(`mark`, '')
                ELSE `topic` || '-' || CAST(`partition` AS STRING) || '-' || CAST(`offset` AS STRING)
            END AS `once`
            FROM ({_RECORDS})
        )
    )
    WHERE `turn` = 1"""


def every(table: str) -> str:
    """SQL for all records of a table, as the keyed operator takes them."""
    return f"""
    SELECT COALESCE(CAST(`key` AS STRING), '') AS `user`, `topic`, `partition`, `offset`,
        {_APPEND_MS} AS `append_ms`, `key`, `value`
    FROM {table}"""


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
