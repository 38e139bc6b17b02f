"""Questions about churn from a log: nothing of the future in them, right answers, no leak into the test."""

from collections.abc import Iterator

import numpy as np
import pytest

from operators.features import DAY_MS, SPAN_MS
from schemas.errors import InputError
from schemas.events import Event, Login, Usage
from streams.questions import LEAD_MS, Question, is_test_user, questions, whole_weeks

DAYS = 220
LEAVES = 120


def log(days: range = range(DAYS)) -> Iterator[Event]:
    """Forty users who come each day: half of them until day `LEAVES` only."""
    for user in range(40):
        for day in days:
            if user % 2 == 0 or day < LEAVES:
                ids = {"tenant": "t", "user_id": f"u{user}", "ts": day * DAY_MS + user + 1}
                yield Login(event_id=f"l{user}-{day}", **ids)
                yield Usage(event_id=f"m{user}-{day}", feature="message", **ids)


def asked(events: Iterator[Event]) -> list[Question]:
    return list(questions(events, train=10_000, test=10_000))


ALL = asked(log())


def test_the_answer_is_yes_just_where_no_event_follows_within_30_days() -> None:
    assert {one.answer for one in ALL} == {"yes", "no"}
    for one in ALL:
        leaves = int(one.user[1:]) % 2 == 1
        assert (one.answer == "yes") is (leaves and one.tau >= LEAVES * DAY_MS)


def test_a_question_says_nothing_of_what_came_after_the_lead() -> None:
    """Whatever happens between t and the end of the log, the text stays the same."""
    chosen = [one for one in ALL if one.answer == "no"][:20]
    for one in chosen:
        until = one.tau - LEAD_MS
        short = (event for event in log() if event.ts <= until or event.user_id != one.user)
        again = [each for each in asked(short) if (each.user, each.tau) == (one.user, one.tau)]
        assert [each.text for each in again] == [one.text]
        assert [each.answer for each in again] == ["yes"]


def test_users_and_times_of_the_test_are_never_trained_on() -> None:
    train, test = ([one for one in ALL if one.is_test is flag] for flag in (False, True))
    assert train and test
    assert {one.user for one in train}.isdisjoint(one.user for one in test)
    assert all(is_test_user(one.user) is one.is_test for one in ALL)
    assert max(one.tau for one in train) + SPAN_MS <= min(one.tau for one in test)


def test_weeks_around_a_hole_are_left_out() -> None:
    whole = np.arange(DAYS) * DAY_MS
    holed = np.array([day for day in range(DAYS) if not 100 <= day < 103]) * DAY_MS
    two = np.array([day for day in range(DAYS) if not 100 <= day < 102]) * DAY_MS
    assert whole_weeks(two) == whole_weeks(whole)
    lost = set(whole_weeks(whole)) - set(whole_weeks(holed))
    assert lost and all(100 - 30 < tau // DAY_MS <= 102 + 33 for tau in lost)


def test_a_log_that_is_too_short_is_refused() -> None:
    with pytest.raises(InputError, match="33 whole days before"):
        asked(log(range(50)))
    with pytest.raises(InputError, match="no events"):
        asked(iter(()))
