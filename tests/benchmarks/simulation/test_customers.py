"""Simulated customers: days that only the seed decides, and responses that only the record decides."""

import msgspec
import numpy as np
import pytest

from benchmarks.simulation.customers import PRICE, TROUBLE, Customers, Day, Mood, pass_day
from benchmarks.simulation.parameters import OFFERS, Assumed, World
from benchmarks.simulation.response import Message, fit
from benchmarks.simulation.rhythm import DAY_MS, events_of, rates
from schemas.events import Login, Replay
from schemas.vocabulary import STRATEGIES, Locale, Strategy

ASSUMED = Assumed()
REPLAY = Replay(until=0)


def message(strategy: Strategy, offer: str, locale: Locale) -> Message:
    place = STRATEGIES.index(strategy)
    return Message(strategy=place, offer=offer, about=None, personal=0, chars=200, locale=locale, at=0)


def best(need: int, world: World) -> tuple[str, str]:
    """Strategy and offer that fit customers of that need best, on average."""
    customers = Customers(300, 1, ASSUMED)
    fits = {
        (strategy.value, offer): np.mean(
            [
                fit(customers, who, need, message(strategy, offer, customers.locale[who]), ASSUMED, world)
                for who in range(customers.count)
            ]
        )
        for strategy in STRATEGIES
        for offer in OFFERS
    }
    return max(fits, key=lambda choice: float(fits[choice]))


def test_what_fits_depends_on_the_need_and_an_opposite_world_wants_something_else() -> None:
    assert best(PRICE, World.ASSUMED)[0] == Strategy.RETENTION_OFFER
    assert best(TROUBLE, World.ASSUMED) == (Strategy.SOLVE_PAIN_POINT, "session")
    assert best(TROUBLE, World.OPPOSITE) != best(TROUBLE, World.ASSUMED)


def test_a_script_in_another_language_fits_less() -> None:
    customers = Customers(50, 1, ASSUMED)
    who = customers.locale.index(Locale.EN)
    own, other = (
        fit(
            customers,
            who,
            TROUBLE,
            message(Strategy.SOLVE_PAIN_POINT, "session", locale),
            ASSUMED,
            World.ASSUMED,
        )
        for locale in (Locale.EN, Locale.ZH)
    )
    assert own > other


def test_a_customer_and_their_double_live_the_same_days() -> None:
    customers = Customers(200, 3, ASSUMED)
    one, double = Mood(customers), Mood(customers)
    for day in range(60):
        for mood in (one, double):
            pass_day(mood, customers, Day(customers, 3, day, ASSUMED), ASSUMED)
    assert (one.here == double.here).all() and (one.satisfaction == double.satisfaction).all()
    assert 0 < one.here.sum() < customers.count


def test_the_less_satisfied_leave_more_often() -> None:
    customers = Customers(3000, 3, msgspec.structs.replace(ASSUMED, level_sd=1.0))
    mood = Mood(customers)
    for day in range(90):
        pass_day(mood, customers, Day(customers, 3, day, ASSUMED), ASSUMED)
    content = customers.level > 0
    assert mood.here[content].mean() > mood.here[~content].mean() + 0.1


@pytest.mark.parametrize("day", [0, 5])
def test_events_lie_within_their_day_and_follow_from_the_seed(day: int) -> None:
    customers = Customers(100, 5, ASSUMED)
    mood = Mood(customers)
    mood.here[:50] = False
    made = [events_of(customers, mood, 5, day, day * DAY_MS, REPLAY, ASSUMED) for _ in range(2)]
    assert made[0] == made[1]
    assert all(day * DAY_MS <= event.ts < (day + 1) * DAY_MS for event in made[0])
    assert {event.user_id for event in made[0]} <= set(customers.ids[50:])
    assert any(isinstance(event, Login) for event in made[0])


def test_what_happens_to_one_customer_moves_no_event_of_another() -> None:
    customers = Customers(60, 5, ASSUMED)
    as_ever, changed = Mood(customers), Mood(customers)
    changed.satisfaction[7], changed.need[8], changed.here[9] = -2.0, TROUBLE, False
    for day in range(20):
        one, other = (
            events_of(customers, mood, 5, day, day * DAY_MS, REPLAY, ASSUMED) for mood in (as_ever, changed)
        )
        touched = {customers.ids[who] for who in (7, 8, 9)}
        assert [it for it in one if it.user_id not in touched] == [
            it for it in other if it.user_id not in touched
        ]
        # Who comes less often has some of the visits that they would have had, and no others.
        visits = [{it.ts for it in made if it.user_id == customers.ids[7]} for made in (one, other)]
        assert visits[1] <= visits[0]


def test_rates_and_hours_are_those_of_the_rhythm() -> None:
    customers = Customers(2_000, 5, ASSUMED)
    made = events_of(customers, Mood(customers), 5, 1, DAY_MS, REPLAY, ASSUMED)
    logins = sum(isinstance(event, Login) for event in made)
    expected = rates(customers, Mood(customers), False, ASSUMED).sum()
    assert abs(logins - expected) < 4 * expected**0.5
    assert abs(len(made) / logins - 1 / (1 - ASSUMED.rhythm.stays)) < 0.3, "a few events lie past midnight"
