"""LightGBM's trees and a linear part as an ONNX graph: scoring needs neither LightGBM nor its threads."""

import re
from typing import Any

import lightgbm
import numpy as np
import onnx
from onnx import TensorProto, helper

from inference.risk import Linear
from inference.training.linear import nodes

INPUT, OUTPUT = "signals", "log_odds"
_TREES = "trees"
_OPSETS = {"": 15, "ai.onnx.ml": 3}
_IR_VERSION = 8


def onnx_of(booster: lightgbm.Booster, linear: Linear) -> onnx.ModelProto:
    """The log-odds of both: `signals`, float [rows, signals], to `log_odds`, float [rows, 1].

    Every split must be of the kind `<=` on a number, its threshold one of single precision.
    """
    dumped = booster.dump_model()
    columns: dict[str, list[Any]] = {
        name: []
        for name in ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids")
    }
    targets: dict[str, list[Any]] = {name: [] for name in ("treeids", "nodeids", "ids", "weights")}
    for number, tree in enumerate(dumped["tree_info"]):
        for node in _numbered(tree["tree_structure"]):
            is_leaf = "split_index" not in node
            columns["treeids"].append(number)
            columns["nodeids"].append(node["id"])
            columns["featureids"].append(0 if is_leaf else node["split_feature"])
            columns["values"].append(0.0 if is_leaf else float(np.float32(node["threshold"])))
            columns["modes"].append("LEAF" if is_leaf else "BRANCH_LEQ")
            columns["truenodeids"].append(0 if is_leaf else node["left_child"]["id"])
            columns["falsenodeids"].append(0 if is_leaf else node["right_child"]["id"])
            if is_leaf:
                for name, value in (
                    ("treeids", number),
                    ("nodeids", node["id"]),
                    ("ids", 0),
                    ("weights", float(node["leaf_value"])),
                ):
                    targets[name].append(value)
    node = helper.make_node(
        "TreeEnsembleRegressor",
        [INPUT],
        [_TREES],
        domain="ai.onnx.ml",
        n_targets=1,
        **{f"nodes_{name}": values for name, values in columns.items()},
        **{f"target_{name}": values for name, values in targets.items()},
    )
    many = booster.num_feature()
    blend, constants = nodes(linear, _TREES, INPUT, OUTPUT)
    graph = helper.make_graph(
        [node, *blend],
        "risk",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [None, many])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [None, 1])],
        constants,
    )
    opsets = [helper.make_opsetid(domain, version) for domain, version in _OPSETS.items()]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)
    onnx.checker.check_model(model)
    return model


def in_single_precision(booster: lightgbm.Booster) -> lightgbm.Booster:
    """The same trees with thresholds of single precision, rounded down.

    Signals are of single precision, and so are ONNX's thresholds: rounded down, a threshold parts the same
    signals as before, and in both libraries.
    """

    def rounded(line: re.Match[str]) -> str:
        exact = np.array(line[1].split(), dtype=np.float64)
        single = exact.astype(np.float32)
        single = np.where(single > exact, np.nextafter(single, np.float32(-np.inf)), single)
        return "threshold=" + " ".join(repr(float(value)) for value in single)

    body, end, rest = booster.model_to_string().partition("\nend of trees")
    body = re.sub(r"^threshold=(.*)$", rounded, body, flags=re.MULTILINE)
    # The header says how long each tree's text was; without that, the trees are read one after the other.
    body = re.sub(r"^tree_sizes=.*\n", "", body, flags=re.MULTILINE)
    return lightgbm.Booster(model_str=f"{body}{end}{rest}")


def _numbered(root: dict[str, Any]) -> list[dict[str, Any]]:
    """All nodes below `root`, itself first, each with an `id`."""
    nodes = [root]
    for node in nodes:  # grows while it is walked
        nodes += [node[side] for side in ("left_child", "right_child") if side in node]
    for number, node in enumerate(nodes):
        node["id"] = number
    return nodes
