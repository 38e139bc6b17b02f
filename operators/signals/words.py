"""Reasons in words: what signals say of a user, in Chinese and English, with the numbers behind it.

Only signals that a person can make sense of have a sentence; the effects of the others are told by those of
their kin, which move with them. Sentences are about the user, for the record and for the model that writes.
Their numbers are the user's own, which anybody can count again: a ratio, which is smoothed for the model, is
told by the two numbers that it is of. What is not so, or not known, of a user has no sentence.
"""

import re
from collections.abc import Callable, Mapping
from math import inf
from operator import sub

from operators.signals.presence import HALF_DAY_HOURS
from operators.signals.sentences import SENTENCES, STAYING, Sentence
from schemas.vocabulary import Locale

LEAST_EFFECT = 0.05
"""An effect smaller than this, in log-odds, is not worth a sentence."""

_DERIVED: dict[str, tuple[tuple[str, ...], Callable[..., float]]] = {
    "days_before": (("active_days_30d", "active_days_7d"), sub),
    "hours_before": (("active_hours_30d", "active_hours_7d"), sub),
    "logins_before": (("logins_30d", "logins_7d"), sub),
    "uses_before": (("uses_30d", "uses_7d"), sub),
    "week_before": (("active_days_7d", "days_gained"), sub),
    "days_away": (("hours_away",), lambda hours: hours / 24),
    "there_percent": (("there_30d",), lambda share: 100 * share),
    "idle_percent": (("idle_days",), lambda share: 100 * share),
    "error_percent": (("error_rate",), lambda share: 100 * share),
    "hours_away_before": (
        ("hours_away", "hours_away_to_longest"),
        lambda now, ratio: round((now + HALF_DAY_HOURS) / ratio - HALF_DAY_HOURS),
    ),
}
"""Of each number that is no signal itself the signals that it is made of, and how."""
_NAME = re.compile(r"\{(\w+)\}")
_ONE = re.compile(r"(?<![\d.])(1 (?:active |different )?(?:day|hour|login|use|message|feature|seat))s\b")
"""What is said of one as of several."""


def reasons(
    effects: Mapping[str, float], signals: Mapping[str, float | None], locale: Locale, most: int = 3
) -> tuple[str, ...]:
    """The strongest of what raises the risk as sentences, at most `most`.

    `effects` are in log-odds, by signal; `signals` has the user's values, None what is not known.

    >>> user = {"active_days_7d": 1, "active_days_30d": 12, "quiet": 6.5, "days_to_usual": 0.3}
    >>> effects = {"active_days_30d": -1.2, "quiet": 0.9, "days_to_usual": 0.4}
    >>> reasons(effects, user, Locale.EN)
    ('Last active 6.5 days ago', '1 active day in the last 7, 11 in the 23 before')
    >>> reasons(effects, user, Locale.ZH)
    ('最近一次活跃在6.5天前', '过去7天活跃1天，此前23天活跃11天')
    """
    known = {name: value for name, value in signals.items() if value is not None}
    facts = known | _derived(known)
    said: dict[str, str] = {}
    for name, effect in sorted(effects.items(), key=lambda each: -each[1]):
        if effect < LEAST_EFFECT or len(said) == most:
            break
        if facts.get(name, inf) > STAYING.get(name, inf):
            continue
        sentence = next((each for each in SENTENCES.get(name, ()) if _holds(each, facts)), None)
        if sentence is not None and sentence.topic not in said:
            said[sentence.topic] = _told(sentence, facts, locale)
    return tuple(said.values())


def _derived(known: Mapping[str, float]) -> dict[str, float]:
    """The numbers of sentences that are no signals themselves, as far as those behind them are known."""
    return {
        name: formula(*(known[one] for one in behind))
        for name, (behind, formula) in _DERIVED.items()
        if known.keys() >= set(behind)
    }


def _holds(sentence: Sentence, facts: Mapping[str, float]) -> bool:
    """Whether all of the sentence's numbers are known, and within its bounds."""
    named = {*sentence.within, *_NAME.findall(sentence.en)}
    return named <= facts.keys() and all(
        low <= facts[name] <= high for name, (low, high) in sentence.within.items()
    )


def _told(sentence: Sentence, facts: Mapping[str, float], locale: Locale) -> str:
    text = sentence.zh if locale is Locale.ZH else sentence.en
    told = _NAME.sub(lambda found: _shown(facts[found[1]]), text)
    return told if locale is Locale.ZH else _ONE.sub(r"\1", told)


def _shown(value: float) -> str:
    """Two digits that matter, and no exponent: counts above 10 are whole."""
    if abs(value) >= 10:
        return f"{value:.0f}"
    return f"{value:.1f}".removesuffix(".0") if abs(value) >= 1 else f"{value:.2f}".rstrip("0").rstrip(".")
