"""The latency benchmark counts each decision of the live part once."""

import msgspec

from benchmarks.latency import Tally, machine
from schemas.codec import encode
from schemas.decision import Decision, Timing
from schemas.vocabulary import Cause, HeldBy, Outcome, Tier
from streams.consumer import Record

DECISION = Decision(
    id="d1",
    tenant="acme",
    user_id="u1",
    cause=Cause.RISE,
    at=1,
    from_tier=Tier.LOW,
    to_tier=Tier.VERY_LOW,
    activity=96,
    outcome=Outcome.HELD,
    held_by=HeldBy.RISE,
    strategy=Tier.VERY_LOW.strategy,
    timing=Timing(detected_ms=1000, published_ms=1002),
)


def record(append_ms: int, **changes: object) -> Record:
    value = encode(msgspec.structs.replace(DECISION, **changes))
    return Record(partition=0, offset=0, append_ms=append_ms, key=b"acme/u1", value=value)


def test_a_decision_counts_once_whatever_is_published_again() -> None:
    tally = Tally(budget_ms=50)
    tally.take(record(1010), lambda at_ms: at_ms >= 1)
    tally.take(record(5000), lambda at_ms: at_ms >= 1)
    assert tally.publications.total().count == tally.within == 1


def test_what_was_too_slow_counts_and_is_not_within_the_budget() -> None:
    tally = Tally(budget_ms=50)
    tally.take(record(1050), lambda at_ms: at_ms >= 1)
    tally.take(record(1051, id="d2"), lambda at_ms: at_ms >= 1)
    assert (tally.publications.total().count, tally.within) == (2, 1)


def test_neither_the_past_nor_the_warm_up_counts() -> None:
    tally = Tally(budget_ms=50)
    tally.take(record(1010, held_by=HeldBy.REPLAY), lambda at_ms: at_ms >= 1)
    tally.take(record(1010, at=0), lambda at_ms: at_ms >= 1)
    assert tally.publications.total().count == 0


def test_figures_say_what_machine_they_are_from() -> None:
    assert {"cpu", "cores", "memory_gib", "python"} <= machine().keys()
