"""The effect of an offer, found again in a simulation whose truth is known (all figures are simulated)."""

import numpy as np
from numpy.typing import NDArray

from inference.uplift import LEAST_OF_AN_ARM, Trial, coefficient, doubly_robust, effect, qini, ranked

NO_OFFER, OFFER = 0, 1


def simulated(rows: int, seed: int = 0) -> tuple[Trial, NDArray[np.float64]]:
    """Users of a made-up service, and each one's true effect.

    Those at high risk stay away whatever is offered, and those at low risk stay: an offer works between. Who
    is at risk got one more often, which a plain comparison would take for a bad effect of it.
    """
    dice = np.random.default_rng(seed)
    risk, noise = dice.random(rows), dice.random(rows)
    true = np.where((risk > 0.3) & (risk < 0.7), 0.3, -0.05)
    propensity = np.where(risk > 0.5, 0.8, 0.2)
    arm = (dice.random(rows) < propensity).astype(np.int64)
    value = (dice.random(rows) < 0.6 - 0.5 * risk + true * arm).astype(np.float64)
    trial = Trial(
        unit=np.arange(rows).astype(str),
        known=np.column_stack([risk, noise]),
        arm=arm,
        propensity=np.where(arm == OFFER, propensity, 1 - propensity),
        value=value,
    )
    return trial, true


def test_the_effect_is_found_where_a_plain_comparison_is_wrong() -> None:
    trial, true = simulated(6_000)
    plain = trial.value[trial.arm == OFFER].mean() - trial.value[trial.arm == NO_OFFER].mean()
    found = effect(trial, OFFER, NO_OFFER)
    assert found.ci[0] < true.mean() < found.ci[1]
    assert abs(plain - true.mean()) > 0.05
    assert found.is_certain


def test_in_each_group_of_users_it_is_that_groups_effect() -> None:
    trial, true = simulated(8_000)
    scores = doubly_robust(trial, OFFER, NO_OFFER)
    between = true > 0
    helped = effect(trial.where(between), OFFER, NO_OFFER, scores[between])
    harmed = effect(trial.where(~between), OFFER, NO_OFFER, scores[~between])
    assert helped.is_certain and helped.ci[0] < 0.3 < helped.ci[1]
    assert not harmed.is_certain and harmed.ci[0] < -0.05 < harmed.ci[1]


def test_of_few_decisions_nothing_is_certain() -> None:
    trial, _ = simulated(LEAST_OF_AN_ARM)
    assert not effect(trial, OFFER, NO_OFFER).is_certain


def test_uplift_ranks_users_better_than_their_risk_does() -> None:
    trial, true = simulated(12_000)
    by_uplift = coefficient(*qini(trial, OFFER, NO_OFFER, ranked(trial, OFFER, NO_OFFER)))
    by_risk = coefficient(*qini(trial, OFFER, NO_OFFER, trial.known[:, 0]))
    at_best = coefficient(*qini(trial, OFFER, NO_OFFER, true))
    assert by_uplift > by_risk + 0.01
    assert 0.7 * at_best < by_uplift


def test_a_qini_curve_begins_with_nobody_and_ends_with_the_effect_on_all() -> None:
    trial, true = simulated(12_000)
    share, gained = qini(trial, OFFER, NO_OFFER, ranked(trial, OFFER, NO_OFFER))
    assert (share[0], gained[0], share[-1]) == (0.0, 0.0, 1.0)
    assert abs(gained[-1] - true.mean()) < 0.05
