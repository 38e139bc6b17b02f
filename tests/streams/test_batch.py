"""The batch answer, against its definitions taken word for word."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from hashlib import md5
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codec import encode
from schemas.decision import decision_id
from schemas.events import Account, Event, Login, Replay, Support, Tick, Usage
from schemas.vocabulary import TIERS, Cause, HeldBy, Outcome, Tier
from streams.batch import Batch, ExpectedDecision, boundary_ms, pane_of, phase_ms, recompute

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
PHASE_MS = phase_ms("acme/u1")


def use(hour: int, user_id: str = "u1", **fields: Any) -> Usage:
    """A use in the middle of the user's pane number `hour`."""
    ts = phase_ms(f"acme/{user_id}") + hour * HOUR_MS + HOUR_MS // 2
    event = Usage(event_id=f"e{hour}", tenant="acme", user_id=user_id, ts=ts, feature="x")
    return msgspec.structs.replace(event, **fields)


def answer(events: Iterable[Event | Tick], until_ms: int, **options: Any) -> Batch:
    return recompute(map(encode, events), until_ms, **options)


def at_hour(hour: int) -> int:
    """The boundary at which the pane before `hour` ends."""
    return boundary_ms(hour - 1, PHASE_MS)


# ---- the definitions, word for word: every boundary of every pane, the panes counted one by one ----


def literally(panes: set[int], until_pane: int) -> Iterator[tuple[int, Tier, Tier, float, int, int, float]]:
    first: int | None = None
    tier: Tier | None = None
    for p in range(min(panes), until_pane + 1):
        if first is None and p in panes:
            first = p
        if first is None:
            continue
        window = {q for q in range(p - 719, p + 1) if q in panes}
        if not window:
            first = tier = None
            continue
        recent = sum(1 for q in window if q >= p - 167)
        prior = sum(1 for q in window if q <= p - 168)
        tenure = p - first + 1
        if tenure < 336:
            continue
        usual = max(1, prior * 168 / min(552, tenure - 168))
        activity = 100 * min(1, recent / usual)
        before, tier = tier, next_tier(tier, activity)
        if before is not None and before is not tier:
            yield p, before, tier, activity, recent, prior, usual


def next_tier(tier: Tier | None, activity: float) -> Tier:
    if activity > 90:
        of_table = Tier.VERY_LOW
    elif activity >= 60:
        of_table = Tier.LOW
    elif activity >= 30:
        of_table = Tier.MEDIUM
    elif activity >= 10:
        of_table = Tier.HIGH
    else:
        of_table = Tier.CRITICAL
    if tier is None or of_table.rank >= tier.rank:
        return of_table
    upper_bound = {Tier.CRITICAL: 10, Tier.HIGH: 30, Tier.MEDIUM: 60, Tier.LOW: 90}
    while tier is not Tier.VERY_LOW and activity >= upper_bound[tier] + 5:
        tier = TIERS[tier.rank - 1]
    return tier


@st.composite
def panes_of_a_user(draw: st.DrawFn) -> set[int]:
    """Weeks of one habit each, with silences about as long as the windows are."""
    panes: set[int] = set()
    hour = draw(st.integers(0, 200))
    for _ in range(draw(st.integers(1, 5))):
        length = draw(st.sampled_from([1, 24, 167, 168, 169, 336, 400, 552]))
        step = draw(st.sampled_from([1, 2, 5, 8, 24, 50]))
        panes |= set(range(hour, hour + length, step))
        hour = max(panes) + draw(st.sampled_from([1, 24, 168, 335, 552, 719, 720, 721, 900]))
    return panes


@settings(max_examples=60, deadline=None)
@given(panes_of_a_user(), st.integers(-800, 1500))
def test_agrees_with_the_definitions_taken_word_for_word(panes: set[int], beyond: int) -> None:
    until_pane = max(panes) + beyond
    found = answer(map(use, panes), boundary_ms(until_pane, PHASE_MS)).decisions
    expected = list(literally(panes, until_pane))
    assert [d.at for d in found] == [boundary_ms(p, PHASE_MS) for p, *_ in expected]
    assert [(d.from_tier, d.to_tier, d.activity, d.recent, d.prior, d.usual) for d in found] == [
        tuple(rest) for _, *rest in expected
    ]


