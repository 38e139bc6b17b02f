"""The training loop of both stages: batches of like length, a rate that rises and falls, checkpoints."""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from inference.training.halfway import Progress, resume, save

TOKENS = 3_000
"""Of a batch, padding included."""
_POOL = 2_000
"""Texts that are sorted by length together, so that little is padding."""
_WARM_UP = 0.06
_CLIP = 1.0
_CHECKPOINT_S = 60
_REPORT_EVERY = 50


class Batch(NamedTuple):
    """Token ids and their mask, shape [n, tokens], and which texts they are, shape [n]."""

    ids: torch.Tensor
    mask: torch.Tensor
    texts: torch.Tensor


def epoch(ids: Sequence[Sequence[int]], pad: int, seed: int) -> list[Batch]:
    """All texts once, shuffled, in batches of like length. The same seed gives the same batches."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(ids), generator=generator).tolist()
    batches = []
    for at in range(0, len(order), _POOL):
        batches += list(_packed(sorted(order[at : at + _POOL], key=lambda text: len(ids[text])), ids, pad))
    return [batches[at] for at in torch.randperm(len(batches), generator=generator).tolist()]


def _packed(order: list[int], ids: Sequence[Sequence[int]], pad: int) -> Iterator[Batch]:
    batch: list[int] = []
    for text in order:
        if batch and (len(batch) + 1) * len(ids[text]) > TOKENS:
            yield padded(batch, ids, pad)
            batch = []
        batch.append(text)
    yield padded(batch, ids, pad)


def padded(texts: Sequence[int], ids: Sequence[Sequence[int]], pad: int) -> Batch:
    """The batch of these texts."""
    longest = max(len(ids[text]) for text in texts)
    rows = torch.tensor([[*ids[text], *[pad] * (longest - len(ids[text]))] for text in texts])
    lengths = torch.tensor([len(ids[text]) for text in texts])
    return Batch(rows, (torch.arange(longest) < lengths[:, None]).long(), torch.tensor(texts))


def fit(
    model: torch.nn.Module,
    ids: Sequence[Sequence[int]],
    loss_of: Callable[[Batch], torch.Tensor],
    *,
    pad: int,
    epochs: int,
    rate: float,
    seed: int,
    checkpoint: Path,
    report: Callable[[Progress], None],
    checkpoint_s: float = _CHECKPOINT_S,
) -> list[Progress]:
    """Trains `model` in place over `epochs` of the texts, from `checkpoint` on where it holds a part.

    A checkpoint is written each `checkpoint_s` and at the end; it fits a call with the same texts and
    settings.
    """
    per_epoch = len(epoch(ids, pad, seed))
    steps = epochs * per_epoch
    decayed = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    plain = [parameter for parameter in model.parameters() if parameter.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.02}, {"params": plain, "weight_decay": 0.0}],
        lr=rate,
        betas=(0.9, 0.98),
    )
    warm_up = max(1, round(_WARM_UP * steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm_up, (steps - step) / max(1, steps - warm_up))
    )
    parts = (model, optimizer, schedule)
    reports = [Progress(*one) for one in resume(checkpoint, *parts) or ()]
    first, before_s = (reports[-1].step, reports[-1].elapsed_s) if reports else (0, 0.0)
    torch.manual_seed(seed + first)
    started_s = saved_s = time.monotonic()
    total, seen = 0.0, 0
    batches: list[Batch] = []
    model.train()
    for step in range(first, steps):
        if not batches or step % per_epoch == 0:
            batches = epoch(ids, pad, seed + step // per_epoch)[:per_epoch]
        loss = loss_of(batches[min(step % per_epoch, len(batches) - 1)])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), _CLIP)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        total, seen = total + float(loss.detach()), seen + 1
        now_s = time.monotonic()
        if (step + 1) % _REPORT_EVERY == 0 or step + 1 == steps:
            reports.append(Progress(step + 1, steps, total / seen, before_s + now_s - started_s))
            report(reports[-1])
            total, seen = 0.0, 0
            if now_s - saved_s > checkpoint_s or step + 1 == steps:
                saved_s = now_s
                save(checkpoint, [tuple(one) for one in reports], *parts)
    model.eval()
    return reports
