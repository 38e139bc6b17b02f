"""Generated traffic does what it says, by the batch answer."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codec import encode, parse
from schemas.events import Account, Login, Support, Usage
from schemas.vocabulary import Cause, Locale, Tier
from streams.batch import pane_of, phase_ms, recompute
from streams.traffic import Population, populate, spread

HOUR_MS = 3_600_000
NOW_MS = 1_764_014_400_000


def small(seed: int = 7, now_ms: int = NOW_MS, thin: bool = False) -> Population:
    return populate(60, now_ms, seed, declines_s=spread(24, 30, 90), thin=thin)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 999), st.integers(NOW_MS, NOW_MS + 48 * HOUR_MS), st.booleans())
def test_for_an_hour_exactly_the_planned_users_decline(seed: int, now_ms: int, thin: bool) -> None:
    population = small(seed, now_ms, thin)
    decisions = population.predict(now_ms + HOUR_MS)
    assert {d.cause for d in decisions} == {Cause.DECLINE}
    assert all(now_ms + 30_000 <= d.at < now_ms + 90_000 + 5_500 for d in decisions)
    found = sorted((d.at, d.user_id, d.from_tier, d.to_tier) for d in decisions)
    assert found == [(p.at, p.user_id, p.from_tier, p.to_tier) for p in population.plans]


def test_live_events_change_no_plan() -> None:
    population = small()
    live = list(population.live(50, NOW_MS, 120))
    with_live = population.predict(NOW_MS + 120_000, live)
    assert with_live == population.predict(NOW_MS + 120_000)
    assert len(with_live) == 24


def test_declines_are_spread_over_the_window_the_bounds_and_the_locales() -> None:
    plans = small().plans
    begin_ms, end_ms = NOW_MS + 30_000, NOW_MS + 90_000
    assert all(begin_ms <= plan.at < end_ms + 900 for plan in plans)
    assert max(b.at - a.at for a, b in pairwise(plans)) < 60_000 / 24 + 1000
    assert Counter(plan.to_tier for plan in plans) == dict.fromkeys(list(Tier)[1:], 6)
    assert {(plan.to_tier, plan.locale) for plan in plans} == {
        (t, loc) for t in list(Tier)[1:] for loc in Locale
    }


def test_a_thin_history_has_one_event_for_each_active_pane() -> None:
    events = small(thin=True).history()
    assert {type(event) for event in events} == {Usage, Support, Account}
    marks = Counter(
        (event.user_id, pane_of(event.ts, phase_ms(event.key)))
        for event in events
        if isinstance(event, Usage)
    )
    assert set(marks.values()) == {1}
    assert 2 * len(events) < len(small().history())


def test_every_tier_and_locale_has_users_before_the_declines() -> None:
    population = small()
    tiers = recompute(map(encode, population.history()), NOW_MS).tiers
    assert tiers == {f"acme/{persona.user_id}": persona.tier for persona in population.personas}
    assert set(tiers.values()) == set(Tier)


def test_the_history_is_valid_ordered_past_and_of_every_kind() -> None:
    events = small().history()
    assert all(parse(encode(event)) == event for event in events)
    times = [event.ts for event in events]
    assert times == sorted(times) and times[-1] <= NOW_MS
    assert times[0] < NOW_MS - 35 * 24 * HOUR_MS
    assert {type(event) for event in events} == {Login, Usage, Support, Account}
    ids = [event.event_id for event in events]
    assert len(set(ids)) == len(ids)
    assert {Locale.of(event.locale) for event in events if isinstance(event, Account)} == set(Locale)


def test_live_events_come_at_a_constant_rate_from_few_heavy_users() -> None:
    events = list(small().live(200, NOW_MS, 10))
    assert len(events) == 2000
    assert {event.ts - NOW_MS - 5 * number for number, event in enumerate(events)} == {0}
    by_user = Counter(event.user_id for event in events).most_common()
    assert by_user[0][1] > 20 * by_user[len(by_user) // 2][1]


def test_the_seed_says_everything() -> None:
    assert small(1) == small(1) and small(1).history() == small(1).history()
    assert list(small(1).live(10, NOW_MS, 5)) == list(small(1).live(10, NOW_MS, 5))
    assert not {p.user_id for p in small(1).personas} & {p.user_id for p in small(2).personas}


def test_what_cannot_be_planned_is_refused() -> None:
    with pytest.raises(ValueError, match="3 of 2 users cannot decline"):
        populate(2, NOW_MS, 1, declines_s=[1, 2, 3])
    with pytest.raises(ValueError, match="within the next hour"):
        populate(2, NOW_MS, 1, declines_s=[3601])
