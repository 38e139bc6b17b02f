"""What may be said: judges a script, as the user would get it, by the facts it was written from."""

from enum import StrEnum
from typing import NamedTuple

from schemas.errors import GuardFailed
from schemas.profile import Profile
from schemas.vocabulary import Locale

MAX_CHARS = {Locale.EN: 320, Locale.ZH: 160}
MIN_CHARS = {Locale.EN: 20, Locale.ZH: 8}


class Rule(StrEnum):
    """What a script was found to break."""

    LENGTH = "length"


class Violation(NamedTuple):
    """A rule that a text breaks, and the words that break it."""

    rule: Rule
    excerpt: str


def violations(text: str, profile: Profile) -> tuple[Violation, ...]:
    """Everything in `text` that the facts do not allow, in the order of the rules.

    >>> from schemas.vocabulary import *
    >>> profile = Profile(
    ...     tenant="acme", locale=Locale.EN, tier=Tier.LOW, strategy=Strategy.RECOMMEND_FEATURE,
    ...     reason=Reason.STEADY, plan="pro", facts={"product": "Acme"}, sentences=(),
    ... )
    >>> violations("", profile)
    (Violation(rule=<Rule.LENGTH: 'length'>, excerpt=''),)
    """
    if MIN_CHARS[profile.locale] <= len(text) <= MAX_CHARS[profile.locale]:
        return ()
    return (Violation(Rule.LENGTH, text[:40]),)


def check(text: str, profile: Profile) -> None:
    """Nothing, when `text` may be sent.

    Raises:
        GuardFailed: it may not; the error's text names each rule and the words that break it.
    """
    found = violations(text, profile)
    if found:
        raise GuardFailed("; ".join(f"{rule}: {excerpt!r}" for rule, excerpt in found))


def may_state(slot: str, value: str) -> bool:
    """Whether `value` is fit to fill `slot` in front of a user. What is not never becomes a fact."""
    return bool(value)
