"""Who is a unit of an experiment, and what of their outcomes counts."""

import pytest

from schemas.errors import InputError
from schemas.outcome import OutcomeKind, UserOutcome
from schemas.policy import Arm, Experiment, RuleBook, Rules, Treatment
from schemas.vocabulary import HeldBy, Tier
from streams.effects import Published
from streams.experiments.metrics import CONVERSION, RESPONSE, VALUE
from streams.experiments.report import Plan, Report, report
from streams.experiments.units import HOLDOUT, Log, Trial, Units, switched, units, whole
from tests.streams.experiments.world import DAY_MS, HOUR_MS, conversions, decided, rules, told

AB = (Arm(name="a", weight=0.5), Arm(name="b", weight=0.5, treatment=Treatment(offer="")))
TRIED = Treatment(offer="")
ONE = rules(Experiment(name="x", arms=AB))
WINDOW_MS = 14 * DAY_MS


def log(published: list[Published], outcomes: list[UserOutcome], *versions: Rules) -> Log:
    return Log(RuleBook(versions or (ONE,)), published, outcomes)


def trial(found: Log, name: str = "x") -> Trial:
    return next(one for one in found.trials() if one.name == name)


def of(found: Log, name: str = "x") -> Units:
    return units(trial(found, name), found.told, WINDOW_MS)


def reported(found: Log, name: str = "x", **plan: str | float) -> Report:
    return report(trial(found, name), found, Plan(**plan))  # type: ignore[arg-type]  # the fields are the plan's


def test_only_what_was_published_exposes() -> None:
    published = [
        decided(ONE, "u1", 0),
        decided(ONE, "u2", 0, consent=False),
        decided(ONE, "u3", 0, lost=HeldBy.GUARD),
    ]
    found = log(published, [])
    assert len(of(found).arm) == 1
    one = reported(found)
    assert sum(one.assigned.seen) == 3 and sum(one.exposed.seen) == 1
    assert any("guard" in note for note in one.notes)


def test_an_arm_that_sends_nothing_is_exposed_when_it_would_have_been_sent_to() -> None:
    held = rules(
        Experiment(name="x", arms=(Arm(name="none", weight=1.0, treatment=Treatment(hold=True)),)),
        holdout=0.5,
    )
    published = [decided(held, f"u{n}", 0) for n in range(40)]
    one = reported(log(published, [], held))
    assert one.control == "holdout" and sum(one.exposed.seen) == 40
    assert min(one.exposed.seen) > 5


def test_a_user_counts_once_from_the_first_exposure_on() -> None:
    first, second = decided(ONE, "u1", 0), decided(ONE, "u1", 2 * DAY_MS)
    found = log(
        [second, first],
        [told(first, OutcomeKind.CLICKED), told(second, OutcomeKind.CONVERTED, value=5)],
    )
    every = of(found)
    assert every.at.tolist() == [0]
    assert [metric.values(every.told).tolist() for metric in (RESPONSE, VALUE)] == [[1.0], [5.0]]


def test_where_each_decision_is_a_unit_it_has_its_own_outcomes() -> None:
    each = rules(Experiment(name="x", arms=AB, per_decision=True))
    first, second = decided(each, "u1", 0), decided(each, "u1", 2 * DAY_MS)
    every = of(log([first, second], [told(second, OutcomeKind.CONVERTED)], each))
    assert CONVERSION.values(every.told).tolist() == [0.0, 1.0]
    assert every.user.tolist() == [0, 0]


def test_copies_strangers_and_what_comes_after_the_window_count_for_nothing() -> None:
    one, stranger = decided(ONE, "u1", 0), decided(ONE, "u9", 0)
    sale = told(one, OutcomeKind.CONVERTED, value=5)
    late = told(one, OutcomeKind.CONVERTED, WINDOW_MS, value=70, name="late")
    found = log([one, one], [late, sale, sale, told(stranger, OutcomeKind.CONVERTED, value=900)])
    assert VALUE.values(of(found).told).tolist() == [5.0]
    assert found.unmatched == 1


def test_what_is_reported_late_counts_by_its_own_time() -> None:
    one, other = decided(ONE, "u1", 0), decided(ONE, "u2", 40 * DAY_MS)
    outcomes = [told(other, OutcomeKind.CLICKED), told(one, OutcomeKind.CONVERTED, 13 * DAY_MS, value=5)]
    assert VALUE.values(of(log([one, other], outcomes)).told).tolist() == [5.0, 0.0]


def test_a_user_whose_window_is_not_over_is_not_counted_yet() -> None:
    one = reported(log([decided(ONE, "u1", 0), decided(ONE, "u2", 20 * DAY_MS)], []))
    assert sum(arm.exposed for arm in one.arms) == 2
    assert sum(arm.counted for arm in one.arms) == 1


def test_a_user_in_two_layers_is_a_unit_of_both() -> None:
    both = rules(Experiment(name="x", arms=AB), Experiment(name="y", layer="second", arms=AB))
    published = [decided(both, f"u{n}", 0) for n in range(200)]
    found = log(published, conversions(published, "y", lambda _, arm: float(arm == "b")), both)
    x, y = of(found, "x"), of(found, "y")
    assert len(x.arm) == len(y.arm) == 200
    assert (CONVERSION.values(y.told) == y.arm).all()
    assert 0.3 < CONVERSION.values(x.told)[x.arm == 1].mean() < 0.7


def test_real_and_simulated_outcomes_are_never_put_together() -> None:
    one = decided(ONE, "u1", 0)
    outcomes = [
        told(one, OutcomeKind.CONVERTED, value=5),
        told(one, OutcomeKind.CONVERTED, value=70, name="s", simulated=True),
    ]
    for simulated, value in ((False, 5.0), (True, 70.0)):
        found = Log(RuleBook([ONE]), [one], outcomes, simulated)
        assert VALUE.values(of(found).told).tolist() == [value]


