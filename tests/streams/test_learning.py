"""From decisions and outcomes to weights that are published, or refused with the reason."""

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest

from inference.bandit import Worth
from schemas.decision import Assignment, Decision
from schemas.errors import InputError
from schemas.feedback import Feedback, about, join
from schemas.outcome import OutcomeKind, UserOutcome
from schemas.policy import Arm, Experiment, Policy, RuleBook, Rules, Treatment
from schemas.vocabulary import HeldBy, Outcome, Tier
from streams.learning import LEAST, Order, logged, propose, revised
from streams.reporting import report
from tests.streams.agents.test_outcomes import AT, DECISION, RULING

DAY_MS = 86_400_000
ARMS = (
    Arm(name="none", weight=0.5, treatment=Treatment(offer="")),
    Arm(name="gift", weight=0.5, treatment=Treatment(offer="gift")),
)
EXPERIMENT = Experiment(name="offers", per_decision=True, arms=ARMS)
RULES = Rules(version="v1", since=5, default=Policy(holdout=0.1, experiments=(EXPERIMENT,)))
BOOK = RuleBook([RULES])
ORDER = Order(tenant="acme", experiment="offers", worth=Worth(offer=0.02))
World = tuple[list[Decision], list[Feedback]]


def decided(number: int, arm: str, tier: Tier = Tier.HIGH, **changes: object) -> Decision:
    ruling = msgspec.structs.replace(
        RULING,
        standing=msgspec.structs.replace(RULING.standing, at=AT + number),
        assigned=(Assignment(experiment="offers", arm=arm, propensity=0.5),),
    )
    one = msgspec.structs.replace(
        DECISION, id=f"d{number}", user_id=f"u{number}", to_tier=tier, ruling=ruling
    )
    return msgspec.structs.replace(one, **changes)


def came(of: Decision, kind: OutcomeKind, days: float = 1.0, simulated: bool = False) -> Feedback:
    outcome = UserOutcome(
        outcome_id=f"{of.id}-{kind}",
        decision_id=of.id,
        tenant=of.tenant,
        user_id=of.user_id,
        kind=kind,
        ts=AT + int(days * DAY_MS),
        simulated=simulated,
    )
    return join(outcome, about(of))


def world(size: int, answers: dict[Tier, Sequence[float]], seed: int = 1, simulated: bool = False) -> World:
    """Decisions of which `answers` gives, by tier, the share that is answered without and with the gift."""
    dice = np.random.default_rng(seed)
    decisions, feedback = [], []
    for number in range(size):
        arm, tier = int(dice.integers(2)), list(answers)[int(dice.integers(len(answers)))]
        decision = decided(number, ARMS[arm].name, tier)
        decisions.append(decision)
        if dice.random() < answers[tier][arm]:
            feedback.append(came(decision, OutcomeKind.REPLIED, simulated=simulated))
    late = decided(size, "none")  # long after the others, so that their windows are over
    return [*decisions, msgspec.structs.replace(late, at=AT, ruling=_at(late, AT + 30 * DAY_MS))], feedback


def _at(decision: Decision, at: int) -> object:
    assert decision.ruling is not None
    standing = msgspec.structs.replace(decision.ruling.standing, at=at)
    return msgspec.structs.replace(decision.ruling, standing=standing)


def test_weights_go_where_the_offer_works_and_only_there() -> None:
    answers = {Tier.HIGH: (0.1, 0.3), Tier.MEDIUM: (0.2, 0.2)}
    found = propose(*world(3_000, answers), BOOK, ORDER)
    assert found.refused == "" and found.gain is not None
    assert found.after["high"] == (0.05, 0.95)
    assert found.after["medium"][1] == 0.05, "nothing is certain there, so the gift has the floor"
    certain = {one.context: one.effect.is_certain for one in found.uplift}
    assert certain == {"high": True, "medium": False}
    assert found.gain.least > 0
    assert found == propose(*world(3_000, answers), BOOK, ORDER), "one seed gives one result"


