"""Whether a template that people wrote can be sent to anyone, whatever is known of them."""

from collections.abc import Iterator
from functools import lru_cache
from itertools import combinations

from operators import encode, guard, render
from schemas.errors import GuardFailed
from schemas.profile import Profile
from schemas.vocabulary import Locale, Reason, Tier

SAMPLES = {
    Locale.EN: {
        "product": "Acme 365",
        "name": "Ann",
        "feature": "bulk export",
        "offer": "20% off for 3 months",
        "link": "https://acme.example/back",
        "logins_7d": "3",
        "active_hours_7d": "2",
        "usual_hours": "12",
        "quiet_days": "5",
    },
    Locale.ZH: {
        "product": "Acme 365",
        "name": "王小明",
        "feature": "批量导出",
        "offer": "续费八折，为期3个月",
        "link": "https://acme.example/back",
        "logins_7d": "3",
        "active_hours_7d": "2",
        "usual_hours": "12",
        "quiet_days": "5",
    },
}
"""A value of each slot, as users have them."""
_ONE = "\ue000"
"""One character, which stands for a fact where a text's own length is counted."""
_NUMBERS = tuple(slot for slot in SAMPLES[Locale.EN] if slot not in guard.MAX_FACT_CHARS)
_WORDS = tuple(slot for slot in SAMPLES[Locale.EN] if slot in guard.MAX_FACT_CHARS and slot != "product")


@lru_cache(maxsize=65_536)
def fault(template: str, locale: Locale) -> str | None:
    """Why `template` could not be sent to some users, with an example where it helps; None where it could.

    Tried is every choice of the facts that are words, with and without the numbers; `product` is known.

    >>> fault("Hello{{#name}} {{name}}{{/name}}, thank you for your time with {{product}}.", Locale.EN)
    >>> fault("Hello {{name}}, thank you for your time with {{product}}.", Locale.EN)
    'the template fills a slot that has no fact: name; put it into a section, {{#name}}…{{/name}}'
    >>> fault("Thank you for your time with {{product}}, the next month is free.", Locale.EN)
    "promise: 'free', in: Thank you for your time with Acme 365, the next month is free."
    """
    try:
        for facts in _choices(template, locale):
            text = render.render(template, facts)
            found = guard.violations(text, _profile(locale, facts))
            if found:
                return f"{'; '.join(f'{rule}: {words!r}' for rule, words in found)}, in: {text}"
            if problem := _too_long(template, locale, facts):
                return problem
    except GuardFailed as error:
        slot = str(error).rpartition(": ")[2]
        hint = f"; put it into a section, {{{{#{slot}}}}}…{{{{/{slot}}}}}" if "no fact" in str(error) else ""
        return f"{error}{hint}"
    return None


def _too_long(template: str, locale: Locale, facts: dict[str, str]) -> str | None:
    text = render.render(template, dict.fromkeys(facts, _ONE))
    filled = text.count(_ONE)
    own, room = len(text) - filled, guard.MAX_CHARS[locale] - encode.FACT_CHARS[locale]
    if own > room:
        return f"has {own} characters besides the slots, at most {room} leave room for long facts"
    if filled > len(facts):
        return f"a fact is told twice: {render.render(template, facts)}"
    return None


def _choices(template: str, locale: Locale) -> Iterator[dict[str, str]]:
    """Sets of facts that make a difference to `template`; `product` is in each."""
    samples = SAMPLES[locale]
    told = [slot for slot in _WORDS if slot in template]
    counted = tuple(slot for slot in _NUMBERS if slot in template)
    for numbers in {(), counted}:
        for size in range(len(told) + 1):
            for words in combinations(told, size):
                yield {slot: samples[slot] for slot in ("product", *words, *numbers)}


def _profile(locale: Locale, facts: dict[str, str]) -> Profile:
    return Profile(
        tenant="acme",
        locale=locale,
        tier=Tier.LOW,
        strategy=Tier.LOW.strategy,
        reason=Reason.STEADY,
        plan="pro",
        facts=facts,
        sentences=(),
    )
