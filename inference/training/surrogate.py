"""A small decision tree that says nearly what the churn model says: one picture of it, for people."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeRegressor, export_text

TREE, TREE_TEXT = "surrogate.json", "surrogate.txt"
DEPTH = 4
_LEAST_SHARE = 0.005


class Split(Struct, frozen=True, kw_only=True):
    """A node: `probability` is the mean of the model's for the `share` of rows that come here.

    A row goes to `below` where its `signal` is at most `threshold`, else to `above`; a leaf has neither.
    """

    probability: float
    share: float
    signal: str | None = None
    threshold: float | None = None
    below: "Split | None" = None
    above: "Split | None" = None


class Surrogate:
    """The tree, fitted to the model's probabilities."""

    def __init__(self, signals: NDArray[np.float32], probability: NDArray[np.float64]) -> None:
        self._tree = DecisionTreeRegressor(max_depth=DEPTH, min_samples_leaf=_LEAST_SHARE, random_state=1)
        self._tree.fit(signals, probability)

    def fidelity(
        self, signals: NDArray[np.float32], probability: NDArray[np.float64], threshold: float
    ) -> dict[str, float]:
        """How like the model it is: share of equal decisions at `threshold`, and R² of the probabilities."""
        own = self._tree.predict(signals)
        unexplained = float(((own - probability) ** 2).sum())
        return {
            "equal_decisions": float(((own >= threshold) == (probability >= threshold)).mean()),
            "r2": 1 - unexplained / float(((probability - probability.mean()) ** 2).sum()),
        }

    def save(self, folder: Path, names: tuple[str, ...]) -> None:
        """Writes the tree as text for people, and as JSON."""
        text = export_text(self._tree, feature_names=list(names), decimals=2)
        (folder / TREE_TEXT).write_text(text, encoding="utf-8")
        root = _split(self._tree.tree_, 0, names)
        (folder / TREE).write_bytes(msgspec.json.format(msgspec.json.encode(root)) + b"\n")


def _split(tree: Any, node: int, names: tuple[str, ...]) -> Split:
    leaf = Split(
        probability=float(tree.value[node].item()),
        share=float(tree.n_node_samples[node] / tree.n_node_samples[0]),
    )
    if tree.children_left[node] < 0:
        return leaf
    return msgspec.structs.replace(
        leaf,
        signal=names[tree.feature[node]],
        threshold=float(tree.threshold[node]),
        below=_split(tree, tree.children_left[node], names),
        above=_split(tree, tree.children_right[node], names),
    )
