"""Signals say the same one by one and many at once, whatever the order of the events."""

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from operators.signals import DAY_MS, NAMES, SIGNALS, SPAN_MS, sequence_of, signals, signals_of
from schemas.events import Account, Event, Login, Support, Usage

NOW = 100 * DAY_MS
IDS: dict[str, Any] = {"tenant": "acme", "user_id": "u1"}


def at(days_ago: float) -> int:
    return NOW - int(days_ago * DAY_MS)


def login(days_ago: float, action: Any = "login", channel: str = "web") -> Login:
    event_id = f"{action}-{channel}-{days_ago}"
    return Login(event_id=event_id, ts=at(days_ago), action=action, channel=channel, **IDS)


def logout(days_ago: float, channel: str = "web") -> Login:
    return login(days_ago, "logout", channel)


def usage(days_ago: float, feature: str = "export", outcome: Any = "ok", duration_ms: int = 0) -> Usage:
    return Usage(
        event_id=f"usage-{feature}-{outcome}-{days_ago}",
        ts=at(days_ago),
        feature=feature,
        outcome=outcome,
        duration_ms=duration_ms,
        **IDS,
    )


def support(days_ago: float) -> Support:
    return Support(event_id=f"support-{days_ago}", ts=at(days_ago), text="Help!", **IDS)


def found(events: list[Event], account: Account | None = None, **sentiments: float) -> dict[str, float]:
    row = signals(sequence_of(events, account, sentiments), NOW)
    return dict(zip(NAMES, row.tolist(), strict=True))


# Whole quarters of an hour, so that events coincide often.
ages = st.integers(-100, 4000).map(lambda quarters: quarters / 96)
events = st.lists(
    st.builds(login, ages, st.sampled_from(["login", "logout"]), st.sampled_from(["web", "app"]))
    | st.builds(
        usage,
        ages,
        st.sampled_from(["export", "share", "web"]),
        st.sampled_from(["ok", "error"]),
        st.sampled_from([0, 1500]),
    )
    | st.builds(support, ages),
    max_size=60,
)


@given(events, st.lists(st.integers(-SPAN_MS, 10 * DAY_MS), min_size=1, max_size=6))
def test_many_windows_at_once_say_what_each_says_alone(some: list[Event], back: list[int]) -> None:
    sequence = sequence_of(some, None)
    as_of_ms = NOW - np.array(back, dtype=np.int64)
    begin = np.searchsorted(sequence.ts_ms, as_of_ms - SPAN_MS, side="right")
    end = np.searchsorted(sequence.ts_ms, as_of_ms, side="right")
    table = signals_of(sequence, begin, end, as_of_ms)
    alone = [signals(sequence, int(moment)) for moment in as_of_ms]
    np.testing.assert_array_equal(table, np.stack(alone))


@given(events, st.randoms(use_true_random=False))
def test_order_and_copies_do_not_matter(some: list[Event], dice: random.Random) -> None:
    moods = {event.event_id: dice.uniform(-1, 1) for event in some}
    shuffled = some + dice.choices(some, k=5) if some else []
    dice.shuffle(shuffled)
    one, other = (signals(sequence_of(events, None, moods), NOW) for events in (some, shuffled))
    np.testing.assert_array_equal(one, other)


@given(events)
def test_only_the_thirty_days_up_to_the_moment_count(some: list[Event]) -> None:
    inside = [event for event in some if NOW - SPAN_MS < event.ts <= NOW]
    assert found(some) == found(inside)


@given(events)
def test_every_signal_is_a_finite_number(some: list[Event]) -> None:
    assert np.isfinite(list(found(some).values())).all()


def test_each_signal_has_a_group_a_unit_and_a_meaning_and_there_are_enough_but_not_too_many() -> None:
    assert 50 <= len(NAMES) <= 100
    for entry in SIGNALS.values():
        assert entry.group and entry.unit, entry.name
        assert len(entry.meaning) > 10 and "{" not in entry.meaning, entry.name
    assert SIGNALS["active_days_7d"].meaning == "Active days in the last 7 days"


