"""Confidence intervals by the bootstrap, for figures whose rows belong to groups.

Rows of one user resemble each other: drawing rows would make an interval far too narrow. Whole groups are
drawn, and a draw is told to the statistic as a weight for each row, the number of times that its group was
drawn, so that nothing is copied and what was sorted once stays sorted.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

Statistic = Callable[[NDArray[np.float64]], float]
"""A figure of the rows, given a weight for each (all 1: the figure itself). NaN where a draw has none."""

LEVEL = 0.95
_ERRORS = 1.96
"""Standard errors to either side that 95 % are within."""


def bootstrap(
    statistic: Statistic, groups: ArrayLike, *, draws: int = 1000, seed: int = 7
) -> tuple[float, float]:
    """The percentile interval of 95 % of `statistic`, groups drawn with replacement.

    `groups` names the group of each row, shape [rows]; rows that stand alone are a group each
    (`np.arange(rows)`). Draws for which the statistic is NaN (one class only, say) are left out; where all
    are, so are the bounds. Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.

    >>> right = np.array([1, 1, 0, 1, 1, 1, 0, 1])
    >>> low, high = bootstrap(lambda weights: np.average(right, weights=weights), groups=np.arange(8))
    >>> low < right.mean() < high
    True
    """
    _, group = np.unique(np.asarray(groups), return_inverse=True)
    many = int(group.max()) + 1 if len(group) else 0
    if not many:
        return float("nan"), float("nan")
    dice = np.random.default_rng(seed)
    figures = np.full(draws, np.nan)
    for draw in range(draws):
        times = np.bincount(dice.integers(many, size=many), minlength=many)
        weights = times[group].astype(np.float64)
        if weights.any():
            figures[draw] = statistic(weights)
    figures = figures[~np.isnan(figures)]
    if not len(figures):
        return float("nan"), float("nan")
    low, high = np.quantile(figures, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return float(low), float(high)


def mean_ci(values: NDArray[np.float64], groups: ArrayLike) -> tuple[float, float]:
    """The interval of 95 % of the mean of `values`, with errors of whole groups (Liang and Zeger, 1986).

    Where there are many groups it is what `bootstrap` finds, a thousand times sooner.

    >>> values = np.random.default_rng(7).normal(size=900)
    >>> drawn = bootstrap(lambda weights: np.average(values, weights=weights), np.arange(900) // 3)
    >>> bool(np.allclose(mean_ci(values, np.arange(900) // 3), drawn, atol=0.01))
    True
    """
    if not len(values):
        return float("nan"), float("nan")
    _, group = np.unique(np.asarray(groups), return_inverse=True)
    middle = float(values.mean())
    half = _ERRORS * float(np.linalg.norm(np.bincount(group, weights=values - middle))) / len(values)
    return middle - half, middle + half


def wilson(hits: int, of: int) -> tuple[float, float]:
    """Wilson's interval of 95 % for a share (Wilson, 1927); its bounds are NaN where there are no cases.

    >>> tuple(round(bound, 3) for bound in wilson(0, 100))
    (0.0, 0.037)
    """
    if not of:
        return float("nan"), float("nan")
    from scipy.stats import binomtest  # takes a second to import, and most commands need no interval

    interval = binomtest(hits, of).proportion_ci(LEVEL, method="wilson")
    return float(interval.low), float(interval.high)
