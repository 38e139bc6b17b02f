"""Each occasion is of one user, and its decision counts once, from its own event on."""

import msgspec
import pytest

from benchmarks.occasions import Occasion, occasions
from benchmarks.risk_latency import Found
from schemas.codec import encode
from schemas.decision import Timing
from schemas.vocabulary import Cause, HeldBy, Locale, Tier, Trigger
from streams.bursts import Bursts
from streams.consumer import Record
from streams.traffic import Persona
from tests.records import decision

PERSONAS = [
    Persona(user_id=f"u{number}", locale=Locale.EN, tier=Tier.LOW, panes=(), trouble="none")
    for number in range(3)
]
PLANNED = list(occasions(PERSONAS, [10_000, 11_000, 12_000]))


def record(occasion: Occasion, append_ms: int, cause: Cause = Cause.RISK) -> Record:
    value = decision(
        id=occasion.decision_id,
        cause=cause,
        held_by=HeldBy.CONSENT,
        timing=Timing(detected_ms=append_ms - 8, steps={"assess": 5.0}, published_ms=append_ms - 1),
    )
    return Record(partition=0, offset=0, append_ms=append_ms, key=b"acme/u", value=encode(value))


def test_occasions_are_of_the_three_kinds_in_turn_and_end_at_their_time() -> None:
    assert [one.trigger for one in PLANNED] == list(Trigger)
    assert [one.events[-1].ts for one in PLANNED] == [one.at for one in PLANNED]
    assert len({one.events[-1].user_id for one in PLANNED}) == 3


def test_the_last_failure_of_a_burst_is_what_the_user_is_assessed_at() -> None:
    burst = PLANNED[list(Trigger).index(Trigger.ERRORS)]
    assert [told.event_id for told in Bursts().told(burst.events)] == [burst.events[-1].event_id]


def test_times_are_counted_from_the_event_and_what_lacks_is_named() -> None:
    support, errors, account = (PLANNED[list(Trigger).index(one)] for one in Trigger)
    found = Found()
    for one in (record(support, 10_020), record(support, 19_000), record(errors, 11_040)):
        found.take(one)
    found.take(record(account, 12_020, Cause.DECLINE))
    appended = {support.decision_id: 10_005, errors.decision_id: 11_003, account.decision_id: 12_001}
    report = found.report(PLANNED, appended, 50, {})
    assert (report.expected, report.missing, report.held) == (3, {"account": 1}, {"consent": 2})
    assert report.by_trigger["support"].max_ms == pytest.approx(15, abs=0.1)
    assert report.by_trigger["errors"].max_ms == pytest.approx(37, abs=0.1)
    assert report.steps["notice"].max_ms == pytest.approx(29, abs=0.1)
    assert report.intended.max_ms == pytest.approx(40, abs=0.1)
    assert list(report.steps) == ["notice", "assess", "append"]
    assert report.within_budget == pytest.approx(2 / 3)
    assert msgspec.json.encode(report)
