"""A tenant's budget of offers: so many a day for all of its users together, in the order of event time."""

import msgspec

from operators.calendar import day_of, zone
from schemas.codec import encode
from schemas.decision import Crossing, Decision
from schemas.policy import Policy, Rules
from schemas.vocabulary import HeldBy, Tier
from streams.batch import recompute
from tests.streams.conftest import Engine, History
from tests.streams.flink.test_job import send_all

NEW_YORK = zone("America/New_York")


def test_a_day_has_so_many_offers_and_the_first_crossings_get_them(engine: Engine, history: History) -> None:
    events, until_ms = history("offering", 5, compose=True)
    begin_ms = events[0].ts
    budget = Policy(offers_per_day=1, time_zone="America/New_York")
    engine.rule(Rules(version="budget", since=begin_ms, tenants={"offering": budget}))
    send_all(engine, events)
    engine.carry_on(until_ms)

    expected = [
        one
        for one in recompute(map(encode, events), until_ms).decisions
        if one.to_tier is Tier.HIGH and one.cause == "decline"
    ]
    first_of_day: dict[object, str] = {}
    for one in sorted(expected, key=lambda one: (one.at, one.id)):
        first_of_day.setdefault(day_of(one.at, NEW_YORK), one.id)
    made = [msgspec.json.decode(value, type=Crossing) for _, value in engine.published("crossings")]
    offered = {one.id for one in made if one.tenant == "offering" and one.to_tier is Tier.HIGH}
    assert offered == set(first_of_day.values())

    held = {
        one.id: one
        for _, value in engine.published("decisions")
        if (one := msgspec.json.decode(value, type=Decision)).tenant == "offering"
        and one.held_by is HeldBy.OFFER_BUDGET
    }
    assert held.keys() == {one.id for one in expected} - offered
    assert len(held) > 5, "the budget never said no: the check says nothing"
    for one in held.values():
        assert one.ruling is not None and one.ruling.allowed_at is not None
        assert one.ruling.offers_before == 1
        assert day_of(one.ruling.allowed_at, NEW_YORK) > day_of(one.at, NEW_YORK)
        assert day_of(one.ruling.allowed_at - 1, NEW_YORK) == day_of(one.at, NEW_YORK)
