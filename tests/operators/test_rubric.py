"""The rubric: what earns each mark, and that it knows a reason in either author's words."""

from itertools import islice

import pytest

from inference.training.corpus import examples, families
from operators import templates
from operators.render import render
from operators.rubric import SHORT_CHARS, marks, purity, without_facts
from schemas.profile import Profile
from schemas.vocabulary import Locale, Reason, Tier


def user(
    tier: Tier = Tier.HIGH, reason: Reason = Reason.ERRORS, locale: Locale = Locale.EN, **facts: str
) -> Profile:
    return Profile(
        tenant="acme",
        locale=locale,
        tier=tier,
        strategy=tier.strategy,
        reason=reason,
        plan="pro",
        facts={"product": "Acme"} | facts,
        sentences=(),
    )


@pytest.mark.parametrize(
    ("text", "points"),
    [("Acme is here.", 0.0), ("Ann, Acme is here.", 0.5), ("Ann, Acme saw you 3 times.", 1.0)],
)
def test_a_message_is_personal_by_the_users_own_facts(text: str, points: float) -> None:
    assert marks(text, user(name="Ann", logins_7d="3"), []).personal == points


def test_a_fact_within_a_longer_word_or_number_is_not_that_fact() -> None:
    assert marks("Annual plans of Acme, 13 of them.", user(name="Ann", logins_7d="3"), []).personal == 0


def test_a_message_for_one_reason_is_not_specific_to_another() -> None:
    text = "Sorry about the errors in Acme."
    assert marks(text, user(reason=Reason.ERRORS), []).specific == 1
    assert marks(text, user(reason=Reason.SUPPORT), []).specific == 0
    assert marks(text, user(reason=Reason.STEADY), []).specific == 0


def test_a_product_named_after_a_reason_does_not_make_a_message_specific() -> None:
    assert (
        marks("Support Desk is here.", user(reason=Reason.SUPPORT, product="Support Desk"), []).specific == 0
    )


@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("Acme is here.", 0.0),
        ("Reply to us.", 1.0),
        ("See https://a.example", 1.0),
        ("Reply, or see https://a.example", 0.5),
    ],
)
def test_one_next_step_is_better_than_none_and_than_two(text: str, points: float) -> None:
    assert marks(text, user(link="https://a.example"), []).next_step == points


def test_the_tone_is_calm_for_who_does_well_and_caring_for_who_does_not() -> None:
    alarmed, caring = "We do not want to lose you.", "We are sorry, and glad to help."
    assert marks(alarmed, user(Tier.LOW), []).tone == 0
    assert marks("All is well.", user(Tier.LOW), []).tone == 1
    assert marks(alarmed, user(Tier.CRITICAL), []).tone == 0
    assert marks(caring, user(Tier.CRITICAL), []).tone == 1


@pytest.mark.parametrize("locale", Locale)
def test_short_is_better_than_long(locale: Locale) -> None:
    short = SHORT_CHARS[locale]
    lengths = [
        marks("x" * chars, user(locale=locale), []).length for chars in (short, short + 1, 2 * short + 1)
    ]
    assert lengths == [1.0, 0.5, 0.0]


def test_what_was_told_an_alike_user_already_earns_nothing_for_variety() -> None:
    ann, ben = user(name="Ann"), user(name="Ben")
    to_ben = without_facts("Ben, Acme is here.", ben)
    assert marks("Ann, Acme is here.", ann, [to_ben]).variety == 0
    assert marks("Ann, welcome to Acme.", ann, [to_ben]).variety == 1


def test_letters_of_another_script_lower_the_purity_and_facts_do_not() -> None:
    zh = user(locale=Locale.ZH, name="Ann")
    assert purity("Ann您好，Acme在这里。", zh) == 1.0
    assert purity("您好ok", zh) == 0.5
    assert purity("Ann, 您好", user(name="Ann")) == 0.0


@pytest.mark.parametrize("locale", Locale)
@pytest.mark.parametrize("reason", [reason for reason in Reason if reason is not Reason.STEADY])
def test_what_either_author_wrote_for_a_reason_is_mostly_known_as_such(
    reason: Reason, locale: Locale
) -> None:
    drawn = [
        one
        for one in islice(examples(8), 3_000)
        if one.profile.reason is reason and one.profile.locale is locale
    ]
    assert len(drawn) > 100
    known = [marks(render(one.script, one.profile.facts), one.profile, []).specific for one in drawn]
    assert sum(known) / len(known) >= 0.9
    own = [one.profile for one in drawn if one.profile.reason in _own_templates(one.profile)]
    known = [marks(render(templates.template_of(one), one.facts), one, []).specific for one in own]
    # Some templates speak of a reason only where the user's feature is known.
    assert not known or sum(known) / len(known) >= 0.75


def test_what_is_said_to_a_user_who_is_steady_is_known_as_that() -> None:
    drawn = [one for one in islice(examples(8), 2_000) if one.profile.reason is Reason.STEADY]
    assert all(families(one.profile)[1] == "observe.steady" for one in drawn)
    known = [marks(render(one.script, one.profile.facts), one.profile, []).specific for one in drawn]
    assert sum(known) / len(known) >= 0.95


def _own_templates(profile: Profile) -> set[Reason]:
    default = templates.template_for(profile.locale, profile.strategy, Reason.STEADY)
    return {profile.reason} if templates.template_of(profile) != default else set()
