"""Trains a model on: by examples of what is wanted (LoRA), in the two parameter groups of `adapter.py`."""

import time
from collections.abc import Callable, Iterable, Iterator
from random import Random
from typing import Any, NamedTuple, TypeVar

import torch
from peft import PeftModel
from torch.nn import functional

from inference.training import adapter, loop
from inference.training.base import Base
from inference.training.recipe import Recipe
from inference.training.records import Answered, is_held_out
from inference.training.tokenizer import PAD, token_id
from schemas.errors import InputError

_CLIP = 1.0
_REPORT_EVERY = 20
_WARM_UP_SHARE = 0.05
_HELD_OUT_BATCHES = 16

T = TypeVar("T")
Report = Callable[[int, int, float], None]
"""Called with the steps done, all steps, and the mean loss since the last report."""


class Tuned(NamedTuple):
    """The model with its adapter, the losses on the way (step, nats a token), and what it is like before and
    after on what was held out, by task."""

    model: PeftModel
    losses: list[tuple[int, float]]
    held_out: dict[str, dict[str, float]]
    minutes: float


def lora(base: Base, examples: list[Answered], recipe: Recipe, report: Report) -> Tuned:
    """Trains an adapter (and what the recipe says of the base) on `examples`.

    Raises:
        InputError: too few examples to hold any out.
    """
    pad = token_id(base.tokenizer, PAD)
    kept = [one for one in examples if not is_held_out(one.prompt)]
    held: dict[str, list[loop.Pair]] = {}
    for one in examples:
        if is_held_out(one.prompt):
            held.setdefault(one.task, []).append(loop.pair_of(base.tokenizer, one.prompt, one.answer))
    if not kept or not held:
        raise InputError(f"{len(examples)} examples are too few: none is left to train on or to hold out")
    pairs = [loop.pair_of(base.tokenizer, one.prompt, one.answer) for one in kept]
    before = {task: _loss_on(base.model, one, pad) for task, one in held.items()}
    model = adapter.attach(base.model, recipe)
    source = loop.pooled(_endless(pairs, recipe.seed), pad, recipe.seed, recipe.batch)

    def loss_of(batch: loop.Batch) -> torch.Tensor:
        return answer_loss(model.get_base_model(), batch)

    began_s = time.monotonic()
    losses = fit(model, source, loss_of, recipe, report)
    after = {task: _loss_on(model.get_base_model(), one, pad) for task, one in held.items()}
    told = {task: {"before": before[task], "after": after[task]} for task in held}
    return Tuned(model, losses, told, (time.monotonic() - began_s) / 60)


def fit(
    model: PeftModel,
    source: Iterable[T],
    loss_of: Callable[[T], torch.Tensor],
    recipe: Recipe,
    report: Report,
) -> list[tuple[int, float]]:
    """Takes the recipe's steps over `source` by the gradient of `loss_of`; returns the losses reported."""
    optimizer = torch.optim.AdamW(adapter.groups(model, recipe), weight_decay=0.01)
    warm_up = max(1, round(recipe.steps * _WARM_UP_SHARE))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm_up, 1 - 0.95 * step / recipe.steps)
    )
    trained = [one for one in model.parameters() if one.requires_grad]
    losses: list[tuple[int, float]] = []
    total, counted = 0.0, 0
    model.train()
    for step, batch in zip(range(1, recipe.steps + 1), source, strict=False):
        loss = loss_of(batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, _CLIP)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        total, counted = total + float(loss.detach()), counted + 1
        if step % _REPORT_EVERY == 0 or step == recipe.steps:
            losses.append((step, total / counted))
            report(step, recipe.steps, losses[-1][1])
            total, counted = 0.0, 0
    model.eval()
    return losses


def answer_loss(model: Any, batch: loop.Batch) -> torch.Tensor:
    """Mean cross-entropy over the answers' tokens, in nats."""
    return functional.cross_entropy(*_predicted(model, batch))


def answer_log_probabilities(model: Any, batch: loop.Batch) -> torch.Tensor:
    """The log probability of each answer, the sum over its tokens, in nats: shape (batch,)."""
    logits, wanted = _predicted(model, batch)
    of_tokens = -functional.cross_entropy(logits, wanted, reduction="none")
    rows = (batch.targets != loop.IGNORED).nonzero()[:, 0].to(of_tokens.device)
    return torch.zeros(len(batch.ids), device=of_tokens.device).index_add(0, rows, of_tokens)


def _predicted(model: Any, batch: loop.Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits at each place that has a target, and the targets: shapes (n, vocabulary) and (n,)."""
    device = model.lm_head.weight.device
    ids, targets = batch.ids.to(device), batch.targets.to(device)
    is_half = model.lm_head.weight.dtype is not torch.float32
    # Trained weights are in single precision beside a base in BF16: what they are multiplied in is BF16.
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=is_half):
        hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state
        wanted = targets != loop.IGNORED
        return model.lm_head(hidden[wanted]).float(), targets[wanted]


def _endless(pairs: list[loop.Pair], seed: int) -> Iterator[loop.Pair]:
    random, order = Random(seed), list(pairs)
    while True:
        random.shuffle(order)
        yield from order


@torch.no_grad()
def _loss_on(model: Any, pairs: list[loop.Pair], pad: int) -> float:
    model.eval()
    some = sorted(pairs[: _HELD_OUT_BATCHES * loop.BATCH], key=lambda pair: len(pair[0]))
    batches = [loop.collate(some[at : at + loop.BATCH], pad) for at in range(0, len(some), loop.BATCH)]
    tokens = [int((batch.targets != loop.IGNORED).sum()) for batch in batches]
    losses = [float(answer_loss(model, batch)) for batch in batches]
    return sum(loss * n for loss, n in zip(losses, tokens, strict=True)) / sum(tokens)
