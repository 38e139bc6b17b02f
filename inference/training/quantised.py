"""The small model's matrices in 8 bits, as the server multiplies them, and back.

A token's time on a processor is that of fetching weights, and these are a quarter of those in single
precision. Attention, router and head become `MatMulNBits`, the experts `QMoE`; embedding, norms and biases
stay as they are. Each 32 inputs of an output share a scale, and nothing is calibrated.
"""

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnxruntime.quantization.matmul_nbits_quantizer import (
    DefaultWeightOnlyQuantConfig,
    MatMulNBitsQuantizer,
)

_BITS, _ZERO, _BLOCK = 8, 128, 32
_AS_INTEGERS = 4
"""Inputs are rounded to 8 bits as well: `accuracy_level` of both operators."""
_MATRIX, _MATRIX_SCALES = "_Q8", "_scales"
"""How the library calls what it makes of a matrix."""
_EXPERTS, _EXPERTS_SCALES = "_experts_Q8", "_experts_scales"
_AS_STORED = 0
"""`weights_prepacked`: the experts lie as they do here."""

Floats = NDArray[np.float32]


def quantise(folder: Path) -> None:
    """Turns the model in `folder` (`model.onnx`, `model.onnx.data`) into one in 8 bits."""
    path = folder / "model.onnx"
    matrices = DefaultWeightOnlyQuantConfig(
        block_size=_BLOCK, is_symmetric=True, accuracy_level=_AS_INTEGERS, bits=_BITS
    )
    quantizer = MatMulNBitsQuantizer(onnx.load(path), algo_config=matrices)
    quantizer.process()
    made = quantizer.model.model
    _quantise_experts(made.graph)
    for old in (path, folder / "model.onnx.data"):
        old.unlink(missing_ok=True)
    onnx.save(made, path, save_as_external_data=True, location="model.onnx.data")


def floats(model: onnx.ModelProto) -> dict[str, Floats]:
    """All weights of `model` by the names that they had in single precision; its data must be loaded.

    What was in 8 bits comes back with the error of that, at most 1/127 of the largest of its 32.
    """
    found = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    told: dict[str, Floats] = {}
    for name, value in found.items():
        if name.endswith(_EXPERTS):
            plain = name.removesuffix(_EXPERTS)
            told[plain] = _restored(value, found[plain + _EXPERTS_SCALES])
        elif name.endswith(_MATRIX):
            plain = name.removesuffix(_MATRIX)
            told[plain] = _restored(value.reshape(len(value), -1), found[plain + _MATRIX_SCALES]).T
        elif not name.endswith((_EXPERTS_SCALES, _MATRIX_SCALES)):
            told[name] = value
    return told


def experts_of(model: onnx.ModelProto) -> onnx.NodeProto:
    """The first layer's experts, in either precision."""
    return next(node for node in model.graph.node if node.op_type in ("MoE", "QMoE"))


def _quantise_experts(graph: onnx.GraphProto) -> None:
    weights = {one.name: one for one in graph.initializer}
    for node in graph.node:
        if node.op_type != "MoE":
            continue
        states, router, *matrices = list(node.input)[:6]
        inputs = [states, router]
        for name, bias in zip(matrices[::2], matrices[1::2], strict=True):
            whole = weights.pop(name)
            rounded, scales = _rounded(numpy_helper.to_array(whole))
            graph.initializer.remove(whole)
            graph.initializer.append(numpy_helper.from_array(rounded, name + _EXPERTS))
            graph.initializer.append(numpy_helper.from_array(scales, name + _EXPERTS_SCALES))
            inputs += [name + _EXPERTS, name + _EXPERTS_SCALES, bias]
        del node.input[:]
        node.input.extend(inputs)
        node.op_type = "QMoE"
        for attribute, value in {
            "expert_weight_bits": _BITS,
            "block_size": _BLOCK,
            "weights_prepacked": _AS_STORED,
            "accuracy_level": _AS_INTEGERS,
        }.items():
            node.attribute.append(helper.make_attribute(attribute, value))


def _rounded(weights: Floats) -> tuple[NDArray[np.uint8], Floats]:
    """Weights [experts, outputs, inputs] in 8 bits, and the scale of each block of inputs."""
    blocks = weights.reshape(*weights.shape[:-1], -1, _BLOCK)
    scales = np.maximum(np.abs(blocks).max(axis=-1), np.finfo(np.float32).tiny) / (_ZERO - 1)
    codes = np.rint(blocks / scales[..., None]) + _ZERO
    return codes.astype(np.uint8).reshape(weights.shape), scales.astype(np.float32)


def _restored(codes: NDArray[np.uint8], scales: Floats) -> Floats:
    """Weights [..., outputs, inputs] of their codes, and of scales [..., outputs, inputs / 32]."""
    centred = codes.astype(np.float32) - _ZERO
    scaled = centred.reshape(*scales.shape, -1) * scales[..., None]
    return np.ascontiguousarray(scaled.reshape(codes.shape), dtype=np.float32)
