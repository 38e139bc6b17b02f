"""The log has the whole of a replay, in two parts, with marks that no candidate can miss."""

from collections import Counter

import pytest

from benchmarks.peers.log import BAD_EVERY, END, MARKS_EACH, MIDDLE, WARM, Log, live_values, make_log
from schemas.codec import parse
from schemas.errors import RejectedEvent
from schemas.topics import EVENT_TOPICS
from streams.producer import partition_of
from streams.sending import Outgoing

NOW_MS = 1_700_000_000_000


@pytest.fixture(scope="module")
def log() -> Log:
    return make_log(users=20, per_use=2, now_ms=NOW_MS, bound_ms=1000)


def marks(records: list[Outgoing]) -> Counter[bytes]:
    return Counter(record.value for record in records if record.value.startswith(b'{"mark"'))


def test_each_mark_lies_in_every_partition_once(log: Log) -> None:
    assert marks(log.first) == {b'{"mark":"%s"}' % WARM.encode(): MARKS_EACH}
    assert marks(log.second) == {b'{"mark":"%s"}' % name.encode(): MARKS_EACH for name in (MIDDLE, END)}
    at_the_end = {(one.topic, partition_of(one.key or b"")) for one in log.second[-MARKS_EACH:]}
    assert len(at_the_end) == MARKS_EACH
    assert {topic for topic, _ in at_the_end} == {topic.name for topic in EVENT_TOPICS}


def test_event_time_goes_to_the_end_of_the_replay(log: Log) -> None:
    last = log.second[-MARKS_EACH - 1]
    assert last.topic is None
    assert parse(last.value).ts == log.until_ms + 1000


def test_decisions_are_expected_of_it(log: Log) -> None:
    assert log.expected
    assert all(decision.at <= log.until_ms for decision in log.expected)


def test_some_live_events_must_be_rejected_and_the_others_not(log: Log) -> None:
    values = list(live_values(log.population, rate_per_s=100, start_ms=NOW_MS, seconds=10))
    bad = sum(is_bad(value) for value in values)
    assert 0 < bad <= len(values) / BAD_EVERY
    assert not is_bad(values[0])


def is_bad(value: bytes) -> bool:
    try:
        parse(value)
    except RejectedEvent:
        return True
    return False
