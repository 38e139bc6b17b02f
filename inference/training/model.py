"""The small model's shape: GPT-OSS with every part of the large one, at a thousandth of its size."""

from transformers import GptOssConfig, GptOssForCausalLM

from inference.training.tokenizer import VOCABULARY

MAX_POSITIONS = 512
LAYERS = 2
"""Versions 1 and 2 have four."""
SWIGLU_LIMIT = 7.0
"""Where the experts clamp what comes into their gate. transformers does it unasked; the builder of the ONNX
file does it only where the configuration says so."""


def config(pad_id: int, end_id: int, layers: int = LAYERS) -> GptOssConfig:
    """Experts, attention sinks, every other layer with the sliding window, YaRN as in the original."""
    return GptOssConfig(
        vocab_size=VOCABULARY,
        hidden_size=128,
        intermediate_size=192,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        num_local_experts=4,
        num_experts_per_tok=2,
        sliding_window=128,
        max_position_embeddings=MAX_POSITIONS,
        rope_parameters={
            "rope_type": "yarn",
            "rope_theta": 150_000.0,
            "factor": 32.0,
            "beta_fast": 32.0,
            "beta_slow": 1.0,
            "truncate": False,
            "original_max_position_embeddings": 4096,
        },
        attention_bias=True,
        tie_word_embeddings=False,
        router_aux_loss_coef=0.01,
        swiglu_limit=SWIGLU_LIMIT,
        pad_token_id=pad_id,
        bos_token_id=pad_id,
        eos_token_id=end_id,
    )


def create(pad_id: int, end_id: int, layers: int = LAYERS) -> GptOssForCausalLM:
    """An untrained model. Its experts run one after the other: batched they train a hundred times slower."""
    made = config(pad_id, end_id, layers)
    made._attn_implementation = "eager"
    made._experts_implementation = "eager"
    return GptOssForCausalLM(made)
