"""Every script that people wrote can be sent to anyone, whatever is known of them."""

from collections.abc import Iterator
from itertools import combinations

import pytest

from operators import encode, guard, render, templates
from schemas.profile import SLOTS, Profile
from schemas.vocabulary import Locale, Reason, Strategy, Tier

FACTS = {
    Locale.EN: {
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
EVERY = [(locale, tier, reason) for locale in Locale for tier in Tier for reason in Reason]


def _profile(locale: Locale, tier: Tier, reason: Reason, facts: dict[str, str]) -> Profile:
    return Profile(
        tenant="acme",
        locale=locale,
        tier=tier,
        strategy=tier.strategy,
        reason=reason,
        plan="pro",
        facts={"product": "Acme 365", **facts},
        sentences=(),
    )


def _some_of(facts: dict[str, str]) -> Iterator[dict[str, str]]:
    """Every choice of the facts that are words."""
    words = [slot for slot in facts if slot in guard.MAX_FACT_CHARS]
    for size in range(len(words) + 1):
        for chosen in combinations(words, size):
            yield {slot: facts[slot] for slot in chosen}


@pytest.mark.parametrize(("locale", "tier", "reason"), EVERY)
def test_each_script_passes_the_guard_whatever_is_known(locale: Locale, tier: Tier, reason: Reason) -> None:
    for facts in _some_of(FACTS[locale]):
        profile = _profile(locale, tier, reason, facts)
        text = render.render(templates.template_of(profile), profile.facts)
        assert guard.violations(text, profile) == (), text
        assert "Acme 365" in text or "feature" in facts


@pytest.mark.parametrize(("locale", "tier", "reason"), EVERY)
def test_each_script_leaves_room_for_the_longest_facts(locale: Locale, tier: Tier, reason: Reason) -> None:
    template = templates.template_for(locale, tier.strategy, reason)
    for facts in _some_of(FACTS[locale]):
        text = render.render(template, dict.fromkeys(("product", *facts), "\ue000"))
        filled = text.count("\ue000")
        assert filled <= len(facts) + 1, f"a fact is told twice: {text}"
        assert len(text) - filled + encode.FACT_CHARS[locale] <= guard.MAX_CHARS[locale], text


@pytest.mark.parametrize("locale", Locale)
@pytest.mark.parametrize("strategy", Strategy)
def test_no_text_is_there_for_a_reason_that_does_not_exist(locale: Locale, strategy: Strategy) -> None:
    assert set(templates._TEXTS[locale][strategy]) <= {templates.DEFAULT, *Reason}
    assert set(templates._TEXTS[locale]) == set(Strategy)


def test_both_locales_have_texts_for_the_same_reasons() -> None:
    english, chinese = templates._TEXTS[Locale.EN], templates._TEXTS[Locale.ZH]
    assert {strategy: set(texts) for strategy, texts in english.items()} == {
        strategy: set(texts) for strategy, texts in chinese.items()
    }


def test_every_slot_of_words_has_a_longest_value() -> None:
    assert set(guard.MAX_FACT_CHARS) < set(SLOTS)
