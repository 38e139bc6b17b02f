"""What is trained on: the small model, or any checkpoint of GPT-OSS in transformers' format."""

from pathlib import Path
from typing import NamedTuple

import torch
from tokenizers import Tokenizer
from transformers import AutoConfig, GptOssForCausalLM, Mxfp4Config
from transformers.utils import logging

from inference.estimate import answer_ids
from inference.training.revive import revive
from schemas.errors import InputError


class Base(NamedTuple):
    """A model, its tokenizer and the folder that both came from."""

    model: GptOssForCausalLM
    tokenizer: Tokenizer
    folder: Path
    is_onnx: bool


def load(folder: Path) -> Base:
    """The model in `folder`: a version of the small one (ONNX), or a checkpoint (`config.json`, safetensors).

    Experts in MXFP4 are unpacked to BF16 here: transformers cannot pass gradients through its MXFP4 kernels
    to the attention below them. They are not trained, and the export copies them packed, as they were.

    Raises:
        InputError: the folder holds neither, or what it holds cannot be read.
    """
    logging.set_verbosity_error()
    if (folder / "model.onnx").exists():
        return Base(revive(folder), Tokenizer.from_file(str(folder / "tokenizer.json")), folder, is_onnx=True)
    if not (folder / "config.json").exists():
        raise InputError(f"{folder} holds no model: neither model.onnx nor config.json is there")
    on_gpu = torch.cuda.is_available()
    try:
        config = AutoConfig.from_pretrained(folder)
        unpacked = (
            {"quantization_config": Mxfp4Config(dequantize=True)}
            if hasattr(config, "quantization_config")
            else {}
        )
        model = GptOssForCausalLM.from_pretrained(
            folder,
            dtype="auto",
            attn_implementation="eager",
            experts_implementation="grouped_mm" if on_gpu else "eager",
            **unpacked,
        )
        words = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # transformers and tokenizers raise what they like
        raise InputError(f"cannot read the checkpoint in {folder}: {error}") from error
    return Base(model.to("cuda" if on_gpu else "cpu").eval(), words, folder, is_onnx=False)


@torch.no_grad()
def estimate(model: GptOssForCausalLM, tokenizer: Tokenizer, question: str) -> float:
    """The probability of yes to a question (`inference/estimate.py`): one forward pass in torch."""
    yes, no = answer_ids(tokenizer)
    ids = torch.tensor([tokenizer.encode(question, add_special_tokens=False).ids], device=model.device)
    logits = model(input_ids=ids, use_cache=False, logits_to_keep=1).logits[0, -1].float()
    return float(torch.sigmoid(logits[yes] - logits[no]))
