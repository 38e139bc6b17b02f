"""What consumers may rely on in decisions, topics and the closed sets of words."""

import base64

import msgspec

from schemas.codec import encode
from schemas.deadletter import DeadLetter
from schemas.decision import Decision, Timing, decision_id
from schemas.topics import EVENT_TOPICS, MAX_RECORD_BYTES, REJECTED, TOPIC_OF_KIND, TOPICS
from schemas.vocabulary import TIERS, Cause, HeldBy, Locale
from tests.records import decision


def test_an_id_is_a_function_of_user_cause_and_time_alone() -> None:
    first = decision_id("acme", "u1", Cause.DECLINE, 1)
    assert first == decision_id("acme", "u1", Cause.DECLINE, 1)
    others = {
        decision_id("acme", "u2", Cause.DECLINE, 1),
        decision_id("acme", "u1", Cause.RISE, 1),
        decision_id("acme", "u1", Cause.DECLINE, 2),
        decision_id("acme", "u1", Cause.RISK, "e1"),
    }
    assert len(others) == 4 and first not in others


def test_a_decision_comes_back_from_json_as_it_was() -> None:
    made = decision(
        activity=100 / 3,
        held_by=HeldBy.REPLAY,
        timing=Timing(detected_ms=1.25, published_ms=2.5, steps={"guard": 0.5}),
    )
    assert msgspec.json.decode(encode(made), type=Decision) == made


def test_a_dead_letter_keeps_bytes_that_are_no_text() -> None:
    letter = DeadLetter(
        topic="events.usage",
        partition=0,
        offset=7,
        append_ms=1,
        field="record",
        reason="is not JSON in UTF-8",
        key=None,
        value=b"\xff\x00",
    )
    assert msgspec.json.decode(encode(letter), type=DeadLetter) == letter
    assert base64.b64decode(msgspec.json.decode(encode(letter))["value"]) == b"\xff\x00"


def test_topics_that_are_keyed_by_user_share_their_number_of_partitions() -> None:
    keyed = [topic for topic in TOPICS if topic.key == "tenant/user_id"]
    assert len(keyed) > 10 and len({topic.partitions for topic in keyed}) == 1
    assert set(TOPIC_OF_KIND.values()) == set(EVENT_TOPICS)


def test_every_original_fits_into_a_dead_letter() -> None:
    assert REJECTED.max_bytes > MAX_RECORD_BYTES * 4 / 3


def test_tiers_are_ordered_and_each_has_its_strategy() -> None:
    assert [tier.rank for tier in TIERS] == [0, 1, 2, 3, 4]
    assert len({tier.strategy for tier in TIERS}) == 5


def test_a_language_that_we_do_not_write_gets_english() -> None:
    assert [Locale.of(tag) for tag in ("zh-Hans-CN", "ZH", "fr", "", None)] == ["zh", "zh", "en", "en", "en"]
