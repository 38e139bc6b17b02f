"""How well predicted classes agree with those that people gave."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inference.intervals import bootstrap


class Agreement(NamedTuple):
    """`confusion[t, p]` counts the rows of class t that were said to be p; figures follow from it."""

    confusion: NDArray[np.float64]

    @property
    def accuracy(self) -> float:
        """Share of rows that are right."""
        return float(self.confusion.trace() / self.confusion.sum())

    @property
    def by_class(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Precision, recall and F1, shape [classes] each; 0 where there is nothing to divide by."""
        right, said, true = self.confusion.diagonal(), self.confusion.sum(0), self.confusion.sum(1)
        return _share(right, said), _share(right, true), _share(2 * right, said + true)

    @property
    def macro_f1(self) -> float:
        """The mean of the classes' F1, each counting the same."""
        return float(self.by_class[2].mean())


def _share(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def agreement(
    true: NDArray[np.int64], said: NDArray[np.int64], classes: Sequence[int], weights: ArrayLike | None = None
) -> Agreement:
    """The agreement over rows; `true` and `said` hold members of `classes`, which are sorted.

    >>> found = agreement(np.array([0, 0, 2, 2]), np.array([0, 2, 2, 2]), [0, 2])
    >>> found.accuracy, round(found.macro_f1, 3)
    (0.75, 0.733)
    """
    many = len(classes)
    cells = np.searchsorted(classes, true) * many + np.searchsorted(classes, said)
    counts = np.bincount(cells, weights=weights, minlength=many * many).astype(np.float64)
    return Agreement(counts.reshape(many, many))


def figures(
    true: NDArray[np.int64], said: NDArray[np.int64], names: dict[int, str], groups: ArrayLike
) -> dict[str, Any]:
    """All figures for machines: accuracy and macro-F1 with intervals of 95 % over `groups`, and by class.

    `names` has the classes that count, in order, and what to call them.
    """
    classes = list(names)
    found = agreement(true, said, classes)
    precision, recall, f1 = found.by_class

    def interval(figure: str) -> list[float]:
        return list(
            bootstrap(lambda weights: getattr(agreement(true, said, classes, weights), figure), groups)
        )

    return {
        "n": len(true),
        "accuracy": found.accuracy,
        "macro_f1": found.macro_f1,
        "ci": {figure: interval(figure) for figure in ("accuracy", "macro_f1")},
        "classes": {
            name: {
                "n": int(found.confusion[at].sum()),
                "precision": float(precision[at]),
                "recall": float(recall[at]),
                "f1": float(f1[at]),
            }
            for at, name in enumerate(names.values())
        },
        "confusion": {
            name: {other: int(found.confusion[at, to]) for to, other in enumerate(names.values())}
            for at, name in enumerate(names.values())
        },
    }
