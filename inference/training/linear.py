"""The linear part of the churn model: logistic regression on the logarithms of the signals."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper
from sklearn.linear_model import LogisticRegression

from inference.risk import Linear, logarithm

SHARE = 0.3
"""What it has to say beside the trees."""
STRENGTH = 0.02
"""Inverse regularisation."""
_STEPS = 100


def fit(signals: NDArray[np.float32], churned: NDArray[np.bool_], weight: NDArray[np.float64]) -> Linear:
    """The regression of rows of `signals`, each of which counts `weight`."""
    table = logarithm(signals)
    middle, spread = table.mean(axis=0), table.std(axis=0)
    # What never differs says nothing.
    scale = np.divide(1, spread, out=np.zeros_like(spread), where=spread > 0)
    low, high = table.min(axis=0), table.max(axis=0)
    table -= middle
    table *= scale
    found = LogisticRegression(C=STRENGTH, solver="newton-cholesky", max_iter=_STEPS)
    found.fit(table, churned, sample_weight=weight)
    return Linear(
        share=SHARE,
        bias=float(found.intercept_[0]),
        weight=tuple((found.coef_[0] * scale).tolist()),
        middle=tuple(middle.tolist()),
        low=tuple(low.tolist()),
        high=tuple(high.tolist()),
    )


def nodes(linear: Linear, trees: str, signals: str, output: str) -> tuple[list[NodeProto], list[TensorProto]]:
    """The blend as part of a graph: from the values `trees` and `signals` to `output`."""
    constants = {
        "one": [1.0],
        "low": linear.low,
        "high": linear.high,
        "middle": linear.middle,
        "bias": [linear.share * linear.bias],
        "rest": [1 - linear.share],
    }
    steps = (
        ("Sign", [signals], "sign"),
        ("Abs", [signals], "amount"),
        ("Add", ["amount", "one"], "more"),
        ("Log", ["more"], "log"),
        ("Mul", ["sign", "log"], "signed"),
        ("Max", ["signed", "low"], "above"),
        ("Min", ["above", "high"], "kept"),
        ("Sub", ["kept", "middle"], "centred"),
        ("MatMul", ["centred", "weight"], "sum"),
        ("Add", ["sum", "bias"], "linear"),
        ("Mul", [trees, "rest"], "grown"),
        ("Add", ["grown", "linear"], output),
    )
    weight = linear.share * np.array(linear.weight)
    return (
        [helper.make_node(kind, inputs, [result]) for kind, inputs, result in steps],
        [
            *(_tensor(name, [len(values)], values) for name, values in constants.items()),
            _tensor("weight", [len(weight), 1], weight.tolist()),
        ],
    )


def _tensor(name: str, shape: list[int], values: Any) -> TensorProto:
    return helper.make_tensor(name, TensorProto.FLOAT, shape, list(values))
