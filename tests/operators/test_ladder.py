"""The ladder takes the first rung that may be sent, and says why the others were not."""

from operators import render, templates
from operators.ladder import NOT_TRIED, Exhausted, Taken, settle
from schemas.errors import BreakerOpen, DeadlineExceeded
from schemas.profile import Profile
from schemas.vocabulary import HeldBy, Locale, Reason, Rung, Strategy, Tier

PROFILE = Profile(
    tenant="acme",
    locale=Locale.EN,
    tier=Tier.HIGH,
    strategy=Strategy.RETENTION_OFFER,
    reason=Reason.ERRORS,
    plan="pro",
    facts={"name": "Ann", "product": "Acme"},
    sentences=(),
)
GOOD = "Hi {{name}}, we are glad to help you with {{product}}."


def test_the_first_rung_that_passes_is_taken() -> None:
    assert settle(PROFILE, [(Rung.LIVE, GOOD)]) == Taken(
        Rung.LIVE, "Hi Ann, we are glad to help you with Acme.", GOOD, {}
    )


def test_each_rung_above_says_why_it_gave_nothing() -> None:
    taken = settle(
        PROFILE,
        [
            (Rung.SEGMENT, GOOD),
            (Rung.LIVE, DeadlineExceeded("31 ms were not enough")),
            (Rung.DRAFT, "Hi {{name}}, {{product}} is free for you this month."),
        ],
    )
    assert isinstance(taken, Taken)
    assert taken.rung is Rung.SEGMENT
    assert taken.fallbacks == {
        Rung.LIVE: "DeadlineExceeded: 31 ms were not enough",
        Rung.DRAFT: "GuardFailed: promise: 'free'",
    }


def test_a_slot_without_a_fact_costs_the_rung() -> None:
    taken = settle(PROFILE, [(Rung.LIVE, "Hi {{name}}, here is {{offer}} for you.")])
    assert isinstance(taken, Taken)
    assert taken.fallbacks[Rung.LIVE] == "GuardFailed: the template fills a slot that has no fact: offer"


def test_the_last_rung_is_the_template_that_people_wrote() -> None:
    taken = settle(PROFILE, [(Rung.LIVE, BreakerOpen("not asked"))])
    text = render.render(templates.template_of(PROFILE), PROFILE.facts)
    assert taken == Taken(
        Rung.TEMPLATE,
        text,
        render.flat(templates.template_of(PROFILE), PROFILE.facts),
        {Rung.LIVE: "BreakerOpen: not asked", Rung.DRAFT: NOT_TRIED, Rung.SEGMENT: NOT_TRIED},
    )


def test_where_even_the_template_fails_the_guard_holds() -> None:
    exhausted = settle(PROFILE, [(Rung.TEMPLATE, "Get 50% off now, only for you!")])
    assert isinstance(exhausted, Exhausted)
    assert exhausted.held_by is HeldBy.GUARD
    assert list(exhausted.fallbacks) == list(Rung)
