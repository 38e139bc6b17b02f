"""What the arms of an experiment did, from one row for each unit: differences, their intervals, and checks.

Rows stand in the order in which their units came, so that the first k rows are what was known at a look.

- Units are weighted by the inverse of their arm's propensity (Horvitz and Thompson 1952; normed by Hájek
  1971): where the arms' shares depend on the context, plain means compare different mixtures of contexts.
- CUPED (Deng, Xu, Kohavi, Walker, "Improving the sensitivity of online controlled experiments by utilizing
  pre-experiment data", WSDM 2013): what was known of a unit before it was exposed has the same expectation in
  every arm, so its difference between arms is noise, and is taken off.
- Rows of one user resemble each other: errors are those of sums over users (Liang and Zeger 1986).
- Intervals and p-values are those of `inference.sequential`.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from inference.sequential import ALPHA, evidence, margin, p_value

MIN_UNITS = 50
"""Users of each arm below which no difference is read: the guarantee is one of many units."""
MISMATCH_ALPHA = 0.05
"""Below this p-value, at any look, the arms' sizes are not those that were wanted."""
_FACTORS = np.array((0.5, 0.8, 0.9, 0.95, 1.05, 1.1, 1.25, 2.0, 5.0, 20.0))
"""By how much an arm may have more or fewer units than it should: what a mismatch is looked for as."""

Floats = NDArray[np.float64]
Harm = Literal["ok", "harmed", "undecided"]


class Contrast(Struct, frozen=True, kw_only=True):
    """An arm less the control: `difference`, between `low` and `high`, with its always-valid `p`.

    `arm` and `control` are their weighted means. `reduction` is the share of the variance that the covariates
    took off. `n` counts the users of both.
    """

    arm: float
    control: float
    difference: float
    low: float
    high: float
    p: float
    reduction: float
    n: int


class Rows(Struct, frozen=True, kw_only=True):
    """The rows of an arm and of its control, in their order.

    `outcome` is what is compared; `treated` says which rows are the arm's, all others being the control's.
    `propensity` is the chance that the row's own arm had; `user` whose row it is; `covariates`, shape [rows,
    any], what was known before.
    """

    outcome: Floats
    treated: NDArray[np.bool_]
    propensity: Floats
    user: NDArray[np.int64]
    covariates: Floats

    def first(self, many: int) -> "Rows":
        """The first `many` rows: what was known when there were no more."""
        return Rows(
            outcome=self.outcome[:many],
            treated=self.treated[:many],
            propensity=self.propensity[:many],
            user=self.user[:many],
            covariates=self.covariates[:many],
        )

    def only(self, chosen: NDArray[np.bool_]) -> "Rows":
        """The `chosen` rows."""
        return Rows(
            outcome=self.outcome[chosen],
            treated=self.treated[chosen],
            propensity=self.propensity[chosen],
            user=self.user[chosen],
            covariates=self.covariates[chosen],
        )


def contrast(rows: Rows, alpha: float = ALPHA) -> Contrast | None:
    """The arm's mean outcome less the control's; None below `MIN_UNITS` users of either, or if none varies.

    `alpha` is this comparison's part of `ALPHA`, where several are made; the p-value is raised as much.

    >>> dice = np.random.default_rng(7)
    >>> habit, treated = dice.normal(size=4000), dice.random(4000) < 0.5
    >>> found = contrast(Rows(
    ...     outcome=habit + 0.3 * treated + dice.normal(size=4000), treated=treated,
    ...     propensity=np.full(4000, 0.5), user=np.arange(4000), covariates=habit[:, None],
    ... ))
    >>> found.low < 0.3 < found.high, round(found.reduction, 1), found.p < 0.001
    (True, 0.5, True)
    """
    _, user = np.unique(rows.user, return_inverse=True)
    sides = [_side(rows, user, side) for side in (rows.treated, ~rows.treated)]
    if any(side is None for side in sides):
        return None
    arm, control = (side for side in sides if side is not None)
    influence = arm.influence - control.influence
    slope = np.linalg.lstsq(influence[:, 1:], influence[:, 0], rcond=None)[0]
    weights = np.concatenate([[1.0], -slope])
    plain, left = influence[:, 0], influence @ weights
    variance = float((left**2).sum()) * _caution(arm, control, weights)
    scale = float(np.abs(rows.outcome).max())
    if variance <= (1e-9 * scale) ** 2:
        return None
    difference, n = float((arm.means - control.means) @ weights), len(left)
    error = float(np.sqrt(variance))
    half = margin(error, n, alpha)
    return Contrast(
        arm=float(arm.means[0]),
        control=float(control.means[0]),
        difference=difference,
        low=difference - half,
        high=difference + half,
        p=min(1.0, p_value(evidence(difference, error, n)) * ALPHA / alpha),
        reduction=float(1 - (left**2).sum() / (plain**2).sum()),
        n=n,
    )


