"""Reasons are told in both languages, with the user's own numbers, and each matter once."""

import re

import numpy as np
import pytest

from operators.signals import DAY_MS, NAMES, sequence_of, signals
from operators.signals.sentences import SENTENCES, STAYING
from operators.signals.words import reasons
from schemas.events import Login, Usage
from schemas.vocabulary import Locale

WHO = {"tenant": "acme", "user_id": "u1"}


def row_of(*events: Login | Usage, as_of_day: float = 30) -> dict[str, float | None]:
    found = signals(sequence_of(events, account=None), round(as_of_day * DAY_MS))
    return dict(zip(NAMES, found.tolist(), strict=True))


def login(day: float, action: str = "login") -> Login:
    return Login(event_id=f"{action}{day}", ts=round(day * DAY_MS), action=action, channel="web", **WHO)


def use(day: float) -> Usage:
    return Usage(event_id=f"use{day}", ts=round(day * DAY_MS), feature="export", **WHO)


def told(name: str, row: dict[str, float | None]) -> tuple[str, ...]:
    return reasons({name: 0.5}, row, Locale.EN)


def test_every_sentence_is_of_signals_that_there_are() -> None:
    assert set(SENTENCES) <= set(NAMES)
    assert {name for each in SENTENCES.values() for one in each for name in one.within} <= {
        *NAMES,
        "hours_away_before",
    }


@pytest.mark.parametrize("name", sorted(SENTENCES))
def test_both_languages_tell_the_same_numbers(name: str) -> None:
    for sentence in SENTENCES[name]:
        en, zh = (re.findall(r"\{\w+\}|\d+", text) for text in (sentence.en, sentence.zh))
        assert sorted(set(en) - {"23"}) == sorted(set(zh) - {"23"})


@pytest.mark.parametrize("name", sorted(SENTENCES))
@pytest.mark.parametrize("seed", range(3))
def test_whatever_the_user_no_sentence_has_a_hole(name: str, seed: int) -> None:
    dice = np.random.default_rng(seed)
    days = np.sort(dice.uniform(0, 30, 12))
    events = [
        login(day, "login" if i % 2 else "logout") if seed and i < 6 else use(day)
        for i, day in enumerate(days.tolist())
    ]
    for locale in Locale:
        for said in reasons({name: 0.5}, row_of(*events), locale):
            assert "{" not in said


def test_the_strongest_of_a_matter_speaks_for_it() -> None:
    row = row_of(use(1), use(22))
    effects = {"active_days_30d": 0.2, "quiet": 0.3, "active_days_7d": 0.9}
    assert reasons(effects, row, Locale.EN) == (
        "0 active days in the last 7 days",
        "Last active 8 days ago",
    )


@pytest.mark.parametrize(("name", "most"), STAYING.items())
def test_what_reads_as_of_a_user_who_stays_is_no_reason(name: str, most: float) -> None:
    assert told(name, row_of(use(1), use(20), login(3)) | {name: most + 1}) == ()


def test_what_lowers_the_risk_is_no_reason_for_it() -> None:
    row = row_of(use(1), use(22))
    assert reasons({"active_days_30d": -0.9, "quiet": 0.2}, row, Locale.EN) == ("Last active 8 days ago",)


def test_weak_effects_and_signals_without_words_are_not_told() -> None:
    assert reasons({"gathering_of_hours": 0.9, "quiet": 0.01}, row_of(use(20)), Locale.EN) == ()


def test_a_ratio_is_told_by_the_user_s_own_numbers() -> None:
    row = row_of(use(5), use(7), use(10), use(16), use(25))
    assert told("days_to_usual", row) == ("1 active day in the last 7, 4 in the 23 before",)
    assert told("quiet_to_mean_gap", row | {"quiet_to_mean_gap": 2.0, "quiet": 14.0}) == (
        "Last active 14 days ago, before that every 5 days on average",
    )
    away = row_of(login(0), login(1, "logout"), login(3), login(4, "logout"))
    assert told("hours_away_to_longest", away) == ("Away for 624 hours, before that for at most 48",)
    assert told("away_to_longest_absence", away) == (
        "Logged out 26 days ago, before that for at most 2 days",
    )


def test_of_a_user_of_one_day_no_pause_is_told() -> None:
    row = row_of(use(10))
    for name in ("quiet_to_longest_gap", "quiet_to_mean_gap"):
        assert told(name, row) == ("Last active 20 days ago",)
    for name in ("mean_gap", "longest_gap", "longest_stay", "longest_absence", "median_absence"):
        assert told(name, row) == ()


def test_where_nobody_logs_in_nothing_is_told_of_logins() -> None:
    row = row_of(use(10), use(20))
    for name in ("logins_7d", "logins_30d", "logins_to_usual", "quiet_of_logins", "state", "signed_out"):
        assert told(name, row) == ()


def test_what_never_was_is_told_as_such() -> None:
    row = row_of(login(10), login(11, "logout"))
    for name in ("quiet_of_uses", "uses_30d", "use_days_30d", "breadth_30d"):
        assert told(name, row) == ("No feature used in 30 days",)
    for name in ("since_message", "errors_7d", "tenure", "seats", "lowest_sentiment"):
        assert told(name, row) == ()


def test_a_state_is_told_by_its_value() -> None:
    out = row_of(login(10), login(11, "logout"))
    assert told("signed_out", out) == ("Signed out last",)
    assert reasons({"state": 0.7}, out, Locale.ZH) == ("目前已登出",)
    twice = row_of(login(9), login(10), login(11, "logout"))
    assert (told("state", twice), twice["connections"]) == ((), 1)  # the other connection is still open


def test_what_is_not_known_has_no_sentence() -> None:
    assert reasons({"quiet": 0.5, "tenure": 0.5}, {"quiet": None}, Locale.EN) == ()
