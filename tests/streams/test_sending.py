"""What goes out of a file of events: nothing lost, nothing changed, nothing late."""

import json
from collections.abc import Iterable

import msgspec
import pytest

from schemas.codec import MAX_EVENT_BYTES, accept, encode
from schemas.errors import InputError
from schemas.events import Account, Event, Login, Replay, Support, Tick, Usage
from schemas.topics import MAX_RECORD_BYTES
from streams.sending import TICK_EVERY, Disorder, Outgoing, in_order, outgoing, span

UNTIL_MS, BOUND_MS = 50_000_000, 1000
REPLAY = Replay(until=UNTIL_MS)


def logins(count: int, step_ms: int = 100) -> list[bytes]:
    return [
        encode(Login(event_id=f"e{n}", tenant="acme", user_id=f"u{n % 7}", ts=n * step_ms))
        for n in range(count)
    ]


def events(records: Iterable[Outgoing]) -> list[Event]:
    return [
        event
        for record in records
        if record.topic is not None and not isinstance(event := accept(record.key, record.value, 0), Tick)
    ]


@pytest.mark.parametrize(
    ("event", "topic"),
    [
        (Login(event_id="e", tenant="a", user_id="u/1", ts=1), "events.login"),
        (Usage(event_id="e", tenant="a", user_id="😀", ts=1, feature="f"), "events.usage"),
        (Support(event_id="e", tenant="a", user_id="u", ts=1, text="?"), "events.support"),
        (Account(event_id="e", tenant="a", user_id="u", ts=1), "events.account"),
    ],
)
def test_an_event_goes_to_the_topic_of_its_kind_with_its_users_key(event: Event, topic: str) -> None:
    (record,) = outgoing([encode(event)])
    assert (record.topic, record.key, record.value) == (topic, event.key.encode(), encode(event))


def test_history_is_marked_and_otherwise_the_same() -> None:
    values = [b'  {"kind":"login","event_id":"e","tenant":"a","user_id":"u","ts":1,"extra":[1]} \r']
    record, _ = outgoing(values, Replay(until=9, compose=True))
    assert json.loads(record.value) == json.loads(values[0]) | {"replay": {"until": 9, "compose": True}}


def test_a_mark_of_an_earlier_replay_is_replaced() -> None:
    old = Login(event_id="e", tenant="a", user_id="u", ts=1, replay=Replay(until=2))
    (event,) = events(outgoing([encode(old)], REPLAY))
    assert event.replay == REPLAY


def test_history_ends_with_a_tick_that_carries_event_time_just_to_its_end() -> None:
    *_, last = outgoing(logins(3), REPLAY, Disorder(bound_ms=BOUND_MS))
    tick = msgspec.json.decode(last.value, type=Tick)
    assert last.topic is None and last.key is None
    assert (tick.ts, tick.replay) == (UNTIL_MS + BOUND_MS, REPLAY)
    watermark = tick.ts - BOUND_MS - 1
    assert watermark == UNTIL_MS - 1


def test_events_after_the_end_stay_behind() -> None:
    records = outgoing(logins(10), Replay(until=500))
    assert [event.ts for event in events(records)] == [0, 100, 200, 300, 400, 500]


def test_ticks_of_the_file_are_not_passed_on() -> None:
    assert [record.topic for record in outgoing([encode(Tick(ts=10**12))], REPLAY)] == [None]
    assert not list(outgoing([encode(Tick(ts=10**12))]))


@pytest.mark.parametrize("disorder", [Disorder(), Disorder(shuffle=True, duplicates=0.3, seed=5)])
def test_event_time_never_runs_ahead_of_what_is_still_to_come(disorder: Disorder) -> None:
    disorder = msgspec.structs.replace(disorder, bound_ms=BOUND_MS)
    records = list(outgoing(logins(3 * TICK_EVERY, 7), REPLAY, disorder))
    assert sum(record.topic is None for record in records) > 2
    watermark = -1
    for record in records:
        found = msgspec.json.decode(record.value)
        if record.topic is not None:
            assert found["ts"] > watermark
        watermark = max(watermark, found["ts"] - BOUND_MS - 1)


def test_shuffling_changes_the_order_and_nothing_else() -> None:
    values = logins(500)
    plain = events(outgoing(values))
    shuffled = events(outgoing(values, None, Disorder(shuffle=True, seed=1, bound_ms=BOUND_MS)))
    assert shuffled != plain
    assert sorted(shuffled, key=lambda event: event.ts) == plain


def test_duplicates_are_repeats_and_the_seed_decides_which() -> None:
    def sent(seed: int) -> list[Event]:
        return events(outgoing(logins(1000), None, Disorder(duplicates=0.1, seed=seed, bound_ms=BOUND_MS)))

    assert sent(1) == sent(1) != sent(2)
    assert 1050 < len(sent(1)) < 1150
    assert len(set(sent(1))) == 1000


@pytest.mark.parametrize(
    ("value", "topic", "key"),
    [
        (b"no json", "events.usage", None),
        (b"\xff\xfe", "events.usage", None),
        (b"[]", "events.usage", None),
        (b'{"kind":"purchase","tenant":"a","user_id":"u"}', "events.usage", b"a/u"),
        (b'{"kind":"login","tenant":"a/b","user_id":"u"}', "events.login", b"a/b/u"),
        (b'{"kind":"support","tenant":"a","user_id":7}', "events.support", None),
        (b'{"kind":"account","tenant":"a","user_id":"\\ud800"}', "events.usage", None),
    ],
)
def test_what_is_no_event_goes_out_untouched(value: bytes, topic: str, key: bytes | None) -> None:
    for replay in (None, REPLAY):
        record = next(outgoing([value], replay))
        assert (record.topic, record.key, record.value, record.good) == (topic, key, value, False)


def test_an_event_too_large_is_sent_as_long_as_a_topic_takes_it() -> None:
    assert next(outgoing([b"x" * 2 * MAX_EVENT_BYTES])).good is False
    with pytest.raises(InputError, match="too large"):
        list(outgoing([b"x" * MAX_RECORD_BYTES]))


def test_a_file_is_looked_through_before_it_is_sent() -> None:
    values = [*logins(3), b"no json", b'{"ts":150}']
    assert span(values) == (seen := span(values)) and (seen.records, seen.last_ms) == (5, 200)
    assert not seen.in_order and span(logins(3)).in_order
    assert span(values, until_ms=100).records == 3
    assert span([b"no json"]).last_ms is None


def test_a_file_out_of_order_is_put_in_order_with_bad_records_where_they_were() -> None:
    a, b, c = logins(3)
    assert in_order([c, b"bad", a, b]) == [a, b, c, b"bad"]