class _Side(Struct, frozen=True):
    """An arm: the mean of each column, how far each user moves it, and the same of a constant."""

    means: Floats
    influence: Floats
    share: Floats


def _side(rows: Rows, user: NDArray[np.int64], chosen: NDArray[np.bool_]) -> _Side | None:
    if np.unique(user[chosen]).size < MIN_UNITS:
        return None
    columns = np.column_stack([rows.outcome, rows.covariates])
    weight = np.where(chosen, 1 / rows.propensity, 0.0)
    weight /= weight.sum()
    means: Floats = weight @ columns
    moved = ((columns - means) * weight[:, None]).T
    influence = np.column_stack([_by_user(column, user) for column in moved])
    return _Side(means, influence, _by_user(weight, user))


def _by_user(values: Floats, user: NDArray[np.int64]) -> Floats:
    return np.bincount(user, weights=values).astype(np.float64)


def _caution(arm: _Side, control: _Side, weights: Floats) -> float:
    """By what the variance must be multiplied to be no less than if both arms varied as they do together.

    A small arm in which a rare thing has not happened yet seems not to vary at all.
    """
    own = np.array([float(((side.influence @ weights) ** 2).sum()) for side in (arm, control)])
    inverse = np.array([float((side.share**2).sum()) for side in (arm, control)])
    together = float(np.average(own / inverse, weights=1 / inverse))
    return max(1.0, together * inverse.sum() / own.sum()) if own.sum() > 0 else 1.0


class Mismatch(Struct, frozen=True, kw_only=True):
    """Units of each arm, as many as the shares lead one to expect, and how surprising that is."""

    seen: tuple[int, ...]
    expected: tuple[float, ...]
    p: float

    @property
    def is_found(self) -> bool:
        """Whether the sizes are not those that were wanted, so that no difference can be trusted."""
        return self.p < MISMATCH_ALPHA


def mismatch(arm: NDArray[np.int64], shares: Floats) -> Mismatch:
    """Whether the arms are as large as their shares want (sample-ratio mismatch); may be asked at any look.

    `arm` is the place of each unit's arm, shape [units]; `shares` what each arm's share was for it, shape
    [units, arms]. The units' likelihood where one arm has its units by a factor too often or too rarely, over
    their likelihood as the shares want them, is a martingale, hence an e-value at any look and of any number
    of units, and so is the mean over arms and factors. As Lindon and Malek, "Anytime-valid inference for
    multinomial count data", NeurIPS 2022, with single arms in place of their Dirichlet prior over all, and
    shares that may differ by unit. Fabijan et al., "Diagnosing sample ratio mismatch in online controlled
    experiments", KDD 2019, on what a mismatch means.

    >>> shares = np.tile([0.5, 0.5], (1000, 1))
    >>> [mismatch((np.arange(1000) < many).astype(np.int64), shares).is_found for many in (500, 530, 600)]
    [False, False, True]
    """
    seen, expected = np.bincount(arm, minlength=shares.shape[1]), shares.sum(axis=0)
    p = sizes_p(seen, *np.unique(shares, axis=0, return_counts=True))
    return Mismatch(seen=tuple(seen.tolist()), expected=tuple(expected.tolist()), p=p)


def sizes_p(seen: NDArray[np.int64], shares: Floats, times: NDArray[np.int64]) -> float:
    """The p-value of `mismatch` from the counts of arms, where `times` units had each row of `shares`."""
    if (seen[times @ shares == 0] > 0).any():
        return 0.0
    surprises = np.log1p((_FACTORS[:, None, None] - 1) * shares) * times[:, None]
    log_e = seen * np.log(_FACTORS)[:, None] - surprises.sum(axis=1)
    return min(1.0, float(np.exp(np.log(log_e.size) - np.logaddexp.reduce(log_e, axis=None))))


def harm(found: Contrast, bound: float) -> Harm:
    """Whether a guardrail, of which less is better, holds: no more than `bound` worse than the control.

    >>> one = Contrast(arm=0.0, control=0.0, difference=0.0, low=-1.0, high=1.0, p=1.0, reduction=0.0, n=1)
    >>> harm(one, bound=2.0), harm(one, bound=0.5)
    ('ok', 'undecided')
    """
    if found.high < bound:
        return "ok"
    return "harmed" if found.low > 0 else "undecided"


def sequence(rows: Rows, looks: Sequence[int], alpha: float = ALPHA) -> list[Contrast | None]:
    """The contrast as it was at each look, after so many rows."""
    return [contrast(rows.first(many), alpha) for many in looks]