EVERY_OTHER_DAY: list[Event] = [login(day + 0.5) for day in range(4, 30, 2)]


@pytest.mark.parametrize(
    ("some", "name", "value"),
    [
        # Recency, against the user's own pauses.
        (EVERY_OTHER_DAY, "quiet", 4.5),
        (EVERY_OTHER_DAY, "mean_gap", 2),
        (EVERY_OTHER_DAY, "quiet_to_mean_gap", 2.25),
        ([], "quiet", 30),
        # Rhythm.
        ([login(0.1), login(0.2), login(1.5), login(29.9)], "active_days_30d", 3),
        ([login(0.1), login(0.2), login(1.5)], "active_hours_3d", 3),
        ([login(0.5), login(1.5), login(2.5), login(9.5)], "streak", 3),
        ([login(1.5), login(2.5), login(9.5)], "streak", 2),
        ([login(2.5)], "streak", 0),
        ([login(day + 0.5) for day in (1, 2, 3, 9)], "longest_streak", 3),
        ([login(0.5), login(1.5)], "daily_regularity", 0.5),
        # Day 0 of the epoch was a Thursday, day 100 a Saturday: its eve, the last day counted back, a Friday.
        ([login(0.5), login(5.5), login(6.5)], "weekend_share", 2 / 3),
        # Trend.
        ([login(0.5), login(2.5)], "faded_days_2d", 1.5),
        ([login(0.5), login(1.5), login(8.5)], "days_gained", 1),
        # Day and night: the window ends at midnight.
        ([login(0.9), login(0.5)], "night_share", 0.5),
        ([login(0.5), login(10.25)], "shift_of_hours", 6),
        ([login(0.5), login(1.5)], "gathering_of_hours", 1),
        # Sessions.
        ([usage(1), usage(1 - 20 / 1440), usage(1 - 51 / 1440)], "sessions_30d", 2),
        ([usage(1), usage(1 - 30 / 1440)], "longest_session", 0.5),
        ([usage(1), usage(1 - 30 / 1440), usage(2)], "session_length", 0.25),
        # Coming and going.
        ([login(3), logout(2)], "state", -1),
        ([login(3), logout(2), login(1)], "state", 1),
        ([login(3), logout(1), login(1)], "state", 1),
        ([usage(1)], "state", 0),
        ([login(3), logout(2)], "state_for", 2),
        ([login(3), logout(2.75)], "stay_length", 6),
        ([login(9), logout(8), login(3), logout(2)], "away_to_longest_absence", 2 / 6),
        ([login(9), logout(8), login(8 - 10 / 1440), logout(2)], "blips", 0.5),
        ([login(9), logout(2)], "signed_out", 1),
        ([login(9), logout(2, "time-out")], "signed_out", -1),
        ([login(9), logout(2, "time-out"), login(1)], "signed_out", 0),
        ([login(9), logout(3), login(2), logout(1, "time-out")], "sign_outs", 0.5),
        ([login(2), usage(1)], "last_event", 0),
        ([login(4), login(3), logout(2), logout(1)], "unmatched", 0.5),
        ([login(9.5), login(8.5), usage(8.4)], "idle_days", 0.5),
        # Being there: on two connections at a time, before the window began, by doing something.
        ([login(4), login(3), logout(2)], "connections", 1),
        ([login(4), login(3), logout(2), logout(1)], "connections", 0),
        ([logout(2), logout(1)], "connections_before", 2),
        ([login(3), logout(2), login(1)], "connected_for", 1),
        ([login(3), logout(2)], "connected_for", -2),
        ([logout(15)], "there_30d", 15 / 30),
        ([login(4), login(3), logout(2), logout(1.5)], "there_3d", 0.5),
        ([login(0.5)], "there_1d", 0.5 + 1 / 24),
        ([usage(2.1), usage(1.1), usage(1.2)], "days_there", 2),
        ([login(3), logout(2)], "hours_away", 48),
        ([login(3), logout(2), usage(1)], "hours_away", 24),
        ([], "hours_away", 720),
        ([login(3), logout(2)], "last_stay", 25),
        ([usage(9), usage(7), usage(4)], "median_absence", 48),
        ([usage(9), usage(7), usage(4)], "hours_away_to_longest", (96 + 12) / (72 + 12)),
        ([usage(4), usage(3), usage(2)], "spread_of_absences", 0),
        ([login(2.5), logout(1.5), login(0.5)], "daily_overlap", 2 / 61),
        ([usage(8.5), usage(1.5), usage(3)], "weekly_overlap", 1 / 3),
        ([usage(3.5), usage(2.5), usage(1.5)], "oddness_of_last_hour", 0),
        ([login(3), logout(2), login(2 - 1 / 48), logout(1)], "logouts_a_day_there", 2 / (49 / 24 + 0.5)),
        # Features.
        ([usage(1), usage(2, "share"), usage(9)], "uses_7d", 2),
        ([usage(1), usage(2, "share"), usage(9, "chart")], "breadth_7d", 2),
        ([usage(day) for day in range(8, 13)] + [usage(1, "share")], "favourite_lost", 1),
        ([usage(day) for day in range(8, 13)] + [usage(1)], "favourite_lost", 0),
        ([usage(day) for day in range(2, 6)] + [usage(1, "share")], "uses_of_last_feature", 1),
        ([usage(day) for day in range(2, 6)] + [usage(1, "share")], "share_of_last_feature", 0.2),
        ([usage(1, duration_ms=90_000), usage(9, duration_ms=1)], "minutes_7d", 1.5),
        # Errors, customer service, the account.
        ([usage(1, outcome="error"), usage(2), usage(9)], "error_rate", 0.5),
        ([usage(1, outcome="error"), usage(2), usage(9)], "error_rate_gained", 0.5),
        ([support(1), support(9)], "messages_7d", 1),
        ([support(3)], "since_message", 3),
        ([support(3)], "active_days_30d", 0),
    ],
)
def test_a_signal_by_example(some: list[Event], name: str, value: float) -> None:
    assert found(some)[name] == pytest.approx(value, rel=1e-6)


