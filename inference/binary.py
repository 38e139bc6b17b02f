"""How good probabilities of a yes or no are: the usual figures, with weights for the bootstrap.

scikit-learn has these figures with weights too (the tests compare them), but sorts the rows for each: a
bootstrap asks a thousand times about the same rows, which are sorted once here.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inference.intervals import bootstrap

Weights = NDArray[np.float64]
BINS = 10


class Binary:
    """Answers (`truth`, yes or no) and the probabilities of a yes, each of shape [rows].

    Every figure takes a weight for each row; it is NaN where the weighted rows do not hold both answers.
    `threshold` is the probability from which on a yes is told; `balanced_threshold` the same for
    `balanced_accuracy`, since a threshold that is right for one is seldom so for the other.
    """

    def __init__(
        self,
        truth: ArrayLike,
        probability: ArrayLike,
        *,
        threshold: float = 0.5,
        balanced_threshold: float = 0.5,
    ) -> None:
        self.truth = np.asarray(truth, dtype=np.float64)
        self.probability = np.asarray(probability, dtype=np.float64)
        self._told = self.probability >= threshold
        self._told_balanced = self.probability >= balanced_threshold
        # Rows of one probability are told together, the highest first.
        self._values, self._place = np.unique(-self.probability, return_inverse=True)
        self._bin = np.minimum((self.probability * BINS).astype(np.intp), BINS - 1)

    @property
    def ones(self) -> Weights:
        """The weights that give the figures themselves."""
        return np.ones(len(self.truth))

    def _steps(self, weights: Weights) -> tuple[Weights, Weights]:
        """Weight of yes and of no at each probability, the highest first."""
        many = len(self._values)
        yes: Weights = np.bincount(self._place, weights * self.truth, many).astype(np.float64)
        every: Weights = np.bincount(self._place, weights, many).astype(np.float64)
        return yes, every - yes

    def auc(self, weights: Weights) -> float:
        """Area under the ROC curve: how often a yes stands above a no, those at one height counting half."""
        yes, no = self._steps(weights)
        both = yes.sum() * no.sum()
        return float(((yes.cumsum() - yes / 2) @ no) / both) if both else np.nan

    def pr_auc(self, weights: Weights) -> float:
        """Average precision: the precision at each step of recall, as scikit-learn sums it."""
        yes, no = self._steps(weights)
        if not yes.sum() or not no.sum():
            return np.nan
        told = (yes + no).cumsum()
        precision = np.divide(yes.cumsum(), told, out=np.zeros_like(told), where=told > 0)
        return float(precision @ yes / yes.sum())

    def accuracy(self, weights: Weights) -> float:
        """Share of the rows that are told right."""
        return float(np.average(self._told == self.truth, weights=weights))

    def majority(self, weights: Weights) -> float:
        """The accuracy of telling everyone the more frequent answer."""
        share = float(np.average(self.truth, weights=weights))
        return max(share, 1 - share)

    def base_rate(self, weights: Weights) -> float:
        """Share of yes."""
        return float(np.average(self.truth, weights=weights))

    def balanced_accuracy(self, weights: Weights) -> float:
        """Mean of the shares of yes and of no that are told right."""
        yes, no = weights * self.truth, weights * (1 - self.truth)
        if not yes.sum() or not no.sum():
            return np.nan
        return float((yes @ self._told_balanced / yes.sum() + no @ ~self._told_balanced / no.sum()) / 2)

    def brier(self, weights: Weights) -> float:
        """Mean squared difference between probability and answer."""
        return float(np.average((self.probability - self.truth) ** 2, weights=weights))

    def ece(self, weights: Weights) -> float:
        """Expected calibration error over ten bins of equal width (Guo et al. 2017)."""
        gap = np.bincount(self._bin, weights=weights * (self.probability - self.truth), minlength=BINS)
        return float(np.abs(gap).sum() / weights.sum())

    def figures(self, groups: ArrayLike, draws: int = 1000) -> dict[str, dict[str, float | list[float]]]:
        """Each figure with its `value` and its `ci`, groups drawn."""
        measures: Mapping[str, Callable[[Weights], float]] = {
            "auc": self.auc,
            "pr_auc": self.pr_auc,
            "accuracy": self.accuracy,
            "majority": self.majority,
            "balanced_accuracy": self.balanced_accuracy,
            "brier": self.brier,
            "ece": self.ece,
            "base_rate": self.base_rate,
        }
        return {
            name: {"value": measure(self.ones), "ci": list(bootstrap(measure, groups, draws=draws))}
            for name, measure in measures.items()
        }
