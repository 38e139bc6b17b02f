"""Direct preference optimisation: the loss, and the training by it.

Rafailov et al., "Direct Preference Optimization: Your Language Model is Secretly a Reward Model", 2023,
arXiv:2305.18290, equation 7. The policy is the base with an adapter, the reference is the same model with the
adapter off, so that one copy of the weights serves as both; the base stays frozen for it.
"""

import time
from collections.abc import Iterator
from random import Random
from typing import NamedTuple

import msgspec
import torch
from peft import PeftModel
from tokenizers import Tokenizer
from torch.nn import functional

from inference.preferences import Pair
from inference.training import adapter, loop, tune
from inference.training.base import Base
from inference.training.recipe import BaseWeights, Recipe
from inference.training.records import is_held_out
from inference.training.tokenizer import PAD, token_id
from schemas.errors import InputError


class Preferred(NamedTuple):
    """A batch of answers taken well and of those taken badly to the same prompts, in the same order."""

    chosen: loop.Batch
    rejected: loop.Batch


def loss(
    policy: tuple[torch.Tensor, torch.Tensor], reference: tuple[torch.Tensor, torch.Tensor], beta: float
) -> torch.Tensor:
    """The mean of -log sigmoid(beta x margin) over the pairs.

    Both arguments are (chosen, rejected) log probabilities of whole answers in nats, shape (batch,). The
    margin is how much more than the reference the policy prefers the chosen one.
    """
    return -functional.logsigmoid(beta * margins(policy, reference)).mean()


def margins(
    policy: tuple[torch.Tensor, torch.Tensor], reference: tuple[torch.Tensor, torch.Tensor]
) -> torch.Tensor:
    """By how much more the policy prefers the chosen answers than the reference does, in nats: (batch,)."""
    return (policy[0] - reference[0]) - (policy[1] - reference[1])


def dpo(base: Base, pairs: list[Pair], recipe: Recipe, report: tune.Report) -> tune.Tuned:
    """Trains an adapter to prefer what users took well. `held_out` tells mean margin (nats) and loss.

    Raises:
        InputError: too few pairs to hold any out.
    """
    pad = token_id(base.tokenizer, PAD)
    # By the decision, not by the prompt: there are few prompts, and many scripts for each.
    kept = [one for one in pairs if not is_held_out(one.chosen_id)]
    held = [one for one in pairs if is_held_out(one.chosen_id)]
    if not kept or not held:
        raise InputError(f"{len(pairs)} pairs are too few: none is left to train on or to hold out")
    model = adapter.attach(base.model, msgspec.structs.replace(recipe, base_weights=BaseWeights.FROZEN))
    check = collated(held, base.tokenizer, pad)
    before = _measured(model, check, recipe.beta)

    def loss_of(batch: Preferred) -> torch.Tensor:
        return loss(*log_probabilities(model, batch), recipe.beta)

    began_s = time.monotonic()
    source = _batches(kept, base.tokenizer, pad, recipe)
    losses = tune.fit(model, source, loss_of, recipe, report)
    after = _measured(model, check, recipe.beta)
    told = {name: {"before": before[name], "after": after[name]} for name in before}
    return tune.Tuned(model, losses, told, (time.monotonic() - began_s) / 60)


def log_probabilities(
    model: PeftModel, batch: Preferred
) -> tuple[tuple[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]:
    """(chosen, rejected) log probabilities of the policy, and of the reference: adapter off, no dropout."""
    inner = model.get_base_model()
    training = model.training
    with torch.no_grad(), model.disable_adapter():
        model.eval()
        chosen, rejected = (tune.answer_log_probabilities(inner, one) for one in batch)
        model.train(training)
    policy = tuple(tune.answer_log_probabilities(inner, one) for one in batch)
    return (policy[0], policy[1]), (chosen, rejected)


def collated(pairs: list[Pair], tokenizer: Tokenizer, pad: int) -> Preferred:
    """The pairs as one batch."""
    return Preferred(
        loop.collate([loop.pair_of(tokenizer, one.prompt, one.chosen) for one in pairs], pad),
        loop.collate([loop.pair_of(tokenizer, one.prompt, one.rejected) for one in pairs], pad),
    )


def _batches(pairs: list[Pair], tokenizer: Tokenizer, pad: int, recipe: Recipe) -> Iterator[Preferred]:
    random = Random(recipe.seed)
    while True:
        yield collated(random.sample(pairs, min(recipe.batch, len(pairs))), tokenizer, pad)


@torch.no_grad()
def _measured(model: PeftModel, batch: Preferred, beta: float) -> dict[str, float]:
    model.eval()
    policy, reference = log_probabilities(model, batch)
    return {
        "margin": float(margins(policy, reference).mean()),
        "loss": float(loss(policy, reference, beta)),
    }
