"""The trained network as the server loads it: ONNX, its weights in int8, and its tokenizer."""

import tempfile
import warnings
from pathlib import Path

import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from tokenizers import Tokenizer

from inference.sentiment import NETWORK, TOKENIZER


class _Alone(torch.nn.Module):
    """The model for one text, which needs no mask."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        return self.model(input_ids, torch.ones_like(input_ids))


def export(model: torch.nn.Module, tokenizer: Tokenizer, target: Path) -> int:
    """Writes `model` and `tokenizer` to the folder `target`; returns the network's size in bytes."""
    target.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(target / TOKENIZER))
    with tempfile.TemporaryDirectory() as work:
        whole = Path(work) / "whole.onnx"
        with warnings.catch_warnings():
            # The exporter of PyTorch that needs no further library says of itself that it is the old one.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                _Alone(model.eval()),
                (torch.zeros((1, 8), dtype=torch.long),),
                str(whole),
                input_names=["input_ids"],
                output_names=["logits"],
                dynamic_axes={"input_ids": {1: "tokens"}},
                opset_version=17,
                dynamo=False,
            )
        quantize_dynamic(whole, target / NETWORK, weight_type=QuantType.QInt8)
    return (target / NETWORK).stat().st_size