@settings(max_examples=30, deadline=None)
@given(panes_of_a_user(), st.randoms(use_true_random=False), st.integers(0, 2000))
def test_neither_order_nor_copies_nor_the_end_change_what_was_decided(
    panes: set[int], random: Any, earlier: int
) -> None:
    events = [use(hour) for hour in panes]
    until_ms = at_hour(max(panes) + 800)
    whole = answer(events, until_ms)
    mixed = events + events[::3]
    random.shuffle(mixed)
    again = answer(mixed, until_ms)
    assert again.decisions == whole.decisions
    assert again.sequences == whole.sequences
    assert again.duplicates == len(mixed) - len(events)
    cut_ms = until_ms - earlier * HOUR_MS
    assert answer(events, cut_ms).decisions == tuple(d for d in whole.decisions if d.at <= cut_ms)


# ---- each rule by an example ----


def three_a_day(days: int) -> list[Event]:
    return [use(24 * day + hour) for day in range(days) for hour in (9, 10, 11)]


def fall(decisions: Iterable[ExpectedDecision]) -> list[Tier]:
    return [d.to_tier for d in decisions if d.at > at_hour(40 * 24)]


def test_a_user_who_stops_falls_from_tier_to_tier() -> None:
    batch = answer(three_a_day(40), at_hour(50 * 24))
    assert fall(batch.decisions) == [Tier.LOW, Tier.MEDIUM, Tier.HIGH, Tier.CRITICAL]
    assert batch.tiers == {"acme/u1": Tier.CRITICAL}
    last = batch.decisions[-1]
    assert (last.recent, round(last.activity, 1)) == (2, 9.5)
    assert last.id == decision_id("acme", "u1", Cause.DECLINE, last.at)
    assert (last.outcome, last.held_by) == (Outcome.SENT, None)


def test_a_boundary_counts_when_it_is_not_after_the_end() -> None:
    at = answer(three_a_day(40), at_hour(50 * 24)).decisions[-1].at
    assert answer(three_a_day(40), at).decisions[-1].at == at
    assert answer(three_a_day(40), at - 1).decisions[-1].at < at


def test_nothing_is_decided_before_336_panes_have_passed() -> None:
    batch = answer([use(0), use(1)], at_hour(335))
    assert batch.decisions == () and batch.tiers == {}
    assert answer([use(0), use(1)], at_hour(336)).tiers == {"acme/u1": Tier.CRITICAL}


def test_a_user_is_forgotten_after_720_silent_panes_and_begins_anew() -> None:
    gone = three_a_day(40)
    last = 39 * 24 + 11
    assert answer(gone, at_hour(last + 720)).tiers == {"acme/u1": Tier.CRITICAL}
    assert answer(gone, at_hour(last + 721)).tiers == {}
    kept, lost = [*gone, use(last + 720)], [*gone, use(last + 721)]
    assert answer(kept, at_hour(last + 722)).tiers == {"acme/u1": Tier.VERY_LOW}
    assert answer(lost, at_hour(last + 722)).tiers == {}


def test_a_rise_may_climb_several_tiers_at_one_boundary_and_gets_no_script() -> None:
    returned = [*three_a_day(40), *(use(52 * 24 + hour) for hour in range(24))]
    rises = [d for d in answer(returned, at_hour(54 * 24)).decisions if d.at > at_hour(52 * 24)]
    assert [d.cause for d in rises] == [Cause.RISE] * len(rises)
    assert {(d.outcome, d.held_by) for d in rises} == {(Outcome.HELD, HeldBy.RISE)}
    back_at_last = [*three_a_day(40), use(39 * 24 + 11 + 720)]  # nothing is usual any more
    jump = answer(back_at_last, at_hour(39 * 24 + 11 + 721)).decisions[-1]
    assert (jump.from_tier, jump.to_tier, jump.prior, jump.usual) == (Tier.CRITICAL, Tier.VERY_LOW, 0, 1)


