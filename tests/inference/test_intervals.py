"""An interval covers the truth as often as it says, and counts groups, not rows."""

import math

import numpy as np
from numpy.typing import NDArray

from inference.intervals import bootstrap


def mean_of(values: NDArray[np.float64], groups: NDArray[np.int64], seed: int = 7) -> tuple[float, float]:
    return bootstrap(lambda weights: float(np.average(values, weights=weights)), groups, draws=200, seed=seed)


def test_ninety_five_in_a_hundred_intervals_hold_the_truth() -> None:
    dice = np.random.default_rng(1)
    held = 0
    for seed in range(200):
        low, high = mean_of(dice.normal(size=80), np.arange(80), seed)
        held += low <= 0 <= high
    assert 176 <= held <= 200


def test_copies_of_a_row_within_its_group_add_no_certainty() -> None:
    values = np.random.default_rng(2).normal(size=50)
    one = mean_of(values, np.arange(50))
    many = mean_of(np.repeat(values, 10), np.repeat(np.arange(50), 10))
    np.testing.assert_allclose(one, many)


def test_the_same_seed_gives_the_same_interval_and_names_of_groups_do_not_matter() -> None:
    values, numbers = np.random.default_rng(3).normal(size=30), np.arange(30) // 3
    assert mean_of(values, numbers) == mean_of(values, np.array([f"u{n}" for n in numbers]))


def test_draws_without_a_figure_are_left_out() -> None:
    # With one positive row of four, about a third of the draws have no positive.
    positive = np.array([1.0, 0, 0, 0])

    def share(weights: NDArray[np.float64]) -> float:
        return float(np.average(positive, weights=weights)) if weights @ positive else math.nan

    low, high = bootstrap(share, np.arange(4), draws=200)
    assert 0.25 <= low <= high <= 1


def test_nothing_has_no_interval() -> None:
    assert all(map(math.isnan, bootstrap(lambda weights: 1.0, np.array([]))))
    assert all(map(math.isnan, bootstrap(lambda weights: math.nan, np.arange(3), draws=10)))
