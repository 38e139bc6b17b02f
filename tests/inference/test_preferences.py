"""Pairs from outcomes: only alike scripts are compared, none twice, no fact in them; simulations say so."""

from itertools import islice

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.preferences import DISLIKED, LIKED, Pair, is_for_everybody, pairs
from inference.training.corpus import examples
from inference.training.phrases import slots_of
from operators.render import flat
from schemas.decision import Decision, Script, Told
from schemas.outcome import OutcomeKind, UserOutcome
from schemas.vocabulary import Locale, Reason, Rung, Tier
from tests import records

TEXTS = [
    "Hi {{name}}, {{product}} is here.",
    "Hello {{name}}, {{product}} waits.",
    "{{product}} is here.",
    "Welcome to {{product}}.",
]


def script(template: str, locale: Locale = Locale.EN, **facts: str) -> Script:
    return records.script(template=template, locale=locale, rung=Rung.LIVE, told=Told(facts=facts))


def decision(number: int, text: str, tier: Tier = Tier.HIGH, reason: Reason = Reason.ERRORS) -> Decision:
    return records.decision(
        id=f"d{number}",
        user_id=f"u{number}",
        at=number,
        to_tier=tier,
        reason=reason,
        script=script(text),
    )


def outcome(number: int, kind: OutcomeKind, simulated: bool = False, user: int | None = None) -> UserOutcome:
    return UserOutcome(
        outcome_id=f"o{number}-{kind}",
        decision_id=f"d{number}",
        tenant="acme",
        user_id=f"u{number if user is None else user}",
        kind=kind,
        ts=number + 1,
        simulated=simulated,
    )


def made(decisions: list[Decision], outcomes: list[UserOutcome]) -> list[Pair]:
    return list(pairs(decisions, outcomes))


REPLIED, COMPLAINT = OutcomeKind.REPLIED, OutcomeKind.COMPLAINT
TWO = [decision(1, TEXTS[0]), decision(2, TEXTS[1])]


def test_a_script_with_a_reply_is_preferred_over_one_with_a_complaint() -> None:
    (pair,) = made(TWO, [outcome(1, REPLIED), outcome(2, COMPLAINT)])
    assert (pair.chosen, pair.rejected) == (TEXTS[0], TEXTS[1])
    assert (pair.chosen_id, pair.rejected_id, pair.simulated) == ("d1", "d2", False)
    assert "tier=high strategy=retention_offer reason=errors" in pair.prompt
    assert "name=yes feature=no" in pair.prompt


@pytest.mark.parametrize("which", [1, 2])
def test_one_simulated_outcome_makes_the_pair_simulated(which: int) -> None:
    both = [outcome(1, REPLIED, simulated=which == 1), outcome(2, COMPLAINT, simulated=which == 2)]
    assert [pair.simulated for pair in made(TWO, both)] == [True]


@pytest.mark.parametrize(
    "other",
    [
        decision(2, TEXTS[1], tier=Tier.CRITICAL),
        decision(2, TEXTS[1], reason=Reason.SUPPORT),
        decision(2, TEXTS[2]),  # fills other slots
        decision(2, TEXTS[0]),  # says the same
    ],
)
def test_scripts_that_differ_in_more_than_words_or_not_at_all_make_no_pair(other: Decision) -> None:
    assert made([TWO[0], other], [outcome(1, REPLIED), outcome(2, COMPLAINT)]) == []


def test_an_outcome_of_another_user_and_a_script_taken_both_ways_say_nothing() -> None:
    assert made(TWO, [outcome(1, REPLIED, user=7), outcome(2, COMPLAINT)]) == []
    assert made(TWO, [outcome(1, REPLIED), outcome(2, COMPLAINT), outcome(2, REPLIED)]) == []


@given(
    st.lists(
        st.tuples(
            st.sampled_from(TEXTS),
            st.sampled_from([Tier.HIGH, Tier.LOW]),
            st.sampled_from([Reason.ERRORS, Reason.SUPPORT]),
            st.sets(st.sampled_from(list(OutcomeKind)), max_size=3),
            st.booleans(),
        ),
        max_size=30,
    )
)
def test_whatever_happens_pairs_are_alike_and_no_script_is_used_twice(
    drawn: list[tuple[str, Tier, Reason, set[OutcomeKind], bool]],
) -> None:
    decisions = [decision(at, *row[:3]) for at, row in enumerate(drawn)]
    outcomes = [outcome(at, kind, row[4]) for at, row in enumerate(drawn) for kind in sorted(row[3])]
    found = made(decisions, outcomes)
    assert found == made(decisions[::-1] + decisions, outcomes + outcomes)  # order and copies change nothing
    used = [one for pair in found for one in (pair.chosen_id, pair.rejected_id)]
    assert len(used) == len(set(used))
    by_id = {one.id: (row, one) for row, one in zip(drawn, decisions, strict=True)}
    for pair in found:
        (better, _), (worse, _) = by_id[pair.chosen_id], by_id[pair.rejected_id]
        assert better[1:3] == worse[1:3] == (pair.tier, pair.reason)
        assert slots_of(pair.chosen) == slots_of(pair.rejected) and pair.chosen != pair.rejected
        assert better[3] & LIKED and not better[3] & DISLIKED
        assert worse[3] & DISLIKED and not worse[3] & LIKED
        assert pair.simulated is (better[4] or worse[4])


@pytest.mark.parametrize(
    "template",
    [
        "",
        "Hi, we miss you in bulk export.",
        "You get 20% off.",
        "You were here 3 times.",
        "为您保留八折优惠。",
    ],
)
def test_a_template_with_a_fact_in_it_and_a_record_without_a_template_make_no_pair(
    template: str,
) -> None:
    told = script(template, feature="bulk export", offer="八折优惠", quiet_days="3")
    assert not is_for_everybody(told)
    better = msgspec.structs.replace(TWO[0], script=told)
    assert made([better, TWO[1]], [outcome(1, REPLIED), outcome(2, COMPLAINT)]) == []


def test_the_small_model_s_own_scripts_are_for_everybody() -> None:
    for one in islice(examples(5), 1_000):
        facts = {slot: fact for slot, fact in one.profile.facts.items() if slot != "name"}
        assert is_for_everybody(script(flat(one.script, one.profile.facts), one.profile.locale, **facts))
