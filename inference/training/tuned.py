"""Makes a new version of a model by training it on (LoRA on examples, DPO on pairs), and its card."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import torch

from inference.client import TEMPERATURE
from inference.nano import NAME
from inference.preferences import Pair
from inference.training import adapter, base, dpo, package, records, tune
from inference.training.evaluate import Refusal, Sample
from inference.training.nano import SEED, Report, promotion, scored
from inference.training.recipe import BaseWeights, Recipe
from inference.training.records import Answered

Train = Callable[[base.Base, tune.Report], tune.Tuned]


class Order(NamedTuple):
    """What is to be made: of which base, of which data, where to; `scripts` are written to evaluate it, where
    it is a small model, and `refusal` says which of them may not be sent."""

    base: Path
    data: Path
    target: Path
    recipe: Recipe
    refusal: Refusal
    scripts: int
    report: Report


def lora(order: Order) -> dict[str, Any]:
    """Trains on the examples in `order.data`. Returns the metrics, which the card is written from.

    Raises:
        InputError: base, data or target cannot be used.
    """
    examples = records.read(order.data, Answered)
    data = {"records": len(examples), "remark": ""}
    what = "Trained on by LoRA on examples of what is wanted, the adapter merged in. Loss in nats a token."
    return _made(order, what, data, lambda known, report: tune.lora(known, examples, order.recipe, report))


def preferred(order: Order) -> dict[str, Any]:
    """Trains on the pairs in `order.data` by DPO; the card says how many of them are simulated.

    Raises:
        InputError: base, data or target cannot be used.
    """
    pairs = records.read(order.data, Pair)
    data = {"records": len(pairs), "remark": f", {sum(pair.simulated for pair in pairs)} of them simulated"}
    order = order._replace(recipe=msgspec.structs.replace(order.recipe, base_weights=BaseWeights.FROZEN))
    what = (
        "Trained on by DPO on pairs of scripts, the adapter merged in. Margin in nats, loss as in the paper."
    )
    return _made(order, what, data, lambda known, report: dpo.dpo(known, pairs, order.recipe, report))


def _made(order: Order, what: str, data: dict[str, Any], train: Train) -> dict[str, Any]:
    torch.set_num_threads(1)
    known = base.load(order.base)
    tuned = train(known, lambda step, steps, loss: order.report("train", step, steps, f"loss {loss:.3f}"))
    changed = adapter.changed(tuned.model)
    written_bytes = package.write(known, adapter.merge(tuned.model), changed, order.target)
    digest = records.fingerprint(order.data)
    metrics: dict[str, Any] = {
        "model": {"parameters": sum(one.numel() for one in known.model.parameters()), "bytes": written_bytes},
        "training": _training(order.recipe) | {"minutes": tuned.minutes, "base": order.base.name},
        "data": data | {"file": order.data.name, "fingerprint": f"blake2b:{digest}"},
        "trained": datetime.now(UTC).date().isoformat(),
        "losses": tuned.losses,
        "held_out": tuned.held_out,
        "temperature": TEMPERATURE,
    }
    samples: list[Sample] = []
    if known.is_onnx:
        scores, samples = scored(
            order.target, seed=SEED, scripts=order.scripts, refusal=order.refusal, report=order.report
        )
        metrics |= scores
        metrics["promotion"] = promotion(scores["sampled"])
    title = NAME if known.is_onnx else order.base.parent.name
    package.write_card(order.target, f"{title}, version {order.target.name}", what, metrics, samples)
    return metrics


def _training(recipe: Recipe) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(recipe)
    return told | told.pop("adapter") | {"projections": ", ".join(recipe.adapter.projections)}
