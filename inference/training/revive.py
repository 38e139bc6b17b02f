"""The small model back in torch: the weights are in its ONNX file, under other names.

onnxruntime-genai's builder joins q, k and v, turns the matrices of linear layers around, and keeps everything
else as it was; matrices in 8 bits come back as they were rounded. So no second copy of the weights is
published for whoever wants to train on.
"""

import math
from pathlib import Path

import onnx
import torch
from onnx.external_data_helper import load_external_data_for_model
from tokenizers import Tokenizer
from transformers import GptOssForCausalLM

from inference.training import model
from inference.training.quantised import experts_of, floats
from inference.training.tokenizer import END, PAD, token_id
from schemas.errors import InputError

_HEAD, _NORM, _EMBEDDING = "lm_head.weight", "model.norm.weight", "model.embed_tokens.weight"


def revive(folder: Path) -> GptOssForCausalLM:
    """The model that was exported to `folder`, with the ONNX file's logits, or nearly where that has 8 bits.

    Raises:
        InputError: the folder holds no small model of ours: a file is missing, or a shape is another's.
    """
    try:
        graph = onnx.load(folder / "model.onnx", load_external_data=False)
        load_external_data_for_model(graph, str(folder))
        words = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # onnx, protobuf and tokenizers raise what they like
        raise InputError(f"cannot read the model in {folder}: {error}") from error
    found = {name: torch.tensor(value) for name, value in floats(graph).items()}
    layers = sum(name.endswith(".attn.sinks") for name in found)
    made = model.create(token_id(words, PAD), token_id(words, END), layers)
    try:
        made.load_state_dict(_renamed(found, made))
    except (KeyError, RuntimeError) as error:
        raise InputError(f"{folder} holds a model of another shape: {error}") from error
    _clamp(made, graph)
    return made.eval()


def _clamp(made: GptOssForCausalLM, graph: onnx.ModelProto) -> None:
    """Clamps as the graph does: one that was exported without a limit clamps nothing."""
    limits = [attribute.f for attribute in experts_of(graph).attribute if attribute.name == "swiglu_limit"]
    made.config.swiglu_limit = limits[0] if limits else None
    for layer in made.model.layers:
        layer.mlp.experts.limit = limits[0] if limits else math.inf


def _renamed(found: dict[str, torch.Tensor], made: GptOssForCausalLM) -> dict[str, torch.Tensor]:
    shape = made.config
    query, key = shape.num_attention_heads * shape.head_dim, shape.num_key_value_heads * shape.head_dim
    layers = shape.num_hidden_layers
    state = {
        _EMBEDDING: found[_EMBEDDING],
        _NORM: found[f"model.layers.{layers}.final_norm_layernorm.weight"],
        _HEAD: found["lm_head.MatMul.weight"].T,
    }
    for at in range(layers):
        layer = f"model.layers.{at}"
        attention, experts = f"{layer}.self_attn", f"{layer}.mlp.experts"
        weights = found[f"{layer}.attn.qkv_proj.MatMul.weight"].T.split((query, key, key))
        biases = _bias(found, f"{layer}.attn.qkv_proj", query + 2 * key).split((query, key, key))
        for name, weight, bias in zip("qkv", weights, biases, strict=True):
            state[f"{attention}.{name}_proj.weight"] = weight
            state[f"{attention}.{name}_proj.bias"] = bias
        state[f"{attention}.o_proj.weight"] = found[f"{layer}.attn.o_proj.MatMul.weight"].T
        state[f"{attention}.o_proj.bias"] = _bias(found, f"{layer}.attn.o_proj", shape.hidden_size)
        state[f"{attention}.sinks"] = found[f"{layer}.attn.sinks"]
        state[f"{layer}.mlp.router.weight"] = found[f"{layer}.moe.router.MatMul.weight"].T
        state[f"{layer}.mlp.router.bias"] = _bias(found, f"{layer}.moe.router", shape.num_local_experts)
        for name in ("gate_up_proj", "down_proj"):
            state[f"{experts}.{name}"] = found[f"{layer}.moe.experts.{name}.weight"].transpose(-1, -2)
            state[f"{experts}.{name}_bias"] = found[f"{layer}.moe.experts.{name}.bias"]
        for name in ("input_layernorm", "post_attention_layernorm"):
            state[f"{layer}.{name}.weight"] = found[f"{layer}.{name}.weight"]
    return state


def _bias(found: dict[str, torch.Tensor], name: str, size: int) -> torch.Tensor:
    """The bias of a linear layer; the builder leaves out one that is all zeros."""
    return found.get(f"{name}.Add.bias", torch.zeros(size))
