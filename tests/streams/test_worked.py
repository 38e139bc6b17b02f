"""Which scripts worked: users alike are compared, complaints rule out, and nobody else's figures count."""

from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.intervals import wilson
from schemas.decision import Decision
from schemas.examples import SIMULATED, Example, version_of
from schemas.feedback import Feedback
from schemas.outcome import OutcomeKind
from schemas.vocabulary import HeldBy, Locale, Outcome, Strategy, Tier
from streams.worked import FAULTS, KEPT, WORKED, Found, Order, worked
from tests.streams.test_learning import AT, DAY_MS, _at, came, decided

BAD = (OutcomeKind.COMPLAINT, OutcomeKind.UNSUBSCRIBED)
ORDER = Order(tenant="acme", least=30)
BEST, OTHER = "Hi {{name}}, the best.", "Hi {{name}}, another."
World = tuple[list[Decision], list[Feedback]]


def sent(template: str, users: Iterable[int], **changes: object) -> list[Decision]:
    found = []
    for number in users:
        one = decided(number, "none")
        assert one.script is not None
        script = msgspec.structs.replace(one.script, template=template, text=f"Hi Ann{number}, filled.")
        found.append(msgspec.structs.replace(one, script=script, **changes))
    return found


def answered(of: Iterable[Decision], **how: object) -> list[Feedback]:
    return [came(one, OutcomeKind.REPLIED, **how) for one in of]  # type: ignore[arg-type]  # the tests' own


LATE = sent("late", [9_999])[0]
LATE = msgspec.structs.replace(LATE, ruling=_at(LATE, AT + 30 * DAY_MS))
"""Long after the others, so that their windows are over."""


def world(best: int = 20, other: int = 5, **how: object) -> World:
    """Of 50 users each that many answered the two scripts."""
    first, second = sent(BEST, range(50)), sent(OTHER, range(50, 100))
    return [*first, *second, LATE], answered([*first[:best], *second[:other]], **how)


def shown(found: Found) -> list[str]:
    return [one.template for one in found.examples.examples]


def test_a_script_that_more_users_answered_than_the_others_is_an_example() -> None:
    found = worked(*world(), ORDER)
    assert found.examples.examples == (
        Example(
            tier=Tier.HIGH,
            reason="login_drop",
            strategy=Strategy.RETENTION_OFFER,
            locale=Locale.EN,
            template=BEST,
            users=50,
            answered=20,
            low=wilson(20, 50)[0],
            others=0.1,
        ),
    )
    assert found.scripts == dict.fromkeys(FAULTS, 0) | {
        WORKED: 1,
        "not certainly better": 1,
        "too few users": 1,
    }
    assert found.examples.version == version_of(found.examples.examples, simulated=False)
    assert "Ann" not in str(found), "no user's own text is told"


def test_a_difference_that_chance_explains_makes_no_example() -> None:
    assert shown(worked(*world(best=8, other=5), ORDER)) == []


def test_too_few_users_are_too_few_however_often_they_got_it() -> None:
    decisions, feedback = world()
    again = [msgspec.structs.replace(one, id=f"{one.id}-again") for one in decisions[:20] * 3]
    few = [*decisions[:20], *again, *decisions[50:]]
    assert worked(few, feedback, ORDER).scripts["too few users"] == 2


@pytest.mark.parametrize("kind", [OutcomeKind.COMPLAINT, OutcomeKind.UNSUBSCRIBED])
@pytest.mark.parametrize("days", [1.0, 20.0])
def test_one_complaint_rules_a_script_out_however_late(kind: OutcomeKind, days: float) -> None:
    decisions, feedback = world()
    found = worked(decisions, [*feedback, came(decisions[3], kind, days=days)], ORDER)
    assert shown(found) == [] and found.scripts["complaints or opt-outs"] == 1


def test_an_answer_after_the_window_and_a_decision_whose_window_is_open_do_not_count() -> None:
    decisions, _ = world(best=0, other=0)
    assert shown(worked(decisions, answered(decisions[:20], days=8), ORDER)) == []
    young = [msgspec.structs.replace(one, ruling=_at(one, AT + 29 * DAY_MS)) for one in decisions[:50]]
    assert worked([*young, *decisions[50:]], world()[1], ORDER).scripts["too few users"] == 2


