"""What no sequence of events may bring about."""

import random

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from schemas.events import Replay
from schemas.policy import RuleBook
from streams.memory import Memory
from tests.promises import assert_kept, assert_one_version_each, is_sent
from tests.rules import DAY_MS, HOUR_MS, arrivals, history, run, settled
from tests.streams.test_batch_rules import BOUND_MS, TENANTS, worlds


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(worlds(), st.sampled_from([0, 6 * HOUR_MS]))
def test_nobody_is_written_to_against_the_rules_through_disorder_copies_and_restarts(
    world: tuple[RuleBook, int, int, random.Random], lead_ms: int
) -> None:
    book, begin_ms, until_ms, rnd = world
    events = history(rnd, begin_ms, Replay(until=until_ms, compose=True))
    engine = Memory(TENANTS, book=book, bound_ms=BOUND_MS, now_ms=begin_ms, lead_ms=lead_ms)
    run(rnd, engine, arrivals(rnd, events, BOUND_MS), until_ms)
    found = {one.id: one for one in settled(engine)}
    event("something was sent" if any(map(is_sent, found.values())) else "nothing was sent")
    assert_kept(found.values(), events, book)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(worlds())
def test_each_decision_is_under_the_one_version_of_its_time_and_what_is_put_off_is_decided_again(
    world: tuple[RuleBook, int, int, random.Random],
) -> None:
    book, begin_ms, until_ms, rnd = world
    events = history(rnd, begin_ms, Replay(until=until_ms, compose=True))
    engine = Memory(TENANTS, book=book, bound_ms=BOUND_MS, now_ms=begin_ms)
    run(rnd, engine, arrivals(rnd, events, BOUND_MS), until_ms + DAY_MS)
    found = {one.id: one for one in settled(engine)}
    assert_one_version_each(found, book, until_ms)
