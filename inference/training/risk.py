"""How the churn model is made: trees and a linear part, calibrated on users that they have not seen."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import lightgbm
import msgspec
import numpy as np
import onnx
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from inference.binary import Binary
from inference.risk import CALIBRATION, ONNX, TREES, Calibration, Linear, sigmoid
from inference.training import linear
from inference.training.trees import in_single_precision, onnx_of

FOLDS = 3
SEED = 1
TREES_MANY = 300
HARD_WEIGHT = 2.0
"""What a row of the hard task counts, beside 1 for the others: it is the one that matters."""
PARAMETERS = {
    "objective": "binary",
    "learning_rate": 0.03,
    "num_leaves": 15,
    "feature_fraction": 0.25,
    "max_bin": 127,
    "bagging_freq": 1,
    "lambda_l2": 10.0,
    "seed": SEED,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
}


TREE_SHARE, MOST_TREE_ROWS = 0.7, 100_000
"""How many rows a tree is made of: a share of all, and no more. A user's rows of near days are much alike."""

MOST_LEAF_ROWS, LEAST_LEAF_ROWS, LEAF_SHARE = 300, 20, 0.02
"""How many rows a leaf holds at least: a share of all, within bounds, so that few rows still make trees."""

LEAST_SLOPE = 0.1
"""Of the calibration: few rows can make it look as if those at risk stayed."""


class Examples(NamedTuple):
    """What is learned from, one row a user and cut-off.

    `signals` has shape [rows, signals]; `user` numbers the users of all logs through; `churned` is the
    answer, and `is_hard` tells the rows of the hard task.
    """

    signals: NDArray[np.float32]
    user: NDArray[np.int64]
    tau_ms: NDArray[np.int64]
    churned: NDArray[np.bool_]
    is_hard: NDArray[np.bool_]

    def where(self, mask: NDArray[np.bool_]) -> "Examples":
        """The rows of `mask`."""
        return Examples(
            signals=self.signals[mask],
            user=self.user[mask],
            tau_ms=self.tau_ms[mask],
            churned=self.churned[mask],
            is_hard=self.is_hard[mask],
        )

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all columns."""
        digest = hashlib.sha256()
        for column in self:
            digest.update(np.ascontiguousarray(column).tobytes())
        return digest.hexdigest()


class Model(NamedTuple):
    """The trees; the linear part, and what makes probabilities of both, are in the calibration."""

    booster: lightgbm.Booster
    calibration: Calibration

    def log_odds(self, signals: NDArray[np.float32]) -> NDArray[np.float64]:
        """The log-odds before calibration, of each row."""
        assert self.calibration.linear is not None  # `fit` makes one
        return _log_odds(self.booster, self.calibration.linear, signals)

    def probability(self, signals: NDArray[np.float32]) -> NDArray[np.float64]:
        """The probability to leave, of each row."""
        return sigmoid(self.calibration.slope * self.log_odds(signals) + self.calibration.intercept)


def fit(examples: Examples, names: Sequence[str]) -> Model:
    """The model of `examples`, calibrated by log-odds for users that were held out. One seed, one result."""
    held_out = np.zeros(len(examples.user))
    for mask in folds(examples.user, FOLDS):
        held_out[mask] = _log_odds(*_learned(examples.where(~mask)), examples.signals[mask])
    slope, intercept = _platt(held_out, examples.churned)
    probability = sigmoid(slope * held_out + intercept)
    booster, beside = _learned(examples)
    calibration = Calibration(
        names=tuple(names),
        slope=slope,
        intercept=intercept,
        balanced_threshold={
            "broad": _balanced_threshold(examples.churned, probability),
            "hard": _balanced_threshold(examples.churned[examples.is_hard], probability[examples.is_hard]),
        },
        linear=beside,
    )
    return Model(booster, calibration)


def weights(examples: Examples) -> NDArray[np.float64]:
    """What each row counts."""
    return np.where(examples.is_hard, HARD_WEIGHT, 1.0)


def _learned(examples: Examples) -> tuple[lightgbm.Booster, Linear]:
    return boost(examples), linear.fit(examples.signals, examples.churned, weights(examples))


def _log_odds(booster: lightgbm.Booster, beside: Linear, signals: NDArray[np.float32]) -> NDArray[np.float64]:
    return beside.blended(np.asarray(booster.predict(signals, raw_score=True)), signals)


def boost(examples: Examples, rounds: int = TREES_MANY, **parameters: Any) -> lightgbm.Booster:
    """The trees of `examples`, with thresholds that ONNX can hold."""
    data = lightgbm.Dataset(examples.signals, examples.churned, weight=weights(examples))
    many = len(examples.user)
    by_rows = {
        "min_child_samples": min(MOST_LEAF_ROWS, max(LEAST_LEAF_ROWS, round(LEAF_SHARE * many))),
        "bagging_fraction": min(TREE_SHARE, MOST_TREE_ROWS / many),
    }
    trained = lightgbm.train(PARAMETERS | by_rows | parameters, data, rounds)
    return in_single_precision(trained)


def folds(user: NDArray[np.int64], many: int) -> Iterator[NDArray[np.bool_]]:
    """Masks that part the rows into `many`, all of a user's in one."""
    users, number = np.unique(user, return_inverse=True)
    fold = np.random.default_rng(SEED).permutation(len(users)) % many
    for one in range(many):
        yield fold[number] == one


def save(folder: Path, model: Model) -> None:
    """Writes the model's three files to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    text = model.booster.model_to_string()
    (folder / TREES).write_text(text, encoding="utf-8")
    (folder / CALIBRATION).write_bytes(msgspec.json.format(msgspec.json.encode(model.calibration)) + b"\n")
    assert model.calibration.linear is not None  # `fit` makes one
    onnx.save(onnx_of(model.booster, model.calibration.linear), folder / ONNX)


def _platt(log_odds: NDArray[np.float64], truth: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and intercept of the calibration, which never turns the order of the trees round."""
    found = LogisticRegression(C=np.inf).fit(log_odds[:, None], truth)
    slope, intercept = float(found.coef_[0, 0]), float(found.intercept_[0])
    if slope >= LEAST_SLOPE:
        return slope, intercept
    share = float(truth.mean())
    return LEAST_SLOPE, float(np.log(share / (1 - share)) - LEAST_SLOPE * log_odds.mean())


def _balanced_threshold(truth: NDArray[np.bool_], probability: NDArray[np.float64]) -> float:
    """The probability from which on a yes is told, for the best mean of both answers' shares told right."""
    candidates = np.quantile(probability, np.linspace(0.01, 0.99, 99))

    def worth(threshold: float) -> float:
        judged = Binary(truth, probability, balanced_threshold=threshold)
        return judged.balanced_accuracy(judged.ones)

    return float(max(candidates, key=worth))
