"""The corpus that the small model learns from: by seed, true to its headers, and all of it fit to be sent."""

from itertools import islice, product
from random import Random

import pytest

from inference.training import corpus, facts, sentences
from inference.training.corpus import (
    MAX_CHARS,
    compose,
    examples,
    families,
    is_held_out,
    is_short,
    says_once,
)
from inference.training.evaluate import judge
from inference.training.phrases import parse, phrases, slots_of
from operators import encode, guard
from operators.ladder import refusal
from operators.render import render
from schemas.profile import SLOTS
from schemas.vocabulary import TIERS, Locale, Reason, Strategy

EXAMPLES = list(islice(examples(3), 2000))


def test_the_same_seed_makes_the_same_corpus() -> None:
    assert list(islice(examples(5), 50)) == list(islice(examples(5), 50))
    assert list(islice(examples(5), 50)) != list(islice(examples(6), 50))


def test_a_corpus_is_named_by_what_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "_FINGERPRINTED", 200)
    before = corpus.fingerprint(1)
    assert before.startswith("sha256:") and before == corpus.fingerprint(1) != corpus.fingerprint(2)
    monkeypatch.setattr(corpus, "MAX_OWN_CHARS", {Locale.EN: 140, Locale.ZH: 60})
    assert corpus.fingerprint(1) != before


def test_every_script_is_made_of_what_its_header_asks_for() -> None:
    for profile, script in EXAMPLES:
        assert parse(script, profile.locale) == families(profile)


def test_no_script_uses_a_fact_that_is_not_given() -> None:
    for profile, script in EXAMPLES:
        assert slots_of(script) <= profile.facts.keys()


def test_an_offer_and_a_link_are_used_when_there_is_one() -> None:
    for profile, script in EXAMPLES:
        for slot in ("offer", "link"):
            assert (slot in slots_of(script)) == (slot in profile.facts)


def test_every_script_may_be_sent() -> None:
    """What the model learns from is rendered and guarded like what it writes."""
    drawn = list(islice(examples(9), 4000))
    assert {(p.tier, p.reason, p.locale) for p, _ in drawn} == set(product(TIERS, Reason, Locale))
    refused = [(refusal(profile, script), script) for profile, script in drawn]
    assert [each for each in refused if each[0]] == []


@pytest.mark.parametrize("locale", Locale)
def test_every_phrase_may_be_sent_in_each_way_to_spell_it(locale: Locale) -> None:
    """Alone, so that one which is drawn seldom is judged too; by itself it may be too short, though."""
    profile = next(
        p for p, _ in islice(examples(9), 4000) if p.locale is locale and len(p.facts) == len(SLOTS)
    )
    random = Random(2)
    for phrase in (one for family in phrases(locale).values() for one in family):
        for script in {phrase.spell(random) for _ in range(12)}:
            text = render(script, profile.facts)
            rules = {found.rule for found in guard.violations(text, profile)}
            assert rules <= {guard.Rule.LENGTH, guard.Rule.LANGUAGE}, (text, rules)


def test_every_script_has_room_for_the_longest_facts_and_says_none_twice() -> None:
    for profile, script in EXAMPLES:
        assert is_short(script, profile.locale) and says_once(script)


@pytest.mark.parametrize("locale", Locale)
def test_what_a_script_says_most_is_of_middling_length(locale: Locale) -> None:
    """The limit is for the longest facts; with ordinary ones a script is far from it."""
    lengths = sorted(len(render(s, p.facts)) for p, s in EXAMPLES if p.locale is locale)
    assert lengths[len(lengths) // 2] < 0.7 * MAX_CHARS[locale]


def test_the_limits_are_those_of_the_guard_and_the_encoder() -> None:
    assert MAX_CHARS == guard.MAX_CHARS
    assert facts.WORD_CHARS == guard.MAX_FACT_CHARS
    assert facts.FACT_CHARS == encode.FACT_CHARS


def test_facts_are_such_as_the_encoder_gives() -> None:
    for profile, _ in EXAMPLES:
        words = [value for slot, value in profile.facts.items() if slot in facts.WORD_CHARS]
        assert sum(map(len, words)) <= facts.FACT_CHARS[profile.locale]
        assert all(guard.may_state(slot, value) for slot, value in profile.facts.items())


def test_sentences_are_worded_as_the_encoder_words_them() -> None:
    assert {
        tuple(one[locale] for locale in (Locale.EN, Locale.ZH)) for one in sentences.TEXTS.values()
    } == set(encode._TEXTS.values())


@pytest.mark.parametrize(
    ("reason", "slot"),
    [
        (Reason.LOGIN_DROP, "logins_7d"),
        (Reason.FEATURE_LOSS, "feature"),
        (Reason.INACTIVE, "quiet_days"),
    ],
)
def test_what_an_observation_states_depends_on_the_header_alone(reason: Reason, slot: str) -> None:
    of_reason = [one for one in EXAMPLES if one.profile.reason is reason]
    given = [slot in one.profile.facts for one in of_reason]
    assert given == [slot in slots_of(script) for _, script in of_reason]
    assert 0.35 < sum(given) / len(given) < 0.65


def test_held_out_headers_are_never_trained_on() -> None:
    assert not any(is_held_out(profile) for profile, _ in EXAMPLES)
    assert all(is_held_out(profile) for profile, _ in islice(examples(3, held_out=True), 50))


def test_the_corpus_is_varied() -> None:
    assert len({script for _, script in EXAMPLES}) > 0.97 * len(EXAMPLES)


@pytest.mark.parametrize("locale", Locale)
def test_there_are_phrases_for_every_strategy_and_reason(locale: Locale) -> None:
    known = phrases(locale)
    assert {f"observe.{reason}" for reason in Reason} <= known.keys()
    assert {f"{place}.{strategy}" for place, strategy in product(("act", "close"), Strategy)} <= known.keys()


@pytest.mark.parametrize("locale", Locale)
def test_phrases_state_nothing_but_slots(locale: Locale) -> None:
    for phrase in (one for family in phrases(locale).values() for one in family):
        own = phrase.source
        for slot in SLOTS:
            own = own.replace(f"{{{{{slot}}}}}", "")
        assert slots_of(own) == frozenset()
        assert not any(character.isdigit() or character in "%$€¥<>" for character in own), phrase
        assert not any(
            word in own.lower() for word in ("free", "discount", "guarantee", "http", "免费", "折")
        ), phrase


@pytest.mark.parametrize("locale", Locale)
def test_every_phrase_is_found_again_in_each_way_to_spell_it(locale: Locale) -> None:
    random = Random(1)
    for phrase in (one for family in phrases(locale).values() for one in family):
        for _ in range(4):
            found = parse(phrase.spell(random), locale)
            assert found is not None and len(found) == 1


def test_the_judge_finds_a_script_for_another_reason_wrong() -> None:
    profile, script = next(example for example in EXAMPLES if example.profile.reason is Reason.ERRORS)
    assert judge(profile, script)["all"]
    other = next(
        example.script
        for example in EXAMPLES
        if example.profile.reason is Reason.STEADY and example.profile.locale is profile.locale
    )
    assert not judge(profile, other)["reason"]


def test_the_judge_finds_a_script_that_is_a_word_off_wrong() -> None:
    profile, script = EXAMPLES[0]
    assert not judge(profile, script + "!!")["well_formed"]


def test_composing_takes_only_phrases_whose_slots_are_given() -> None:
    profile = next(one.profile for one in EXAMPLES if "logins_7d" not in one.profile.facts)
    assert all("logins_7d" not in compose(profile, Random(seed)) for seed in range(50))