def test_what_was_held_and_what_has_no_template_is_no_script_that_was_tried() -> None:
    decisions, feedback = world()
    for change in ({"outcome": Outcome.HELD, "held_by": HeldBy.DRY_RUN}, {"reason": None}, {"script": None}):
        changed = [msgspec.structs.replace(one, **change) for one in decisions[:50]]
        assert BEST not in shown(worked([*changed, *decisions[50:]], feedback, ORDER))
    of_before = sent("", range(50))
    assert worked([*of_before, *decisions[50:]], feedback, ORDER).scripts[WORKED] == 0


@pytest.mark.parametrize("change", [{"to_tier": Tier.LOW}, {"strategy": Strategy.PREVENTIVE_CARE}])
def test_only_users_alike_are_compared(change: dict[str, object]) -> None:
    decisions, feedback = world()
    apart = [msgspec.structs.replace(one, **change) for one in decisions[50:-1]]
    found = worked([*decisions[:50], *apart, LATE], feedback, ORDER)
    assert shown(found) == [] and found.scripts["nothing to compare with"] == 2


def test_another_tenant_s_decisions_and_outcomes_count_for_nothing() -> None:
    decisions, feedback = world()
    theirs = [msgspec.structs.replace(one, tenant="globex", id=f"g{one.id}") for one in decisions]
    assert worked(theirs, feedback, ORDER) == worked([], [], ORDER)
    both = [*decisions, *theirs]
    spoilt = [*feedback, *(came(one, OutcomeKind.COMPLAINT) for one in theirs)]
    assert worked(both, spoilt, ORDER) == worked(decisions, feedback, ORDER)


def test_real_and_simulated_outcomes_are_never_put_together() -> None:
    decisions, feedback = world(simulated=True)
    assert shown(worked(decisions, feedback, ORDER)) == []
    simulated = worked(decisions, feedback, msgspec.structs.replace(ORDER, simulated=True)).examples
    assert simulated.simulated and simulated.version.startswith(SIMULATED) and len(simulated.examples) == 1
    real = answered(decisions[50:90])
    mixed = worked(decisions, [*feedback, *real], msgspec.structs.replace(ORDER, simulated=True))
    assert mixed.scripts["too few users"] == 2, "whose outcomes were real is left out"


_ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a {{name}}", "b {{name}}", "c", "d", "e", "f", "g"]),
        st.sampled_from([Tier.HIGH, Tier.LOW]),
        st.integers(0, 40),
        st.sets(st.sampled_from(list(OutcomeKind)), max_size=2),
        st.booleans(),
    ),
    max_size=200,
)


@given(_ROWS)
def test_whatever_happens_an_example_has_what_it_must_and_order_and_copies_change_nothing(
    rows: list[tuple[str, Tier, int, set[OutcomeKind], bool]],
) -> None:
    order = Order(tenant="acme", least=2)
    decisions, feedback = [LATE], []
    for number, (template, tier, user, kinds, simulated) in enumerate(rows):
        (one,) = sent(template, [number], user_id=f"u{user}", to_tier=tier)
        decisions.append(one)
        feedback += [came(one, kind, simulated=simulated) for kind in kinds]
    found = worked(decisions, feedback, order)
    assert found == worked(decisions[::-1] + decisions, feedback[::-1] + feedback, order)
    complained = {one.about.decision_id for one in feedback if one.outcome.kind in BAD}
    for one in found.examples.examples:
        assert one.users >= 2 and one.answered <= one.users and one.low > one.others
        real = [
            of
            for of in decisions
            if of.script is not None and (of.script.template, of.to_tier) == (one.template, one.tier)
        ]
        simulated_ids = {each.about.decision_id for each in feedback if each.outcome.simulated}
        assert not {of.id for of in real} & complained - simulated_ids
    for tier in Tier:
        of_tier = [one.low for one in found.examples.examples if one.tier is tier]
        assert of_tier == sorted(of_tier, reverse=True) and len(of_tier) <= KEPT
