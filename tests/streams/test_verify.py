"""A comparison finds every way in which two answers can differ."""

import msgspec
import pytest

from schemas.codec import encode
from schemas.deadletter import DeadLetter
from schemas.decision import Decision, Timing
from schemas.events import Login, Replay
from schemas.vocabulary import Cause, Tier
from streams.batch import PANE_MS, Batch, ExpectedDecision, recompute
from streams.verify import Verdict, compare_decisions, compare_rejected

UNTIL_MS = 60 * 24 * PANE_MS
HABIT = [
    encode(Login(event_id=f"e{hour}", tenant="acme", user_id="u1", ts=hour * PANE_MS))
    for hour in range(40 * 24)
    if hour % 24 < 3
]
BATCH = recompute([*HABIT, b"no json"], UNTIL_MS, replay=Replay(until=UNTIL_MS))


def as_published(expected: ExpectedDecision) -> Decision:
    fields = {name: getattr(expected, name) for name in Decision.__struct_fields__ if hasattr(expected, name)}
    return Decision(
        **fields, strategy=expected.to_tier.strategy, timing=Timing(detected_ms=1, published_ms=2)
    )


PUBLISHED = [as_published(expected) for expected in BATCH.decisions]


def compared(published: list[Decision], batch: Batch = BATCH) -> Verdict:
    verdict = Verdict()
    compare_decisions(published, batch, verdict)
    return verdict


def test_the_same_answer_has_no_difference_in_whatever_order() -> None:
    verdict = compared(PUBLISHED[::-1])
    assert not verdict.differences
    assert verdict.decisions == sum(verdict.by_tier.values()) == sum(verdict.by_cause.values()) > 0


def test_a_repeat_is_counted_and_no_difference() -> None:
    verdict = compared([*PUBLISHED, PUBLISHED[0]])
    assert (verdict.repeated, verdict.decisions, verdict.differences) == (1, len(PUBLISHED), [])


def test_a_repeat_that_tells_otherwise_is_a_difference() -> None:
    other = msgspec.structs.replace(PUBLISHED[0], activity=1.0)
    assert [found.what for found in compared([*PUBLISHED, other]).differences] == ["activity"]


def test_a_decision_that_is_missing_or_too_much_is_a_difference() -> None:
    (missing,) = compared(PUBLISHED[1:]).differences
    assert (missing.what, missing.stream) == ("decision", None)
    (extra,) = compared([*PUBLISHED, msgspec.structs.replace(PUBLISHED[0], id="other")]).differences
    assert (extra.what, extra.batch) == ("decision", None)


@pytest.mark.parametrize(
    ("field", "value"), [("at", 5), ("from_tier", Tier.CRITICAL), ("activity", 33.3), ("held_by", None)]
)
def test_each_field_is_compared(field: str, value: object) -> None:
    changed = msgspec.structs.replace(PUBLISHED[0], **{field: value})
    assert [found.what for found in compared([changed, *PUBLISHED[1:]]).differences] == [field]


def letter(offset: int) -> DeadLetter:
    (refused,) = BATCH.rejected
    return DeadLetter(
        topic="events.usage",
        partition=0,
        offset=offset,
        append_ms=1,
        field=refused.field,
        reason=refused.reason,
        key=None,
        value=refused.value,
    )


@pytest.mark.parametrize(("letters", "differences"), [([1], 0), ([1, 1], 0), ([], 1), ([1, 2], 1)])
def test_rejected_records_are_compared_by_where_they_lay(letters: list[int], differences: int) -> None:
    verdict = Verdict()
    compare_rejected(map(letter, letters), BATCH, verdict)
    assert len(verdict.differences) == differences


def test_a_risk_crossing_is_counted_and_no_difference() -> None:
    risk = msgspec.structs.replace(PUBLISHED[0], id="r", cause=Cause.RISK, activity=1.0)
    verdict = compared([*PUBLISHED, risk, risk])
    assert (verdict.differences, verdict.repeated, verdict.by_cause["risk"]) == ([], 1, 1)
