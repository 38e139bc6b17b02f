"""A user's life: whatever the order of arrival, the order of event time decides."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from operators.lifecycle import Lifecycle, Settled
from operators.userstate import UserState
from operators.window import PANE_MS, WINDOW_PANES, boundary_ms, pane_of, phase_ms
from schemas.events import Account, Login, Replay, Usage
from schemas.vocabulary import Cause, HeldBy, Tier

KEY = "acme/u1"
PHASE = phase_ms(KEY)
LIFE = Lifecycle(KEY)
LONG_AGO = -(1 << 62)


def login(pane: int, replay: Replay | None = None) -> Login:
    return Login(event_id=f"e{pane}", tenant="acme", user_id="u1", ts=pane * PANE_MS + PHASE, replay=replay)


def lived(events: list[Login], life: Lifecycle = LIFE) -> tuple[UserState, list[Settled]]:
    """Events as they come in live traffic: each with event time right behind it."""
    state, found = life.start(), []
    for event in events:
        state, out = life.wake(state, event.ts - 1)
        found += out
        state, out = life.step(state, event, event.ts - 1)
        assert not out
    return state, found


def live(events: list[Login], until_ms: int, life: Lifecycle = LIFE) -> list[Settled]:
    """What is found up to `until_ms` when no event follows."""
    state, found = lived(events, life)
    return found + list(life.wake(state, until_ms)[1])


def burst(events: list[Login], until_ms: int) -> list[Settled]:
    """Events as a replay reads them: all before event time has moved at all."""
    state = LIFE.start()
    for event in events:
        state, out = LIFE.step(state, event, LONG_AGO)
        assert not out
    return list(LIFE.wake(state, until_ms)[1])


lives = st.lists(st.integers(1, 200), min_size=5, max_size=150).map(
    lambda gaps: [login(1000 + sum(gaps[: i + 1])) for i in range(len(gaps))]
)


@settings(deadline=None)
@given(lives, st.randoms())
def test_the_order_of_arrival_does_not_matter(events: list[Login], rnd: random.Random) -> None:
    until_ms = events[-1].ts + 2 * WINDOW_PANES * PANE_MS
    shuffled = list(events)
    rnd.shuffle(shuffled)
    assert burst(shuffled, until_ms) == live(events, until_ms) == burst(events + events, until_ms)


def steady(days: int = 40) -> list[Login]:
    return [login(24 * day + hour) for day in range(days) for hour in (9, 13, 17)]


def test_a_user_who_stops_falls_through_every_tier_and_is_forgotten() -> None:
    state, _ = lived(steady())
    state, found = LIFE.wake(state, 200 * 24 * PANE_MS)
    assert [s.crossing.to_tier for s in found] == [Tier.LOW, Tier.MEDIUM, Tier.HIGH, Tier.CRITICAL]
    assert all(s.crossing.cause is Cause.DECLINE and s.held_by is None for s in found)
    assert state.window is None and state.tier is None and LIFE.due(state) is None


def test_nothing_is_decided_while_a_user_is_onboarding() -> None:
    events = [login(pane) for pane in range(0, 60)]
    assert live(events, boundary_ms(334, PHASE)) == []


def test_who_comes_back_rises_and_the_rise_is_held_as_such() -> None:
    quiet_then_back = steady() + [login(24 * 47 + h) for h in range(24)]
    rises = [s for s in live(quiet_then_back, 48 * 24 * PANE_MS) if s.crossing.cause is Cause.RISE]
    assert [s.held_by for s in rises] == [HeldBy.RISE] * len(rises)
    assert rises[-1].crossing.to_tier is Tier.VERY_LOW


def test_a_tenant_may_have_the_care_script_sent_on_reaching_the_best_tier() -> None:
    back = steady() + [login(24 * 47 + h) for h in range(24)]
    found = live(back, 48 * 24 * PANE_MS, Lifecycle(KEY, care_on_rise=True))
    assert [s.held_by for s in found if s.crossing.to_tier is Tier.VERY_LOW] == [None]


def test_a_late_event_counts_later_and_takes_nothing_back() -> None:
    state, _ = lived(steady())
    state, before = LIFE.wake(state, 45 * 24 * PANE_MS)
    assert before
    assert state.window is not None
    next_pane = pane_of(45 * 24 * PANE_MS, PHASE) + 1
    recent, prior = state.window.counts(next_pane)
    state, out = LIFE.step(state, login(24 * 44 + 5), 45 * 24 * PANE_MS)
    assert out == ()
    assert state.window is not None
    assert state.window.counts(next_pane) == (recent + 1, prior)


def test_a_replay_holds_what_lies_in_it_and_nothing_after_it() -> None:
    until_ms = 43 * 24 * PANE_MS
    replay = Replay(until=until_ms)
    held = live([login(pane_of(e.ts, PHASE), replay) for e in steady()], 200 * 24 * PANE_MS)
    assert [s.held_by for s in held] == [HeldBy.REPLAY if s.crossing.at <= until_ms else None for s in held]
    assert {s.held_by for s in held} == {HeldBy.REPLAY, None}


def test_an_opt_out_holds_at_once() -> None:
    state, _ = lived(steady())
    opt_out = Account(event_id="a", tenant="acme", user_id="u1", ts=40 * 24 * PANE_MS, consent=False)
    state, _ = LIFE.step(state, opt_out, opt_out.ts - 1)
    _, found = LIFE.wake(state, 200 * 24 * PANE_MS)
    assert {s.held_by for s in found} == {HeldBy.CONSENT}


def test_an_older_account_record_does_not_replace_a_newer_one() -> None:
    new = Account(event_id="a2", tenant="acme", user_id="u1", ts=2, plan="pro")
    old = Account(event_id="a1", tenant="acme", user_id="u1", ts=1, plan="free")
    state, _ = LIFE.step(LIFE.start(), new, 0)
    state, _ = LIFE.step(state, old, 0)
    assert state.account(3) == new


def test_usage_marks_its_pane_as_login_does() -> None:
    usage = Usage(event_id="u", tenant="acme", user_id="u1", ts=5 * PANE_MS + PHASE, feature="export")
    assert LIFE.step(LIFE.start(), usage, LONG_AGO)[0] == LIFE.step(LIFE.start(), login(5), LONG_AGO)[0]
