"""What an offer changes, not who is at risk: the effect of an arm, estimated from logged propensities.

The effect is the mean of doubly robust scores (augmented inverse propensities: Robins, Rotnitzky and Zhao,
1994), with outcome models fitted on other users (Chernozhukov et al., 2018). A DR-learner (Kennedy, 2023)
regresses the scores on what is known of users and ranks them; its worth is read off a Qini curve (Radcliffe,
2007), which needs no truth.

The propensities are ours and exact, so the estimate is unbiased however poor the outcome models are.
"""

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from inference.intervals import bootstrap, mean_ci

FOLDS = 2
LEAST_OF_AN_ARM = 50
"""Decisions of an arm in a context, below which nothing is said of it there."""
_TREES = {
    "objective": "regression",
    "num_leaves": 8,
    "min_data_in_leaf": 50,
    "learning_rate": 0.05,
    "verbosity": -1,
    "num_threads": 1,
    "seed": 7,
    "deterministic": True,
}
_ROUNDS = 60


class Trial(Struct, frozen=True, kw_only=True):
    """One row a decision: what is known of the user, the arm and its propensity, and what it was worth."""

    unit: NDArray[np.str_]
    known: NDArray[np.float64]
    arm: NDArray[np.int64]
    propensity: NDArray[np.float64]
    value: NDArray[np.float64]

    def where(self, kept: NDArray[np.bool_]) -> "Trial":
        """The rows that are `kept`."""
        return Trial(**{name: getattr(self, name)[kept] for name in self.__struct_fields__})


class Effect(Struct, frozen=True, kw_only=True):
    """What an arm is worth more than another, per decision, with an interval of 95 % by errors of users."""

    value: float
    ci: tuple[float, float]
    treated: int
    control: int

    @property
    def is_certain(self) -> bool:
        """Whether the arm is the better one, as far as 95 % go, on enough decisions."""
        return min(self.treated, self.control) >= LEAST_OF_AN_ARM and self.ci[0] > 0


def effect(trial: Trial, treatment: int, control: int, scores: NDArray[np.float64] | None = None) -> Effect:
    """The mean effect of arm `treatment` against arm `control`, of all users of `trial`.

    `scores` are those of `doubly_robust` for the same rows, where they are known already.
    """
    scores = doubly_robust(trial, treatment, control) if scores is None else scores
    return Effect(
        value=float(scores.mean()) if len(scores) else float("nan"),
        ci=mean_ci(scores, trial.unit),
        treated=int((trial.arm == treatment).sum()),
        control=int((trial.arm == control).sum()),
    )


def doubly_robust(trial: Trial, treatment: int, control: int) -> NDArray[np.float64]:
    """A score for each row, of which the mean over any group of users is the effect in that group."""
    return worths(trial, treatment) - worths(trial, control)


def worths(trial: Trial, arm: int) -> NDArray[np.float64]:
    """A score for each row, of which the mean over any group of users is what `arm` is worth in that group.

    What a model expects of the arm and, where the row had it, what the model missed over the propensity.
    """
    foreseen = expected(trial, arm)
    scores: NDArray[np.float64] = foreseen + (trial.arm == arm) * (trial.value - foreseen) / trial.propensity
    return scores


def expected(trial: Trial, arm: int) -> NDArray[np.float64]:
    """What each row is expected to be worth with `arm`, by a model that has not seen the row's user."""
    found = np.zeros(len(trial.arm))
    for inside in _folds(trial.unit):
        seen = ~inside & (trial.arm == arm)
        found[inside] = _fitted(trial.known[seen], trial.value[seen], trial.known[inside])
    return found


def ranked(trial: Trial, treatment: int, control: int) -> NDArray[np.float64]:
    """Each user's own effect by the DR-learner, from a model that has not seen the user."""
    score, found = doubly_robust(trial, treatment, control), np.zeros(len(trial.arm))
    for inside in _folds(trial.unit):
        found[inside] = _fitted(trial.known[~inside], score[~inside], trial.known[inside])
    return found


def qini(
    trial: Trial,
    treatment: int,
    control: int,
    rank: NDArray[np.float64],
    *,
    points: int = 21,
    weights: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The Qini curve: the share of users treated, best `rank` first, and what that gains per user of all.

    Gains are of treated against untreated rows among those chosen, each weighted by its propensity, and by
    `weights` where rows count for more than one.
    """
    order = np.argsort(-rank, kind="stable")
    times = np.ones(len(order)) if weights is None else weights[order]
    ratio = np.where(trial.arm == treatment, 1.0, np.where(trial.arm == control, -1.0, 0.0))
    gains = np.cumsum(times * (ratio * trial.value / trial.propensity)[order]) / times.sum()
    share = np.linspace(0, 1, points)
    reached = np.concatenate(([0.0], np.cumsum(times) / times.sum()))
    return share, np.interp(share, reached, np.concatenate(([0.0], gains)))


def coefficient(share: NDArray[np.float64], gained: NDArray[np.float64]) -> float:
    """The area between a Qini curve and the line of treating at random: above 0, ranking is worth it."""
    return float(np.trapz(gained - share * gained[-1], share))


def coefficient_ci(
    trial: Trial, treatment: int, control: int, rank: NDArray[np.float64], draws: int = 300
) -> tuple[float, float]:
    """The interval of 95 % of the coefficient of `rank`, as it is, users drawn whole."""

    def drawn(weights: NDArray[np.float64]) -> float:
        return coefficient(*qini(trial, treatment, control, rank, weights=weights))

    return bootstrap(drawn, trial.unit, draws=draws)


def _folds(unit: NDArray[np.str_]) -> list[NDArray[np.bool_]]:
    """The rows of each fold, users whole."""
    _, user = np.unique(unit, return_inverse=True)
    if not len(user):
        return []
    fold = np.random.default_rng(0).permutation(int(user.max()) + 1)[user] % FOLDS
    return [fold == number for number in range(FOLDS)]


def _fitted(
    known: NDArray[np.float64], value: NDArray[np.float64], asked: NDArray[np.float64]
) -> NDArray[np.float64]:
    """What trees that were fitted to `known` expect of `asked`; the mean where there is little."""
    if len(value) < 2 * LEAST_OF_AN_ARM or not np.ptp(value):
        return np.full(len(asked), float(value.mean()) if len(value) else 0.0)
    import lightgbm  # takes seconds to import

    trees = lightgbm.train(_TREES, lightgbm.Dataset(known, label=value), num_boost_round=_ROUNDS)
    expected: NDArray[np.float64] = np.asarray(trees.predict(asked), dtype=np.float64)
    return expected
