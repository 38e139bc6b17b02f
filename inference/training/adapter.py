"""The adapter on a model: put on, trained in two groups with the base, taken in."""

import peft
import torch
from peft import LoraConfig, PeftModel
from transformers import GptOssForCausalLM

from inference.training.recipe import BaseWeights, Recipe

_ATTENTION = ".self_attn."
_ADAPTER = "lora_"
# peft's own names: the wrapper's around the model, and a wrapped projection's around the base's.
_WRAPPER, _INNER = "base_model.model.", ".base_layer."


def attach(model: GptOssForCausalLM, recipe: Recipe) -> PeftModel:
    """`model` with a fresh adapter, which changes nothing yet; only what the recipe trains has gradients.

    Weights that are trained are in single precision from here on: a step of 1e-6 is lost in BF16.
    """
    torch.manual_seed(recipe.seed)
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=recipe.adapter.rank,
        lora_alpha=recipe.adapter.alpha,
        lora_dropout=recipe.adapter.dropout,
        target_modules=list(recipe.adapter.projections),
    )
    made = peft.get_peft_model(model, config)
    for name, parameter in made.named_parameters():
        parameter.requires_grad_(_is_trained(name, recipe.base_weights))
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return made


def groups(model: PeftModel, recipe: Recipe) -> list[dict[str, object]]:
    """What is trained as AdamW's parameter groups: the base's weights, where any are, and the adapter's."""
    trained = [(name, one) for name, one in model.named_parameters() if one.requires_grad]
    base = [one for name, one in trained if _ADAPTER not in name]
    adapter = [one for name, one in trained if _ADAPTER in name]
    found: list[dict[str, object]] = [
        {"name": "base", "params": base, "lr": recipe.base_rate},
        {"name": "adapter", "params": adapter, "lr": recipe.adapter_rate},
    ]
    return [group for group in found if group["params"]]


def changed(model: PeftModel) -> set[str]:
    """The names, in the base, of the tensors that the training may have changed; called before `merge`."""
    found = set()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            path = name.removeprefix(_WRAPPER)
            module, is_adapter, _ = path.partition(f".{_ADAPTER}")
            found.add(f"{module}.weight" if is_adapter else path.replace(_INNER, "."))
    return found


def merge(model: PeftModel) -> GptOssForCausalLM:
    """The base with the adapter taken in, all in the head's precision: it answers as both did together."""
    merged = model.merge_and_unload().eval()
    return merged.to(merged.lm_head.weight.dtype)


def _is_trained(name: str, base_weights: BaseWeights) -> bool:
    if _ADAPTER in name:
        return True
    return base_weights is BaseWeights.ALL or (base_weights is BaseWeights.ATTENTION and _ATTENTION in name)