def test_who_meets_another_arm_later_counts_for_the_first_and_is_told_of() -> None:
    bandit = rules(Experiment(name="x", arms=AB, by_context={"high": (1.0, 0.0), "critical": (0.0, 1.0)}))
    first = decided(bandit, "u1", 0)
    second = decided(bandit, "u1", DAY_MS, tier=Tier.CRITICAL)
    found = log([first, second], [], bandit)
    assert of(found).arm.tolist() == [0]
    assert switched(trial(found)) == 1


def test_the_holdout_is_an_experiment_of_its_own() -> None:
    held = rules(holdout=0.2)
    published = [decided(held, f"u{n}", n * HOUR_MS) for n in range(1500)]
    left = [
        told(one, OutcomeKind.CHURNED)
        for n, one in enumerate(published)
        if n % (2 if one.decision.held_by is HeldBy.HOLDOUT else 5) == 0
    ]
    one = reported(log(published, left, held), HOLDOUT)
    assert one.is_readable and one.arms[0].exposed > 200
    churn = next(row for row in one.arms[1].comparisons if row.metric == "churn")
    assert churn.found is not None and churn.found.high < 0 and churn.harm == "ok"


def test_a_decision_under_rules_that_are_not_known_is_told_of() -> None:
    found = Log(RuleBook(), [decided(ONE, "u1", 0)], [])
    assert list(found.trials()) == [] and found.unruled == 1


def test_one_arm_and_nobody_held_out_is_nothing_to_compare() -> None:
    alone = rules(Experiment(name="x", arms=(Arm(name="a", weight=1.0),)))
    one = reported(log([decided(alone, "u1", 0)], [], alone))
    assert one.is_readable and one.arms[1].exposed == 1
    assert one.arms[1].verdict == "too early to say of a: nobody is held out to compare with"


def part(name: str, begin: float, end: float) -> Experiment:
    return Experiment(name=name, begin=begin, end=end, arms=AB, per_decision=True)


def leavers(published: list[Published], share: dict[str, int]) -> list[UserOutcome]:
    """Of the users of each experiment, and of those held out, one in so many leaves."""
    found = []
    for n, one in enumerate(published):
        ruling = one.decision.ruling
        assert ruling is not None
        is_held_out = one.decision.held_by is HeldBy.HOLDOUT
        group = "holdout" if is_held_out else ruling.assigned[0].experiment
        if n % share[group] == 0:
            found.append(told(one, OutcomeKind.CHURNED))
    return found


def test_an_experiment_as_a_whole_is_compared_with_all_who_are_held_out() -> None:
    split = rules(part("x", 0.0, 0.25), part("y", 0.25, 1.0), holdout=0.3)
    published = [decided(split, f"u{n}", n * HOUR_MS) for n in range(4000)]
    found = log(published, leavers(published, {"holdout": 2, "x": 5, "y": 2}), split)
    compared = whole(trial(found, "x"), trial(found, HOLDOUT))
    assert compared.arms == ("holdout", "x") and compared.unit == "user"
    one = report(compared, found, Plan(goal="stayed"))
    assert one.is_readable and one.control == "holdout"
    assert one.exposed.seen[0] > 1000, "those held out in the other part of the layer count as well"
    assert "x is better" in one.arms[1].verdict


def test_two_experiments_of_a_layer_are_compared_as_wholes_and_others_are_not() -> None:
    split = rules(part("x", 0.0, 0.5), part("y", 0.5, 1.0), Experiment(name="z", layer="other", arms=AB))
    published = [decided(split, f"u{n}", n * HOUR_MS) for n in range(3000)]
    found = log(published, leavers(published, {"x": 5, "y": 2}), split)
    one = report(whole(trial(found, "x"), trial(found, "y")), found, Plan(goal="stayed"))
    assert one.is_readable and (one.control, one.arms[1].name) == ("y", "x")
    stayed = next(row.found for row in one.arms[1].comparisons if row.metric == "stayed")
    assert stayed is not None and stayed.low < 0.3 < stayed.high
    with pytest.raises(InputError, match="do not share a layer"):
        whole(trial(found, "x"), trial(found, "z"))


def test_an_arm_that_loses_what_others_keep_is_noticed_long_before_its_size_tells() -> None:
    small = rules(
        Experiment(name="x", arms=(Arm(name="a", weight=0.9), Arm(name="b", weight=0.1, treatment=TRIED)))
    )
    published = []
    for n in range(2000):
        one = decided(small, f"u{n}", n * HOUR_MS)
        assert one.decision.ruling is not None
        is_lost = one.decision.ruling.assigned[0].arm == "b" and n % 7 == 0
        published.append(decided(small, f"u{n}", n * HOUR_MS, lost=HeldBy.GUARD) if is_lost else one)
    one = reported(log(published, [], small))
    assert not one.exposed.is_found and one.is_lossy and not one.is_readable
    assert one.arms[1].verdict.startswith("do not read b")


def test_a_few_that_are_lost_in_one_arm_alone_do_no_harm() -> None:
    published = [decided(ONE, f"u{n}", n * HOUR_MS) for n in range(2000)]
    arms = [one.decision.ruling.assigned[0].arm for one in published if one.decision.ruling is not None]
    lost = [n for n, arm in enumerate(arms) if arm == "b"][:9]
    for n in lost:
        published[n] = decided(ONE, f"u{n}", n * HOUR_MS, lost=HeldBy.GUARD)
    one = reported(log(published, [], ONE))
    assert one.lost.seen == (0, 9) and one.is_readable