def test_only_logins_and_usage_mark_panes() -> None:
    who: dict[str, Any] = {"tenant": "acme", "user_id": "u1"}
    stay: list[Event | Tick] = [
        Support(event_id="s1", ts=at_hour(41 * 24), text="help", **who),
        Account(event_id="a1", ts=at_hour(41 * 24), **who),
        Tick(ts=at_hour(41 * 24)),
    ]
    until_ms = at_hour(50 * 24)
    with_them = answer([*three_a_day(40), *stay], until_ms).decisions
    without = answer(three_a_day(40), until_ms).decisions
    assert [(d.id, d.activity) for d in with_them] == [(d.id, d.activity) for d in without]
    logout = Login(event_id="l1", ts=at_hour(41 * 24), action="logout", **who)
    assert (
        answer([*three_a_day(40), logout], until_ms).decisions != answer(three_a_day(40), until_ms).decisions
    )


def test_an_id_again_within_24_hours_is_counted_as_a_duplicate() -> None:
    first, again = use(0), use(10, event_id="e0")
    a_day_later, too_late = use(24, event_id="e0"), use(25, event_id="e0")
    assert answer([first, again, a_day_later], at_hour(48)).duplicates == 2
    assert answer([first, too_late], at_hour(48)).duplicates == 0
    assert answer([first, use(0, tenant="other")], at_hour(48)).duplicates == 0


def test_a_replay_holds_everything_up_to_its_end() -> None:
    until_ms = at_hour(50 * 24)
    ends_ms = answer(three_a_day(40), until_ms).decisions[-2].at
    *before, after = answer(three_a_day(40), until_ms, replay=Replay(until=ends_ms)).decisions
    assert {(d.outcome, d.held_by) for d in before} == {(Outcome.HELD, HeldBy.REPLAY)}
    assert (after.outcome, after.held_by) == (Outcome.SENT, None)
    composed = answer(three_a_day(40), until_ms, replay=Replay(until=ends_ms, compose=True)).decisions
    assert all((d.held_by is HeldBy.RISE) == (d.cause is Cause.RISE) for d in composed)
    marked = [
        use(h, replay=Replay(until=ends_ms)) for day in range(40) for h in range(24 * day + 9, 24 * day + 12)
    ]
    assert answer(marked, until_ms).decisions == (*before, after)


def test_a_rejected_event_does_not_count_and_is_listed_with_field_and_reason() -> None:
    values = [encode(use(0)), b"not JSON", encode(use(1)).replace(b"usage", b"hug"), b'{"kind":"login"}']
    batch = recompute(values, at_hour(48))
    assert batch.accepted == 1
    assert [(r.number, r.field, r.value) for r in batch.rejected] == [
        (2, "record", values[1]),
        (3, "kind", values[2]),
        (4, "event_id", values[3]),
    ]
    assert batch.rejected[2].reason == "is missing"


@pytest.mark.parametrize("late_ms", [31 * DAY_MS, -6 * 60_000])
def test_times_are_bounded_but_not_in_a_replay(late_ms: int) -> None:
    event, append_ms = use(1000), use(1000).ts + late_ms
    until_ms = at_hour(2000)
    (rejected,) = answer([event], until_ms, append_ms=append_ms).rejected
    assert rejected.field == "ts"
    assert answer([event], until_ms, append_ms=append_ms, replay=Replay(until=until_ms)).rejected == ()
    assert answer([use(1000, replay=Replay(until=until_ms))], until_ms, append_ms=append_ms).rejected == ()


def test_the_sequence_is_the_last_30_days_of_every_kind_of_event() -> None:
    until_ms = use(1000).ts
    account = Account(event_id="a", tenant="acme", user_id="u1", ts=until_ms - 1, name="Ann")
    oldest = use(0, ts=until_ms - 30 * DAY_MS + 1, replay=Replay(until=until_ms))
    events: list[Event] = [use(1000), account, oldest, use(1, ts=until_ms - 30 * DAY_MS), use(1001)]
    assert answer(events, until_ms).sequences == {
        "acme/u1": (use(0, ts=oldest.ts), account, use(1000)),
    }


@given(st.text(max_size=20), st.integers(0, 10**13))
def test_panes_are_an_hour_long_and_begin_at_the_users_own_phase(user_id: str, ts: int) -> None:
    key = f"acme/{user_id}"
    phase = phase_ms(key)
    assert phase == 878 * int(md5(key.encode()).hexdigest()[:3], 16)
    assert pane_of(ts, phase) == Fraction(ts - phase, HOUR_MS).__floor__()
    assert boundary_ms(pane_of(ts, phase), phase) - HOUR_MS <= ts < boundary_ms(pane_of(ts, phase), phase)
