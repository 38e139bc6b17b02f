from itertools import islice, product
from random import Random

import pytest

from inference.training.corpus import (
    MAX_OWN_CHARS,
    compose,
    examples,
    families,
    is_held_out,
    may_end_early,
    own_chars,
)
from inference.training.evaluate import judge
from inference.training.phrases import parse, phrases, slots_of
from schemas.profile import SLOTS
from schemas.vocabulary import Locale, Reason, Strategy

EXAMPLES = list(islice(examples(3), 2000))


def test_the_same_seed_makes_the_same_corpus() -> None:
    assert list(islice(examples(5), 50)) == list(islice(examples(5), 50))
    assert list(islice(examples(5), 50)) != list(islice(examples(6), 50))


def test_every_script_is_made_of_what_its_header_asks_for() -> None:
    for profile, script in EXAMPLES:
        found = parse(script, profile.locale)
        wanted = families(profile)
        assert found == wanted or (may_end_early(profile) and found == wanted[:-1])


def test_no_script_uses_a_fact_that_is_not_given() -> None:
    for profile, script in EXAMPLES:
        assert slots_of(script) <= profile.facts.keys()


def test_an_offer_and_a_link_are_used_when_there_is_one() -> None:
    for profile, script in EXAMPLES:
        for slot in ("offer", "link"):
            assert (slot in slots_of(script)) == (slot in profile.facts)


def test_every_script_leaves_room_for_its_facts() -> None:
    assert all(own_chars(script) <= MAX_OWN_CHARS[profile.locale] for profile, script in EXAMPLES)


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
