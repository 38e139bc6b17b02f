"""Every script that people wrote can be sent to anyone, whatever is known of them."""

import pytest

from operators import guard, templates, wording
from schemas.profile import SLOTS
from schemas.vocabulary import Locale, Reason, Strategy

EVERY = [(locale, strategy, reason) for locale in Locale for strategy in Strategy for reason in Reason]


@pytest.mark.parametrize(("locale", "strategy", "reason"), EVERY)
def test_each_script_can_be_sent_whatever_is_known_and_leaves_room_for_the_longest_facts(
    locale: Locale, strategy: Strategy, reason: Reason
) -> None:
    template = templates.template_for(locale, strategy, reason)
    assert wording.fault(template, locale) is None
    assert "{{product}}" in template or "{{#feature}}" in template


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("Hello {{name}}, we are glad to help you with {{product}}.", "put it into a section, {{#name}}"),
        ("Hello, we are glad to help with {{product}} {{price}}.", "a slot that does not exist: price"),
        ("Hello, we are glad to help you{{#name}} with {{product}}.", "sections do not match"),
        ("Hello{{> partial}}, we are glad to help with {{product}}.", "neither a slot nor a section"),
        ("{{product}} is {{product}}, and that is what we want for you.", "told twice"),
        ("Pay {{product}} within 3 days, or we close your account.", "number: '3 days'"),
        ("Write to {{product}} at help@acme.example, we are here for you.", "contact"),
        ("Hello, here is a discount on {{product}} for you.", "promise: 'discount'"),
        ("您好，这里是{{product}}，很高兴为您服务。", "language"),
        ("Hi.", "length"),
        ("We are here to help you with {{product}}, and that is so. " * 5, "besides the slots, at most 150"),
        (
            "You were here {{#logins_7d}}{{logins_7d}} weeks{{/logins_7d}}, thank you from {{product}}.",
            "number",
        ),
    ],
)
def test_what_could_not_be_sent_to_everybody_is_refused_with_its_reason(template: str, problem: str) -> None:
    assert problem in (wording.fault(template, Locale.EN) or "")


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
    assert set(wording.SAMPLES[Locale.EN]) == set(wording.SAMPLES[Locale.ZH]) == set(SLOTS)
