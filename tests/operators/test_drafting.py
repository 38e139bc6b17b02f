"""Scripts ahead of their crossings: when one is asked for, and which one may be used."""

import random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.lifecycle import Lifecycle, Settled
from operators.userstate import UserState
from operators.window import PANE_MS, WINDOW_PANES, phase_ms
from schemas.decision import Draft, DraftRequest
from schemas.events import Account, Login, Replay, Support
from schemas.vocabulary import HeldBy, Locale, Reason, Tier

KEY, LEAD_MS = "acme/u1", 600_000
WHO = {"tenant": "acme", "user_id": "u1"}
LIFE = Lifecycle(KEY, lead_ms=LEAD_MS)
PHASE = phase_ms(KEY)


def login(pane: int, replay: Replay | None = None) -> Login:
    return Login(event_id=f"e{pane}", **WHO, ts=pane * PANE_MS + PHASE, replay=replay)


STEADY = [login(24 * day + hour) for day in range(40) for hour in (9, 13, 17)]


def fed(events: list[Login], life: Lifecycle = LIFE) -> tuple[UserState, list[Settled | DraftRequest]]:
    state, found = life.start(), list[Settled | DraftRequest]()
    for event in events:
        state, out = life.wake(state, event.ts - 1)
        found += out
        state, _ = life.step(state, event, event.ts - 1)
    return state, found


def asked(events: list[Login] = STEADY) -> tuple[UserState, DraftRequest]:
    """A user who falls silent, at the moment when the script for the next crossing is asked for."""
    state, _ = fed(events)
    while True:
        due = LIFE.due(state)
        assert due is not None
        state, found = LIFE.wake(state, due)
        for one in found:
            if isinstance(one, DraftRequest):
                return state, one


def answer(request: DraftRequest) -> Draft:
    return Draft(
        id=request.crossing.id,
        **WHO,
        at=request.crossing.at,
        asked_at=request.asked_at,
        reason=Reason.LOGIN_DROP,
        text="Hi Ann, how are you?",
        locale=Locale.EN,
        model="holdfast-nano",
        model_version="1",
        written_ms=1.0,
    )


def at_the_crossing(state: UserState, request: DraftRequest) -> Settled:
    _, (settled,) = LIFE.wake(state, request.crossing.at - 1)
    assert isinstance(settled, Settled)
    return settled


def test_a_script_is_asked_for_a_lead_time_before_its_crossing_and_used_at_it() -> None:
    state, request = asked()
    assert request.asked_at == request.crossing.at - 1 - LEAD_MS
    state, _ = LIFE.step(state, answer(request), request.asked_at)
    settled = at_the_crossing(state, request)
    assert settled.draft == answer(request)
    assert settled.crossing == request.crossing


def test_without_an_answer_the_crossing_says_so() -> None:
    state, request = asked()
    settled = at_the_crossing(state, request)
    assert settled.draft is None
    assert settled.crossing.no_draft == "asked for, and not there yet"


def test_any_event_makes_the_draft_stale() -> None:
    state, request = asked()
    ts = request.asked_at + 1
    for event in (
        Login(event_id="new", **WHO, ts=ts),
        Support(event_id="new", **WHO, ts=ts, text="Hello?"),
        Account(event_id="new", **WHO, ts=ts, name="Ann"),
    ):
        ready, _ = LIFE.step(state, answer(request), request.asked_at)
        changed, _ = LIFE.step(ready, event, ts)
        assert changed.draft is None and changed.asked_at is None
        late, _ = LIFE.step(changed, answer(request), ts)
        assert late.draft is None, "the answer to a request that does not stand any more"


def test_only_the_answer_to_the_last_request_counts() -> None:
    state, first = asked()
    message = Support(event_id="new", **WHO, ts=first.asked_at + 1, text="Hello?")
    state, _ = LIFE.step(state, message, first.asked_at)
    state, (second,) = LIFE.wake(state, first.asked_at + 1000)
    assert isinstance(second, DraftRequest) and second.crossing == first.crossing
    state, _ = LIFE.step(state, answer(first), second.asked_at)
    assert state.draft is None
    state, _ = LIFE.step(state, answer(second), second.asked_at)
    assert state.draft == answer(second)


def test_nothing_is_asked_for_in_a_replay_nor_for_who_opted_out_nor_for_a_rise() -> None:
    until_ms = STEADY[-1].ts + 2 * WINDOW_PANES * PANE_MS
    replayed = [msgspec.structs.replace(event, replay=Replay(until=until_ms)) for event in STEADY]
    state, _ = fed(replayed)
    _, found = LIFE.wake(state, until_ms)
    assert {one.held_by for one in found if isinstance(one, Settled)} == {HeldBy.REPLAY}

    state, _ = fed(STEADY)
    opted_out = Account(event_id="a1", **WHO, ts=STEADY[-1].ts, consent=False)
    state, _ = LIFE.step(state, opted_out, STEADY[-1].ts)
    requests = list[DraftRequest]()
    while (due := LIFE.due(state)) is not None:
        state, found = LIFE.wake(state, due)
        requests += [one for one in found if isinstance(one, DraftRequest)]
    assert requests == []

    silent = 6 * 24  # long enough to fall, and short enough to rise again
    back = [login(STEADY[-1].ts // PANE_MS + silent + hour) for hour in range(40)]
    _, found = fed(STEADY + back)
    risen = {one.crossing.to_tier for one in found if isinstance(one, Settled)}
    assert Tier.VERY_LOW in risen
    assert all(
        one.crossing.to_tier.rank > one.crossing.from_tier.rank
        for one in found
        if isinstance(one, DraftRequest)
    )


lives = st.lists(st.integers(1, 200), min_size=5, max_size=150).map(
    lambda gaps: [login(1000 + sum(gaps[: i + 1])) for i in range(len(gaps))]
)


@settings(deadline=None)
@given(lives, st.randoms())
def test_drafts_change_no_decision(events: list[Login], rnd: random.Random) -> None:
    """Whether they are asked for, come or not: only who wrote the script differs."""
    until_ms = events[-1].ts + 2 * WINDOW_PANES * PANE_MS
    state, found = LIFE.start(), list[Settled | DraftRequest]()
    for ts, event in [(event.ts - 1, event) for event in events] + [(until_ms, None)]:
        while (due := LIFE.due(state)) is not None and due <= ts:
            state, out = LIFE.wake(state, due)
            found += out
            for one in out:
                if isinstance(one, DraftRequest) and rnd.random() < 0.5:
                    state, _ = LIFE.step(state, answer(one), due)
        if event is not None:
            state, _ = LIFE.step(state, event, ts)

    def bare(all_of_it: list[Settled | DraftRequest]) -> list[tuple[object, ...]]:
        return [
            (msgspec.structs.replace(one.crossing, no_draft=""), one.held_by)
            for one in all_of_it
            if isinstance(one, Settled)
        ]

    never = Lifecycle(KEY)
    alone, before = fed(events, never)
    assert bare(found) == bare(before + list(never.wake(alone, until_ms)[1]))
