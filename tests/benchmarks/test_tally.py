"""Each decision of the measured part counts once, and is compared with what was planned."""

import msgspec
import pytest

from benchmarks.stalls import Stall
from benchmarks.tally import Tally
from schemas.codec import encode
from schemas.decision import Timing
from schemas.vocabulary import HeldBy, Locale, Tier
from streams.consumer import Record
from streams.traffic import Plan
from tests.records import decision

DECISION = decision(
    at=900,
    from_tier=Tier.VERY_LOW,
    to_tier=Tier.LOW,
    held_by=HeldBy.CONSENT,
    timing=Timing(detected_ms=1000, published_ms=1002),
)


def record(append_ms: int, **changes: object) -> Record:
    value = encode(msgspec.structs.replace(DECISION, **changes))
    return Record(partition=0, offset=0, append_ms=append_ms, key=b"acme/u1", value=value)


def tally(*records: Record) -> Tally:
    tally = Tally()
    for one in records:
        tally.take(one, lambda at_ms: at_ms >= 1)
    return tally


def plan(user_id: str = "u1", at: int = 900, to_tier: Tier = Tier.LOW) -> Plan:
    return Plan(user_id=user_id, locale=Locale.EN, at=at, from_tier=Tier.VERY_LOW, to_tier=to_tier)


def test_a_decision_counts_once_whatever_is_published_again() -> None:
    assert tally(record(1010), record(5000)).publications().total().count == 1


def test_what_was_too_slow_counts_and_is_not_within_the_budget() -> None:
    some = tally(record(1050), record(1051, id="d2"))
    assert some.within(50) == 0.5
    assert some.publications().total().max_ms == pytest.approx(51, abs=0.1)


def test_neither_the_past_nor_the_warm_up_counts() -> None:
    assert not tally(record(1010, held_by=HeldBy.REPLAY), record(1010, at=0)).taken


def test_from_the_boundary_on_every_delay_counts() -> None:
    boundary = tally(record(1010)).boundary().summary()
    assert boundary.max_ms == pytest.approx(110, abs=0.1)


def test_what_was_planned_and_not_published_is_missing() -> None:
    agreement = tally(record(1010)).agreement([plan(), plan("u2")])
    assert (agreement.expected, agreement.found, agreement.missing, agreement.different) == (2, 1, 1, 0)
    assert not agreement.equal


def test_what_was_published_and_not_so_planned_is_different() -> None:
    assert tally(record(1010)).agreement([plan()]).equal
    assert tally(record(1010)).agreement([]).different == 1
    other = tally(record(1010)).agreement([plan(to_tier=Tier.HIGH)])
    assert (other.missing, other.different) == (0, 1)


def test_phases_go_by_the_boundary_and_not_by_the_publication() -> None:
    phases = tally(record(9000, at=900), record(9001, id="d2", at=1000)).phases((1000, 2000))
    counts = {name: figures.boundary.count for name, figures in phases.items()}
    assert counts == {"before": 1, "during": 1, "after": 0}
    assert tally().phases(None) == {}


def test_each_second_has_its_own_percentiles() -> None:
    seconds = tally(record(1010), record(1040, id="d2"), record(3100, id="d3", at=2500)).by_second(500)
    assert [(second.at_s, second.count) for second in seconds] == [(0, 2), (2, 1)]
    assert seconds[0].p50_ms == 25 and seconds[1].boundary_p99_ms == 600


def test_a_noisy_tenant_s_decisions_are_counted_apart_from_the_others() -> None:
    some = tally(record(1010), record(1040, id="d2", tenant="beta"), record(1050, id="d3", tenant="beta"))
    apart = some.apart("acme", (0, 2000))
    assert {name: phases["during"].published.count for name, phases in apart.items()} == {
        "noisy": 1,
        "others": 2,
    }


def test_a_crossing_of_another_tenant_s_user_is_not_the_one_that_was_planned() -> None:
    agreement = tally(record(1010, tenant="beta")).agreement([plan()])
    assert (agreement.missing, agreement.different) == (1, 1)


def test_of_what_was_too_slow_it_is_told_what_the_machine_stood_still_for() -> None:
    slow = tally(record(1051), record(1060, id="d2", timing=Timing(detected_ms=1005, published_ms=1007)))
    early, later = Stall(core=0, at_ms=990, ms=12), Stall(core=1, at_ms=1020, ms=30)
    assert slow.stalled(50, []) == 0
    assert slow.stalled(50, [early]) == 1
    assert slow.stalled(50, [early, later]) == 2
    assert slow.stalled(100, [early, later]) == 0
