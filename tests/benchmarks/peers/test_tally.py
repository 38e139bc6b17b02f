"""What a candidate published is held against the batch answer, copies and marks told apart."""

import msgspec
import pytest

from benchmarks.peers.tally import Tally
from schemas.codec import encode
from schemas.deadletter import DeadLetter
from schemas.events import Login, Replay
from schemas.topics import CROSSINGS, DECISIONS, REJECTED
from schemas.vocabulary import Tier
from streams.batch import PANE_MS, ExpectedDecision, recompute
from streams.consumer import Record

UNTIL_MS = 60 * 24 * PANE_MS
HABIT = [
    encode(Login(event_id=f"e{hour}", tenant="acme", user_id="u1", ts=hour * PANE_MS))
    for hour in range(0, 40 * 24, 8)
]
EXPECTED = recompute(HABIT, UNTIL_MS, replay=Replay(until=UNTIL_MS)).decisions


def tally(*published: object, topic: str = DECISIONS.name) -> Tally:
    held = Tally(EXPECTED, UNTIL_MS)
    for append_ms, record in enumerate(published, 1000):
        held.take(topic, Record(partition=0, offset=0, append_ms=append_ms, key=None, value=encode(record)))
    return held


def changed(**fields: object) -> ExpectedDecision:
    return msgspec.structs.replace(EXPECTED[0], **fields)


@pytest.mark.parametrize("topic", [DECISIONS.name, CROSSINGS.name])
def test_the_whole_answer_is_equal_wherever_it_was_published(topic: str) -> None:
    held = tally(*EXPECTED[::-1], topic=topic)
    assert held.complete
    assert held.comparison().equal


def test_a_copy_is_counted_and_is_no_difference() -> None:
    comparison = tally(*EXPECTED, EXPECTED[0]).comparison()
    assert comparison.equal
    assert comparison.repeated == 1


def test_what_does_not_come_is_missing() -> None:
    held = tally(*EXPECTED[1:])
    assert not held.complete
    assert (held.comparison().missing, held.comparison().different) == (1, 0)


@pytest.mark.parametrize(
    "wrong", [{"id": "unknown"}, {"to_tier": Tier.VERY_LOW}, {"activity": EXPECTED[0].activity + 1e-12}]
)
def test_another_id_tier_or_activity_is_a_difference(wrong: dict[str, object]) -> None:
    comparison = tally(*EXPECTED, changed(**wrong) if "id" in wrong else EXPECTED[0]).comparison()
    first = tally(changed(**wrong), *EXPECTED[1:]).comparison()
    assert not first.equal
    assert first.different == 1
    assert comparison.missing == 0


def test_a_decision_after_the_replay_is_noted_and_not_compared() -> None:
    held = tally(*EXPECTED, changed(id="live", at=UNTIL_MS + 1))
    assert held.comparison().equal
    assert held.later == {"live": 1000 + len(EXPECTED)}


def letter(partition: int, value: bytes) -> DeadLetter:
    return DeadLetter(
        topic="events.usage", partition=partition, offset=1, append_ms=900,
        field="kind", reason="is missing", key=None, value=value,
    )  # fmt: skip


def test_a_mark_counts_once_for_each_partition_that_was_read_up_to_it() -> None:
    marks = [letter(number, b'{"mark":"end"}') for number in (0, 1, 1)]
    held = tally(*marks, topic=REJECTED.name)
    assert (held.marks("end"), held.marks("warm")) == (2, 0)
    assert held.hops == []


def test_a_rejected_event_shows_how_long_a_record_takes() -> None:
    held = tally(letter(0, b'{"kind":"usage","duration_ms":-1}'), topic=REJECTED.name)
    assert held.hops == [(900, 1000)]
