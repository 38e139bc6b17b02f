"""Features say the same whatever the order and however often the events came."""

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.features import DAY_MS, HOUR_MS, SPAN_MS, Features, compute, reason_of
from operators.window import Window
from schemas.events import Account, Event, Login, Support, Usage
from schemas.vocabulary import Reason

NOW = 100 * DAY_MS
IDS: dict[str, Any] = {"tenant": "acme", "user_id": "u1"}


def login(days_ago: float, **fields: Any) -> Login:
    return Login(event_id=f"login-{days_ago}", ts=NOW - int(days_ago * DAY_MS), **IDS, **fields)


def usage(days_ago: float, feature: str = "export", outcome: Any = "ok") -> Usage:
    event_id = f"usage-{days_ago}-{feature}"
    return Usage(event_id=event_id, ts=NOW - int(days_ago * DAY_MS), feature=feature, outcome=outcome, **IDS)


def support(days_ago: float) -> Support:
    return Support(event_id=f"support-{days_ago}", ts=NOW - int(days_ago * DAY_MS), text="Help!", **IDS)


def features(events: list[Event], *, recent: int = 0, prior: int = 23, usual: float = 7.0) -> Features:
    return compute(events, account=None, as_of_ms=NOW, recent=recent, prior=prior, usual=usual)


events = st.lists(
    st.builds(login, st.floats(-1, 40), action=st.sampled_from(["login", "logout"]))
    | st.builds(
        usage, st.floats(-1, 40), st.sampled_from(["export", "share"]), st.sampled_from(["ok", "error"])
    )
    | st.builds(support, st.floats(-1, 40)),
    max_size=40,
)


@given(events, st.randoms(use_true_random=False))
def test_order_and_copies_do_not_matter(some: list[Event], dice: random.Random) -> None:
    shuffled = some + dice.choices(some, k=5) if some else []
    dice.shuffle(shuffled)
    assert features(shuffled) == features(some)


@given(events)
def test_only_the_thirty_days_before_count(some: list[Event]) -> None:
    inside = [event for event in some if NOW - SPAN_MS <= event.ts < NOW]
    assert features(some) == features(inside)


@given(st.sets(st.integers(0, 719), max_size=200))
def test_at_a_boundary_hours_are_the_panes_that_the_tier_counted(panes: set[int]) -> None:
    window = Window(-1)
    for pane in panes:
        window = window.mark(pane)
    recent, prior = window.counts(719)
    logins: list[Event] = [Login(event_id=f"e{pane}", ts=pane * HOUR_MS + pane % 7, **IDS) for pane in panes]
    found = compute(logins, account=None, as_of_ms=720 * HOUR_MS, recent=recent, prior=prior, usual=1.0)
    assert (found.hours_seen_7d, found.hours_seen_30d) == (recent, recent + prior)
    assert found.sequence_is_whole


@given(events)
def test_every_feature_keeps_to_its_bounds(some: list[Event]) -> None:
    found = features(some)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Features) == found


def test_a_logout_marks_activity_and_is_no_login() -> None:
    found = features([login(0.5, action="logout")])
    assert (found.logins_1d, found.hours_seen_1d) == (0, 1)


def test_a_pause_of_more_than_half_an_hour_begins_a_session() -> None:
    minutes = (0, 10, 40, 71)
    assert features([login(1 + minute / 1440) for minute in minutes]).sessions_7d == 2


def test_each_feature_has_a_meaning_and_a_unit() -> None:
    schema = msgspec.json.schema(Features)["$defs"]["Features"]["properties"]
    for name, field in schema.items():
        described = [field, *field.get("anyOf", ())]
        assert any("description" in part for part in described), name
    assert 20 <= len(schema) <= 40


def test_the_account_gives_its_own() -> None:
    account = Account(event_id="a", ts=0, seats=12, tenure_days=400, **IDS)
    found = compute([], account=account, as_of_ms=NOW, recent=0, prior=1, usual=1.0)
    assert (found.seats, found.tenure_days) == (12, 400)


BUSY = [login(day + 0.5) for day in range(7, 30)] + [usage(day + 0.5) for day in range(7, 30)]


@pytest.mark.parametrize(
    ("some", "recent", "reason"),
    [
        ([*BUSY, *(usage(0.1 * n, outcome="error") for n in range(1, 4))], 3, Reason.ERRORS),
        ([*BUSY, login(1), support(1), support(2)], 1, Reason.SUPPORT),
        (BUSY, 0, Reason.INACTIVE),
        ([*BUSY, login(1), login(2), usage(3, "share")], 3, Reason.FEATURE_LOSS),
        ([*BUSY, login(1), login(2), *(usage(n + 0.2) for n in range(6))], 5, Reason.LOGIN_DROP),
        ([*BUSY, *(login(n + 0.2) for n in range(7)), usage(3)], 7, Reason.USAGE_DROP),
        ([*BUSY, *(e(n + 0.2) for n in range(7) for e in (login, usage))], 7, Reason.STEADY),
    ],
)
def test_the_reason_is_the_users_own(some: list[Event], recent: int, reason: Reason) -> None:
    assert reason_of(features(some, recent=recent)) is reason


def test_without_the_events_only_the_counts_are_judged() -> None:
    empty = features([], recent=3)
    assert not empty.sequence_is_whole
    assert reason_of(empty) is Reason.USAGE_DROP
    assert reason_of(features([], recent=0)) is Reason.INACTIVE
