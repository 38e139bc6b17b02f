"""The training loop: batches of like length, the loss on the answer alone, checkpoints on the way."""

import math
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import torch
from tokenizers import Tokenizer
from torch.nn import functional
from transformers import GptOssForCausalLM
from transformers.models.gpt_oss.modeling_gpt_oss import load_balancing_loss_func

from inference.prompt import prompt
from inference.training.corpus import examples
from inference.training.halfway import Progress, resume, save
from inference.training.tokenizer import END, PAD, token_id

BATCH = 16
_POOL = 64
"""Batches that are sorted by length together, so that little is padding."""
LEARNING_RATE = 2e-3
WARM_UP_STEPS = 100
_CLIP = 1.0
_CHECKPOINT_S = 120
IGNORED = -100
"""A target that is none."""


class Batch(NamedTuple):
    """Token ids, and the ids to predict at each place (ignored but for the answer)."""

    ids: torch.Tensor
    targets: torch.Tensor


Pair = tuple[list[int], list[int]]


def batches(tokenizer: Tokenizer, seed: int) -> Iterator[Batch]:
    """Batches of the corpus without end, shuffled, each of examples of like length."""
    source = (pair_of(tokenizer, prompt(one.profile), one.script) for one in examples(seed))
    return pooled(source, token_id(tokenizer, PAD), seed, BATCH)


def pair_of(tokenizer: Tokenizer, asked: str, answer: str) -> Pair:
    """The ids of a prompt and its answer; what is to be predicted at each place: the answer and its end."""
    prompt_ids = tokenizer.encode(asked, add_special_tokens=False).ids
    answer_ids = [*tokenizer.encode(answer, add_special_tokens=False).ids, token_id(tokenizer, END)]
    return prompt_ids + answer_ids, [IGNORED] * (len(prompt_ids) - 1) + answer_ids


def pooled(source: Iterator[Pair], pad: int, seed: int, size: int) -> Iterator[Batch]:
    """Batches of `size` from an endless `source`, shuffled, each of pairs of like length."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        pool = sorted(islice(source, size * _POOL), key=lambda pair: len(pair[0]))
        for at in torch.randperm(_POOL, generator=generator).tolist():
            yield collate(pool[at * size : (at + 1) * size], pad)


def collate(pairs: list[Pair], pad: int) -> Batch:
    """One batch; padding stands on the right, where the causal mask keeps it from being seen."""
    longest = max(len(ids) for ids, _ in pairs)
    ids = torch.tensor([ids + [pad] * (longest - len(ids)) for ids, _ in pairs])
    targets = [targets + [IGNORED] * (longest - len(targets)) for _, targets in pairs]
    return Batch(ids, torch.tensor(targets))


def learning_rate(step: int, steps: int) -> float:
    """Share of the full rate: a linear warm-up, then a cosine down to a twentieth."""
    if step < WARM_UP_STEPS:
        return (step + 1) / WARM_UP_STEPS
    done = (step - WARM_UP_STEPS) / max(1, steps - WARM_UP_STEPS)
    return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def loss_of(model: GptOssForCausalLM, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean loss over the answers' tokens, and the loss that spreads the tokens over the experts."""
    output = model.model(input_ids=batch.ids, use_cache=False, output_router_logits=True)
    wanted = batch.targets != IGNORED
    # The head is the dearest part: it is asked only where there is something to predict.
    logits = model.lm_head(output.last_hidden_state[wanted])
    balance = load_balancing_loss_func(
        output.router_logits, model.config.num_local_experts, model.config.num_experts_per_tok
    )
    return functional.cross_entropy(logits, batch.targets[wanted]), balance


def fit(
    model: GptOssForCausalLM,
    tokenizer: Tokenizer,
    *,
    steps: int,
    seed: int,
    checkpoint: Path,
    report: Callable[[Progress], None],
    report_every: int = 50,
) -> list[Progress]:
    """Trains `model` in place for `steps`, or for what is left of them where `checkpoint` holds a part.

    Returns all reports. The checkpoint is written each two minutes and at the end.
    """
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate(step, steps))
    parts = (model, optimizer, schedule)
    first, before_s, told = resume(checkpoint, *parts) or (0, 0.0, ())
    reports = [Progress(*one) for one in told]
    source = batches(tokenizer, seed + 1 + first)
    started_s = saved_s = time.monotonic()
    total = torch.zeros(())
    model.train()
    for step in range(first, steps):
        loss, balance = loss_of(model, next(source))
        (loss + model.config.router_aux_loss_coef * balance).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), _CLIP)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        total += loss.detach()
        now_s = time.monotonic()
        if (step + 1) % report_every == 0:
            reports.append(
                Progress(step + 1, steps, float(total) / report_every, before_s + now_s - started_s)
            )
            report(reports[-1])
            total.zero_()
        if now_s - saved_s > _CHECKPOINT_S or step + 1 == steps:
            saved_s = now_s
            state = (step + 1, before_s + now_s - started_s, [tuple(one) for one in reports])
            save(checkpoint, state, *parts)
    model.eval()
    return reports