def test_an_absence_is_the_odder_the_more_usual_hours_are_missed() -> None:
    office: list[Event] = [login(day + 0.6) for day in range(4, 30)] + [
        logout(day + 0.3) for day in range(4, 30)
    ]
    rare: list[Event] = [login(20.6), logout(20.3), login(4.6), logout(4.3)]
    for name in ("surprise_of_absence_30d", "surprise_of_absence_14d", "deviation_of_absence"):
        assert found(office)[name] > found(rare)[name] > found([*rare, login(0)])[name]
    assert found([*office, usage(0.1)])["surprise_of_silence"] < 1 < found(office)["surprise_of_silence"]


def test_sentiment_is_that_of_the_messages_for_which_it_is_known() -> None:
    messages: list[Event] = [support(1), support(2), support(3)]
    known = {"support-1": -0.5, "support-2": 0.25}
    assert found(messages, **known)["lowest_sentiment"] == -0.5
    assert found(messages, **known)["mean_sentiment"] == -0.125
    assert found(messages)["lowest_sentiment"] == 0


def test_the_account_grows_older_than_it_was_when_it_was_told() -> None:
    account = Account(event_id="a", ts=at(10), seats=12, tenure_days=400, **IDS)
    assert (found([], account)["tenure"], found([], account)["seats"]) == (410, 12)


def test_a_signal_is_entered_once() -> None:
    from operators.signals.registry import signal

    def quiet(windows: Any) -> NDArray[np.float64]:
        """Again."""
        raise AssertionError

    with pytest.raises(ValueError, match="two signals of the name quiet"):
        signal("recency", "days")(quiet)
