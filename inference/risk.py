"""The churn model at work: signals in, probability and the reasons for it out.

A version is a folder: `model.onnx` gives the log-odds, of trees and of a linear part; `calibration.json` has
the linear part, and makes a probability of them; and `model.txt`, the same trees in LightGBM's own form,
gives each signal's exact effect (TreeSHAP).
"""

from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from schemas.errors import UnavailableError

MODEL = "risk"
ONNX, TREES, CALIBRATION = "model.onnx", "model.txt", "calibration.json"


class Linear(Struct, frozen=True, kw_only=True):
    """The part of the log-odds that is linear in the signals' logarithms: it has `share` of the say.

    Its log-odds are `bias` and, of each signal, `weight` × (its logarithm - `middle`). The logarithm, with
    the signal's sign, is kept within `low` and `high`, what the training saw: beyond it nothing counts more.
    """

    share: float
    bias: float
    weight: tuple[float, ...]
    middle: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def effects(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Each signal's effect before its share, of `rows`, shape [rows, signals]."""
        kept = np.clip(logarithm(rows), self.low, self.high)
        return np.asarray((kept - np.array(self.middle)) * np.array(self.weight))

    def blended(self, trees: NDArray[np.float64], rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """The log-odds of both, from those of the trees."""
        own = self.bias + self.effects(rows).sum(axis=1)
        return np.asarray((1 - self.share) * trees + self.share * own)


class Calibration(Struct, frozen=True, kw_only=True):
    """What makes a probability of the log-odds: 1 / (1 + exp(-(slope × log-odds + intercept))).

    `names` are the model's columns. `balanced_threshold` is, for each task, the probability that parts
    those who leave from those who stay best, both counting alike. Platt, Probabilistic outputs for support
    vector machines (1999).
    """

    names: tuple[str, ...]
    slope: float
    intercept: float
    balanced_threshold: dict[str, float]
    linear: Linear | None = None
    """None where the trees have all the say."""


class Contribution(NamedTuple):
    """What one signal did to one estimate: its value, and its effect in log-odds, above 0 for more risk."""

    name: str
    value: float
    effect: float


class Risk:
    """The model in `folder`. `load` is the way to one."""

    def __init__(self, folder: Path, session: Any, calibration: Calibration) -> None:
        self.version = folder.name
        self.calibration = calibration
        self._folder = folder
        self._session = session

    def log_odds(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """The log-odds before calibration of `rows`, shape [rows, signals]."""
        answer = self._session.run(None, {"signals": np.ascontiguousarray(rows, dtype=np.float32)})[0]
        return np.asarray(answer, dtype=np.float64).reshape(len(rows))

    def probability(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """The probability that the user leaves, of each of `rows`, shape [rows, signals]."""
        return sigmoid(self.calibration.slope * self.log_odds(rows) + self.calibration.intercept)

    def contributions(self, row: NDArray[np.float32]) -> tuple[Contribution, ...]:
        """Each signal's effect on the estimate for `row`, shape [signals], the strongest first.

        With the estimate's base, which belongs to no signal, they sum to the calibrated log-odds. Lundberg
        et al., From local explanations to global understanding with explainable AI for trees (2020). Those of
        the linear part are its terms, counted from the mean row of its training.
        """
        exact = self._trees.predict(row.reshape(1, -1), pred_contrib=True, num_threads=1)[0][:-1]
        linear = self.calibration.linear
        if linear is not None:
            exact = (1 - linear.share) * exact + linear.share * linear.effects(row[np.newaxis])[0]
        exact = exact * self.calibration.slope
        order = np.argsort(-np.abs(exact), kind="stable")
        names = self.calibration.names
        return tuple(Contribution(names[i], float(row[i]), float(exact[i])) for i in order)

    @cached_property
    def _trees(self) -> Any:
        import lightgbm  # takes a second to import, and only who asks for reasons needs it

        return lightgbm.Booster(model_file=self._folder / TREES)


def load(folder: Path, names: tuple[str, ...]) -> Risk:
    """The model in `folder`, made for the signals `names`.

    Raises:
        UnavailableError: a file is missing or broken, or the model was made for other signals.
    """
    import onnxruntime

    try:
        calibration = msgspec.json.decode((folder / CALIBRATION).read_bytes(), type=Calibration)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(folder / ONNX, options, providers=["CPUExecutionProvider"])
        if not (folder / TREES).is_file():
            raise FileNotFoundError(f"no {TREES}")
    except Exception as error:
        raise UnavailableError(f"no churn model in {folder}: {error}") from error
    if calibration.names != names:
        raise UnavailableError(
            f"the churn model in {folder} was made for others, {_difference(calibration.names, names)}:"
            " train it again, or take the version of this release"
        )
    return Risk(folder, session, calibration)


def logarithm(signals: NDArray[np.float32]) -> NDArray[np.float64]:
    """The logarithm of one more than each signal's amount, with its sign.

    >>> logarithm(np.array([0.0, np.e - 1, 1 - np.e], dtype=np.float32)).round(6).tolist()
    [0.0, 1.0, -1.0]
    """
    exact = signals.astype(np.float64)
    return np.asarray(np.sign(exact) * np.log1p(np.abs(exact)))


def sigmoid(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-odds as probabilities.

    >>> sigmoid(np.array([0.0, -1000.0])).tolist()
    [0.5, 0.0]
    """
    return np.asarray(np.exp(-np.logaddexp(0.0, -log_odds)))


def _difference(its: tuple[str, ...], ours: tuple[str, ...]) -> str:
    odd = sorted(set(its) ^ set(ours))
    return f"differing: {', '.join(odd[:3])}" if odd else "in another order"
