"""Chance that always decides the same way: fair shares, and nothing that depends on anything else."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.experiment import assign, held_out, place
from schemas.decision import AGAIN
from schemas.policy import Arm, Experiment, Policy, Treatment
from schemas.vocabulary import Rung, Tier
from tests.rules import experiments, tiers

USERS = [f"acme/u{n}" for n in range(4000)]
HALVES = (Arm(name="a", weight=0.5), Arm(name="b", weight=0.5))


def arms_of(
    policy: Policy, key: str, id: str = "d1", tier: Tier = Tier.HIGH, plan: str = "free"
) -> dict[str, str]:
    """The user's arm in each experiment."""
    return {one.experiment: one.arm for one in assign(policy, key, id, tier, plan)[0]}


@pytest.mark.parametrize("weights", [(0.5, 0.3, 0.2), (0.05, 0.9, 0.05), (0.0, 0.4, 0.6)])
@pytest.mark.parametrize("per_decision", [False, True])
def test_arms_get_their_share(weights: tuple[float, ...], per_decision: bool) -> None:
    arms = tuple(Arm(name=f"a{n}", weight=weight) for n, weight in enumerate(weights))
    policy = Policy(experiments=(Experiment(name="x", arms=arms, per_decision=per_decision),))
    if per_decision:
        found = [arms_of(policy, "acme/u1", f"d{n}")["x"] for n in range(4000)]
    else:
        found = [arms_of(policy, key)["x"] for key in USERS]
    for arm in arms:
        # 4 standard deviations of a share are 0.032 at most
        assert found.count(arm.name) / 4000 == pytest.approx(arm.weight, abs=0.032)
        assert arm.weight > 0 or arm.name not in found


def test_experiments_of_a_layer_share_its_users_and_none_is_in_two() -> None:
    policy = Policy(
        experiments=(
            Experiment(name="first", layer="l", end=0.3, arms=HALVES),
            Experiment(name="second", layer="l", begin=0.3, end=0.8, arms=HALVES),
            Experiment(name="other", layer="m", arms=HALVES),
        )
    )
    found = [arms_of(policy, key) for key in USERS]
    assert all(len({"first", "second"} & one.keys()) < 2 and "other" in one for one in found)
    for name, share in (("first", 0.3), ("second", 0.5)):
        assert sum(name in one for one in found) / 4000 == pytest.approx(share, abs=0.032)


def test_what_chance_says_of_one_thing_tells_nothing_of_another() -> None:
    """Holdout, layers and experiments: each pair of halves of two of them has a fourth of the users."""
    salts = ("holdout", "layer x", "layer y", "experiment x", "experiment y")
    for one, other in product(salts, salts):
        if one != other:
            both = sum(place(one, key) < 0.5 and place(other, key) < 0.5 for key in USERS)
            assert both / 4000 == pytest.approx(0.25, abs=0.028)


@given(st.sampled_from(USERS), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_holdout_keeps_whom_a_smaller_one_held(key: str, one: float, other: float) -> None:
    small, large = sorted((one, other))
    assert held_out(Policy(holdout=large), key) or not held_out(Policy(holdout=small), key)
    assert held_out(Policy(holdout=1.0), key) and not held_out(Policy(holdout=0.0), key)


@given(experiments(), st.sampled_from(USERS), st.integers(0, 99), tiers, st.sampled_from(["free", "pro"]))
def test_the_propensity_is_the_weight_of_the_arm_where_it_was_given(
    some: tuple[Experiment, ...], key: str, number: int, tier: Tier, plan: str
) -> None:
    assigned, _ = assign(Policy(experiments=some), key, f"d{number}", tier, plan)
    by_name = {experiment.name: experiment for experiment in some}
    for one in assigned:
        experiment = by_name[one.experiment]
        weights = dict(
            zip((arm.name for arm in experiment.arms), experiment.weights(tier, plan), strict=True)
        )
        assert one.propensity == weights[one.arm] > 0
        assert not experiment.tiers or tier in experiment.tiers


@given(experiments(), st.sampled_from(USERS), tiers)
def test_a_crossing_that_is_put_off_keeps_its_arms(
    some: tuple[Experiment, ...], key: str, tier: Tier
) -> None:
    policy = Policy(experiments=some)
    assert assign(policy, key, "d1" + AGAIN * 2, tier, "free") == assign(policy, key, "d1", tier, "free")


def test_weights_that_rounding_leaves_below_one_still_give_everybody_an_arm() -> None:
    arms = (Arm(name="a", weight=0.0), Arm(name="b", weight=1 - 5e-10), Arm(name="c", weight=0.0))
    policy = Policy(experiments=(Experiment(name="x", arms=arms),))
    assert {arms_of(policy, key)["x"] for key in USERS} == {"b"}


def test_treatments_add_up_and_the_later_one_counts_where_both_change_the_same() -> None:
    def always(name: str, **treatment: object) -> Experiment:
        arm = Arm(name="a", weight=1.0, treatment=Treatment(**treatment))  # type: ignore[arg-type]  # by name
        return Experiment(name=name, layer=name, arms=(arm,))

    first = always("first", offer="gift", rung=Rung.DRAFT)
    second = always("second", offer="", hold=True)
    _, treatment = assign(Policy(experiments=(first, second)), "acme/u1", "d1", Tier.HIGH, "free")
    assert treatment == Treatment(hold=True, rung=Rung.DRAFT, offer="")
    _, treatment = assign(Policy(experiments=(second, first)), "acme/u1", "d1", Tier.HIGH, "free")
    assert treatment.offer == "gift"
