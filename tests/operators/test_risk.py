"""The crossing of the risk's threshold: once, until the probability has fallen, and as of the event."""

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.lifecycle import Lifecycle, Settled
from operators.userstate import UserState
from operators.window import PANE_MS, pane_of, phase_ms
from schemas.decision import decision_id
from schemas.events import Account, Login, Replay
from schemas.risk import Assessment, Risk
from schemas.vocabulary import Cause, HeldBy, Tier, Trigger

KEY = "acme/u1"
PHASE = phase_ms(KEY)
LIFE = Lifecycle(KEY)
DAYS = 40
AT = DAYS * 24 * PANE_MS + PHASE
"""The time from which on users are assessed here: three active hours a day lie behind them."""
HOURS = 90
"""Active hours of the 30 days before it."""


def lived(days: int = DAYS, replay: Replay | None = None) -> UserState:
    state = LIFE.start()
    for day in range(days):
        for hour in (9, 13, 17):
            ts = (24 * day + hour) * PANE_MS + PHASE
            login = Login(event_id=f"e{ts}", tenant="acme", user_id="u1", ts=ts, replay=replay)
            state, _ = LIFE.step(state, login, ts - 1)
    state, _ = LIFE.wake(state, days * 24 * PANE_MS + PHASE - 1)
    return state


STATE = lived()


def risk(probability: float, at: int = AT, event_id: str | None = None, hours: int = HOURS) -> Risk:
    return Risk(
        event_id=event_id or f"r{at}",
        tenant="acme",
        user_id="u1",
        at=at,
        active_hours=hours,
        assessment=Assessment(
            trigger=Trigger.SUPPORT,
            probability=probability,
            words={},
            reasons=(),
            model="risk",
            model_version="1",
            assessed_ms=at + 7.0,
        ),
        signals={},
        detected_ms=at + 2.0,
    )


def assessed(risks: list[Risk], state: UserState = STATE, life: Lifecycle = LIFE) -> list[Settled]:
    found: list[Settled] = []
    for one in risks:
        state, out = life.step(state, one, one.at - 1000)
        found += out
    return found


def test_the_crossing_tells_of_the_event_the_tier_and_the_risk() -> None:
    one = risk(0.7, event_id="complaint")
    (settled,) = assessed([one])
    crossing = settled.crossing
    assert (settled.held_by, settled.draft) == (None, None)
    assert crossing.id == decision_id("acme", "u1", Cause.RISK, "complaint")
    assert (crossing.cause, crossing.at, crossing.detected_ms) == (Cause.RISK, AT, AT + 2.0)
    assert crossing.from_tier is crossing.to_tier is Tier.VERY_LOW
    assert (crossing.recent, crossing.prior, crossing.usual, crossing.activity) == (21, 69, 21.0, 100.0)
    assert crossing.risk == one.assessment
    assert "another crossing" in crossing.no_draft


def test_again_only_after_it_fell_below_the_lower_bound() -> None:
    course = [0.5, 0.51, 0.9, 0.4, 0.6, 0.39, 0.5, 0.6]
    found = assessed([risk(p, AT + n) for n, p in enumerate(course)])
    assert [settled.crossing.at - AT for settled in found] == [1, 7]


def test_a_tenant_s_own_bounds_count() -> None:
    life = Lifecycle(KEY, risk_threshold=0.8, risk_clear=0.2)
    course = [0.7, 0.81, 0.3, 0.9, 0.19, 0.9]
    found = assessed([risk(p, AT + n) for n, p in enumerate(course)], life=life)
    assert [settled.crossing.at - AT for settled in found] == [1, 5]


courses = st.lists(st.floats(0, 1), min_size=1, max_size=30).map(
    lambda course: [risk(p, AT + n // 2, f"r{n}") for n, p in enumerate(course)]
)


@given(courses, st.randoms(), st.integers(0, 30))
def test_between_two_crossings_it_fell_whatever_the_order_and_the_copies(
    risks: list[Risk], rnd: random.Random, copies: int
) -> None:
    arrived = risks + rnd.choices(risks, k=copies)
    rnd.shuffle(arrived)
    state, at_risk, last = STATE, False, (-1, "")
    for one in arrived:
        state, out = LIFE.step(state, one, AT)
        if (one.at, one.event_id) > last:  # in the order of event time, and of nothing else
            last = one.at, one.event_id
            p = one.assessment.probability
            crosses, at_risk = not at_risk and p > 0.5, p > 0.5 or (at_risk and p >= 0.4)
            assert len(out) == crosses
        else:
            assert not out
        assert state.at_risk is at_risk


@given(courses)
def test_copies_of_all_that_came_change_nothing(risks: list[Risk]) -> None:
    assert assessed(risks + risks) == assessed([one for one in risks for _ in range(2)]) == assessed(risks)


def test_nobody_without_a_tier_crosses_and_what_was_then_is_not_remembered() -> None:
    early = lived(days=10)
    state, out = LIFE.step(early, risk(0.9, 10 * 24 * PANE_MS + PHASE), 0)
    assert (state, out) == (early, ())


def test_a_sequence_that_lacks_hours_is_not_believed() -> None:
    assert not assessed([risk(0.9, hours=HOURS - 2)])
    assert assessed([risk(0.9, hours=HOURS - 1)]), "the hour under way may be missing"
    assert assessed([risk(0.9, hours=0), risk(0.9)]) == assessed([risk(0.9)]), "it changed nothing"


def test_hours_are_counted_as_of_the_event_s_own_hour() -> None:
    week_ms = 7 * 24 * PANE_MS
    (settled,) = assessed([risk(0.9, AT + week_ms, hours=HOURS - 21)])
    assert (settled.crossing.recent, settled.crossing.prior) == (0, 69)
    assert settled.crossing.activity == 0.0
    assert pane_of(settled.crossing.at, PHASE) == pane_of(AT, PHASE) + 168


def test_consent_holds_it_and_so_does_a_replay() -> None:
    no = Account(event_id="a", tenant="acme", user_id="u1", ts=AT, consent=False)
    state, _ = LIFE.step(STATE, no, AT)
    assert [s.held_by for s in assessed([risk(0.9)], state)] == [HeldBy.CONSENT]
    for compose, held_by in ((False, HeldBy.REPLAY), (True, None)):
        state = lived(replay=Replay(until=AT, compose=compose))
        assert [s.held_by for s in assessed([risk(0.9)], state)] == [held_by]
        assert [s.held_by for s in assessed([risk(0.9, AT + 1)], state)] == [None]


def test_who_was_forgotten_begins_anew() -> None:
    state, _ = LIFE.step(STATE, risk(0.9), AT)
    assert state.at_risk
    state, _ = LIFE.wake(state, AT + 40 * 24 * PANE_MS)
    assert (state.tier, state.at_risk) == (None, False)


def test_a_crossing_of_the_risk_leaves_the_forecast_and_its_draft_alone() -> None:
    after, _ = LIFE.step(STATE, risk(0.9), AT)
    assert LIFE.due(after) == LIFE.due(STATE)
    assert (after.draft, after.asked_at, after.tier) == (STATE.draft, STATE.asked_at, STATE.tier)


@pytest.mark.parametrize("fields", range(9, 11))
def test_a_state_that_was_kept_before_there_were_risks_can_be_read(fields: int) -> None:
    kept = msgspec.msgpack.encode(msgspec.structs.astuple(STATE)[:fields])
    assert msgspec.msgpack.decode(kept, type=UserState) == STATE
