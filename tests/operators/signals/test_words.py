"""Reasons are told in both languages, with their numbers, and each matter once."""

import pytest

from operators.signals import NAMES
from operators.signals.words import BY_VALUE, SENTENCES, STAYING, reasons
from schemas.vocabulary import Locale


def test_every_sentence_is_of_a_signal_that_there_is() -> None:
    assert set(SENTENCES) | set(BY_VALUE) <= set(NAMES)
    assert not set(SENTENCES) & set(BY_VALUE)


@pytest.mark.parametrize("name", sorted(SENTENCES))
def test_a_sentence_states_its_number_in_both_languages(name: str) -> None:
    for locale in Locale:
        value, shown = (-3.25, "-3.2") if name in STAYING else (3.25, "3.2")
        (said,) = reasons([(name, value, 0.5)], locale)
        assert shown in said
        assert "{" not in said


def test_the_strongest_of_a_matter_speaks_for_it() -> None:
    effects = [("active_days_30d", 2.0, 0.2), ("quiet", 8.04, 0.3), ("active_days_7d", 0.0, 0.9)]
    assert reasons(effects, Locale.EN) == ("0 active days in the last 7", "Last active 8 days ago")


@pytest.mark.parametrize(("name", "most"), STAYING.items())
def test_what_reads_as_of_a_user_who_stays_is_no_reason(name: str, most: float) -> None:
    assert reasons([(name, most + 1, 0.5)], Locale.EN) == ()


def test_what_lowers_the_risk_is_no_reason_for_it() -> None:
    assert reasons([("active_days_30d", 12.0, -0.9), ("quiet", 8.04, 0.2)], Locale.EN) == (
        "Last active 8 days ago",
    )


def test_weak_effects_and_signals_without_words_are_not_told() -> None:
    assert reasons([("gathering_of_hours", 0.5, 0.9), ("quiet", 1.0, 0.01)], Locale.EN) == ()


def test_a_state_is_told_by_its_value() -> None:
    assert reasons([("signed_out", 1.0, 0.7)], Locale.EN) == ("Signed out last",)
    assert reasons([("signed_out", 0.0, 0.7)], Locale.EN) == ()
    assert reasons([("state", 1.0, 0.7)], Locale.ZH) == ("目前仍处于登录状态",)
