"""The arms' differences: right however often one looks, and right where plain means are not."""

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.experiments import Rows, contrast, harm, mismatch
from inference.sequential import ALPHA, margin

LOOKS = range(200, 4001, 200)
RUNS = 150


def rows(
    outcome: NDArray[np.float64],
    treated: NDArray[np.bool_],
    *,
    propensity: NDArray[np.float64] | None = None,
    user: NDArray[np.int64] | None = None,
    covariates: NDArray[np.float64] | None = None,
) -> Rows:
    many = len(outcome)
    return Rows(
        outcome=outcome,
        treated=treated,
        propensity=np.full(many, 0.5) if propensity is None else propensity,
        user=np.arange(many) if user is None else user,
        covariates=np.empty((many, 0)) if covariates is None else covariates,
    )


@pytest.mark.parametrize(("n", "errors"), [(100, 4.718793), (2_000, 3.035208), (100_000, 3.465201)])
def test_the_margin_is_that_of_another_implementation(n: int, errors: float) -> None:
    assert margin(1.0, n) == pytest.approx(errors, abs=1e-6)  # by the package ville 0.1.0


@pytest.mark.parametrize(("odds", "share"), [(0.3, 0.5), (0.02, 0.5), (0.02, 0.1)])
def test_who_looks_again_and_again_at_arms_that_are_alike_is_seldom_told_otherwise(
    odds: float, share: float
) -> None:
    dice = np.random.default_rng(11)
    ours = naive = 0
    for _ in range(RUNS):
        treated = dice.random(max(LOOKS)) < share
        propensity = np.where(treated, share, 1 - share)
        all_rows = rows((dice.random(max(LOOKS)) < odds) * 1.0, treated, propensity=propensity)
        found = [one for many in LOOKS if (one := contrast(all_rows.first(many))) is not None]
        ours += any(one.low > 0 or one.high < 0 for one in found)
        naive += any(
            abs(one.difference) > 1.96 * (one.high - one.low) / 2 / margin(1, one.n) for one in found
        )
    assert ours / RUNS <= ALPHA
    if odds == 0.3:
        assert naive / RUNS > 2 * ALPHA


def test_nor_is_who_looks_at_users_with_many_decisions_and_costly_outcomes() -> None:
    dice = np.random.default_rng(12)
    wrong = 0
    for _ in range(RUNS):
        user = dice.integers(800, size=max(LOOKS))
        habit = dice.normal(size=800)[user]  # a user's decisions resemble each other
        treated = dice.random(800)[user] < 0.5  # and all of them have one arm
        worth = (dice.random(max(LOOKS)) < 0.2) * dice.lognormal(3 + 0.5 * habit)
        every = rows(worth, treated, user=user, covariates=habit[:, None] + dice.normal(size=(max(LOOKS), 1)))
        found = [one for many in LOOKS if (one := contrast(every.first(many))) is not None]
        wrong += any(one.low > 0 or one.high < 0 for one in found)
    assert wrong / RUNS <= ALPHA


def test_an_effect_is_found_and_its_interval_holds_it() -> None:
    dice = np.random.default_rng(3)
    found = held = 0
    for _ in range(50):
        treated = dice.random(4000) < 0.5
        one = contrast(rows((dice.random(4000) < 0.10 + 0.06 * treated) * 1.0, treated))
        assert one is not None
        found += one.low > 0
        held += one.low < 0.06 < one.high
    assert found >= 45 and held >= 48


def test_cuped_leaves_the_effect_as_it_is_and_makes_its_interval_narrower() -> None:
    dice = np.random.default_rng(4)
    differences = []
    for _ in range(100):
        treated, habit = dice.random(1000) < 0.5, dice.normal(size=1000)
        outcome = 0.2 * treated + habit + dice.normal(size=1000)
        plain, better = (
            contrast(rows(outcome, treated, covariates=known))
            for known in (None, np.column_stack([habit, np.ones(1000)]))
        )
        assert plain is not None and better is not None
        assert better.high - better.low < 0.8 * (plain.high - plain.low)
        assert plain.reduction == 0 and better.reduction == pytest.approx(0.5, abs=0.1)
        differences.append(better.difference)
    assert np.mean(differences) == pytest.approx(0.2, abs=0.02)


def test_weights_by_propensity_find_the_truth_where_plain_means_do_not() -> None:
    dice = np.random.default_rng(5)
    eager = dice.random(20_000) < 0.5  # users who convert anyway, and whom a bandit gives the arm
    share = np.where(eager, 0.9, 0.1)
    treated = dice.random(20_000) < share
    outcome = (dice.random(20_000) < np.where(eager, 0.5, 0.1)) * 1.0
    weighted = contrast(rows(outcome, treated, propensity=np.where(treated, share, 1 - share)))
    plain = contrast(rows(outcome, treated))
    assert weighted is not None and plain is not None
    assert weighted.low < 0 < weighted.high
    assert plain.low > 0.2


def test_a_user_who_is_counted_often_makes_nothing_more_certain() -> None:
    dice = np.random.default_rng(6)
    treated, outcome = dice.random(400) < 0.5, dice.normal(size=400)
    once = contrast(rows(outcome, treated))
    often = contrast(rows(outcome.repeat(9), treated.repeat(9), user=np.arange(400).repeat(9)))
    assert once is not None and often is not None
    assert often.n == once.n == 400
    assert often.high - often.low == pytest.approx(once.high - once.low)


def test_few_users_or_none_who_did_anything_are_no_comparison() -> None:
    treated = np.arange(200) % 2 == 0
    assert contrast(rows(np.ones(200), np.arange(200) < 49)) is None
    assert contrast(rows(np.zeros(200), treated)) is None


def test_arms_of_the_wrong_size_are_noticed_and_chance_is_not() -> None:
    dice = np.random.default_rng(7)
    shares = np.where(dice.random((5000, 1)) < 0.5, [[0.8, 0.1, 0.1]], [[0.2, 0.4, 0.4]])
    arm = (dice.random(5000)[:, None] > shares.cumsum(axis=1)[:, :2]).sum(axis=1)
    assert not mismatch(arm, shares).is_found
    kept = (arm != 2) | (dice.random(5000) < 0.75)
    assert mismatch(arm[kept], shares[kept]).is_found
    assert not mismatch(arm[:0], shares[:0]).is_found


def test_an_arm_that_nobody_should_be_in_is_a_mismatch() -> None:
    assert mismatch(np.array([0, 0, 1]), np.tile([1.0, 0.0], (3, 1))).is_found


def test_a_guardrail_is_harmed_where_it_is_surely_worse_and_not_surely_within_its_margin() -> None:
    treated = np.arange(4000) % 2 == 0
    worse = contrast(rows((treated & (np.arange(4000) % 5 == 0)) * 1.0, treated))
    assert worse is not None
    assert [harm(worse, bound) for bound in (0.01, 0.5)] == ["harmed", "ok"]