def test_the_next_version_changes_the_weights_of_one_tenant_and_nothing_else() -> None:
    after = revised(RULES, ORDER, {"high": (0.05, 0.95)}, 900)
    assert (after.version, after.since) == ("bandit-900", 900)
    assert after.of("globex") == RULES.default
    (experiment,) = after.of("acme").experiments
    assert experiment.weights(Tier.HIGH, "pro") == (0.05, 0.95)
    assert experiment.weights(Tier.LOW, "pro") == (0.5, 0.5)
    assert after.of("acme").holdout == 0.1
    with pytest.raises(InputError, match="later --since"):
        revised(RULES, ORDER, {}, 5)


def test_thin_data_is_refused() -> None:
    found = propose(*world(LEAST // 2, {Tier.HIGH: (0.1, 0.9)}), BOOK, ORDER)
    assert f"{LEAST} are needed" in found.refused and found.after == {}


def test_what_is_not_proven_acts_in_part_and_where_nothing_is_at_risk_not_at_all() -> None:
    records = world(600, {Tier.HIGH: (0.2, 0.2)})
    found = propose(*records, BOOK, ORDER)
    assert found.refused == "" and found.gain is not None
    assert 0 < found.part < 1
    assert found.part * found.gain.least == pytest.approx(-ORDER.at_risk * found.answered / found.decisions)
    ((people, _), (after, _), (learned, _)) = (
        weights["high"] for weights in (found.before, found.after, found.learned)
    )
    assert people < after < learned
    assert after == pytest.approx(people + found.part * (learned - people), abs=1e-4)
    careful = propose(*records, BOOK, msgspec.structs.replace(ORDER, at_risk=0.0))
    assert "nothing is put at risk" in careful.refused and careful.part == 0


def test_a_proven_gain_acts_whole_even_where_nothing_is_at_risk() -> None:
    found = propose(*world(3_000, {Tier.HIGH: (0.1, 0.3)}), BOOK, msgspec.structs.replace(ORDER, at_risk=0.0))
    assert found.gain is not None and found.gain.least > 0
    assert (found.part, found.refused, found.after) == (1.0, "", found.learned)


def test_from_the_best_weights_no_more_is_lost_than_is_at_risk() -> None:
    best = msgspec.structs.replace(EXPERIMENT, by_context={"high": (0.0, 1.0)})
    rules = msgspec.structs.replace(RULES, default=Policy(experiments=(best,)))
    order = msgspec.structs.replace(ORDER, at_risk=0.02)
    found = propose(*world(3_000, {Tier.HIGH: (0.1, 0.3)}), RuleBook([rules]), order)
    assert found.gain is not None and found.gain.dr < 0 and 0 < found.part < 1
    assert 0.2 * (1 - found.after["high"][1]) < 0.02 * 0.3, "the answers that this many without the gift cost"


def test_learned_weights_are_compared_with_what_people_set_and_not_with_what_was_learned() -> None:
    """What holds looks best on the decisions that it was learned from: nothing could ever follow it."""
    records = world(2_000, {Tier.HIGH: (0.1, 0.3)})
    learned = revised(RULES, ORDER, {"high": (0.05, 0.95)}, 900)
    first, second = (propose(*records, RuleBook(book), ORDER) for book in ([RULES], [RULES, learned]))
    assert second.before == {"high": (0.05, 0.95)} != first.before
    assert second.gain == first.gain and second.refused == ""


def test_weights_that_people_took_over_are_judged_on_what_came_after_they_were_learned() -> None:
    decisions, feedback = world(2_000, {Tier.HIGH: (0.1, 0.3)})
    learned = revised(RULES, ORDER, {"high": (0.3, 0.7)}, AT + 1_200)
    taken_over = msgspec.structs.replace(learned, version="v2", since=AT + 1_800)
    found = propose(decisions, feedback, RuleBook([RULES, learned, taken_over]), ORDER)
    assert found.gain is not None and found.gain.decisions == 800
    late = revised(RULES, ORDER, {"high": (0.3, 0.7)}, AT + 1_900)
    found = propose(
        decisions, feedback, RuleBook([RULES, msgspec.structs.replace(late, version="v2")]), ORDER
    )
    assert "100 decisions can be judged on" in found.refused


def test_real_and_simulated_outcomes_are_never_put_together() -> None:
    decisions, feedback = world(2_000, {Tier.HIGH: (0.1, 0.4)}, simulated=True)
    assert "no real outcome has been reported" in propose(decisions, feedback, BOOK, ORDER).refused
    simulated = propose(decisions, feedback, BOOK, msgspec.structs.replace(ORDER, simulated=True))
    assert simulated.refused == "" and simulated.simulated


def test_a_row_is_a_decision_that_chance_had_a_part_in_and_whose_window_is_over() -> None:
    kept, held, capped, other = (decided(number, "gift") for number in range(4))
    assert capped.ruling is not None and held.ruling is not None
    held = msgspec.structs.replace(held, outcome=Outcome.HELD, held_by=HeldBy.GUARD)
    capped = msgspec.structs.replace(
        capped, ruling=msgspec.structs.replace(capped.ruling, held_by=HeldBy.FREQUENCY_CAP)
    )
    other = msgspec.structs.replace(other, tenant="globex")
    young = msgspec.structs.replace(kept, id="young", ruling=_at(kept, AT + 30 * DAY_MS))
    feedback = [
        came(kept, OutcomeKind.COMPLAINT),
        came(kept, OutcomeKind.COMPLAINT),
        came(kept, OutcomeKind.CONVERTED, days=8),
        came(held, OutcomeKind.CHURNED),
    ]
    log = logged([kept, kept, held, capped, other, young], feedback, EXPERIMENT, ORDER)
    assert log.unit.tolist() == ["acme/u0", "acme/u1"]
    assert (log.complained.tolist(), log.answered.tolist()) == ([True, False], [False, False])
    assert (log.left.tolist(), log.cost.tolist()) == ([False, True], [0.02, 0.02])


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"experiment": "colours"}, "has no experiment colours; it has offers"),
        ({"floor": 0.6}, "the floor is 0.6"),
    ],
)
def test_an_order_that_cannot_be_met_says_why(change: dict[str, object], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        propose([], [], BOOK, msgspec.structs.replace(ORDER, **change))


def test_an_experiment_that_gives_arms_to_users_is_left_alone() -> None:
    per_user = msgspec.structs.replace(EXPERIMENT, per_decision=False)
    rules = msgspec.structs.replace(RULES, default=Policy(experiments=(per_user,)))
    with pytest.raises(InputError, match="set per_decision"):
        propose([], [], RuleBook([rules]), ORDER)


def test_the_report_tells_each_group_against_those_held_out_at_its_tier() -> None:
    sent = [decided(number, "gift") for number in range(10)]
    out = [
        decided(20 + number, "gift", outcome=Outcome.HELD, held_by=HeldBy.HOLDOUT, script=None, reason=None)
        for number in range(10)
    ]
    other = [decided(40, "none", tier=Tier.LOW)]
    feedback = [came(one, OutcomeKind.CONVERTED) for one in (*sent[:5], out[0])]
    feedback += [came(sent[0], OutcomeKind.COMPLAINT), came(other[0], OutcomeKind.REPLIED, simulated=True)]
    (group,) = report([*sent, *out, *other], feedback, simulated=False)
    assert (group.tier, group.reason, group.arm, group.model) == (
        Tier.HIGH,
        "login_drop",
        "offers:gift",
        "holdfast-nano 3",
    )
    assert (group.sent, group.held_out, group.uplift) == (10, 10, pytest.approx(0.4))
    assert (group.conversion.value, group.complaint.value) == (0.5, 0.1)
    assert group.uplift_ci is not None and group.uplift_ci[0] < 0.4 < group.uplift_ci[1]
    simulated, unanswered = report([*sent, *out, *other], feedback, simulated=True)
    assert (simulated.tier, simulated.response.value, simulated.uplift) == (Tier.LOW, 1.0, None)
    assert (unanswered.sent, unanswered.conversion.value) == (5, 0.0), "the others' outcomes were real"
