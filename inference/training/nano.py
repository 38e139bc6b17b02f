"""Makes the small model, from nothing to the files that the server loads and the card that describes them."""

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import GptOssForCausalLM
from transformers.utils import logging

from inference.client import TEMPERATURE, TOP_K, TOP_P
from inference.nano import Nano, Sampling
from inference.registry import promoted
from inference.training import base, card, evaluate, export, loop, model, tokenizer
from inference.training.corpus import HELD_OUT_SHARE, fingerprint
from inference.training.halfway import Progress
from inference.tritonserver import MODEL
from schemas.errors import InputError

STEPS = 6_000
SEED = 7
_EVALUATED = 1_000
_LOSSES = 6

Report = Callable[[str, int, int, str], None]
"""Called with the stage's name, what of it is done, of how much, and a remark (the loss)."""


def main(
    work_dir: Path,
    target: Path,
    *,
    refusal: evaluate.Refusal,
    weights_of: Path | None = None,
    steps: int = STEPS,
    seed: int = SEED,
    threads: int = 1,
    scripts: int = _EVALUATED,
    report: Report = lambda stage, done, total, remark: None,
) -> dict[str, Any]:
    """Trains the small model and writes it to `target`, with its card and the code that serves it.

    About half an hour on one thread.

    `work_dir` keeps the tokenizer and a checkpoint: called again with the same steps and seed, it goes on
    from there. `weights_of` is the folder of a version whose weights are taken, in place of training.
    `refusal` says why a script may not be sent, for the card to tell how many may. Returns the metrics that
    the card is written from.

    Raises:
        InputError: the model could not be exported, or `weights_of` holds none of this module's.
    """
    logging.set_verbosity_error()
    torch.set_num_threads(threads)
    trained = work_dir / "trained"
    trained.mkdir(parents=True, exist_ok=True)
    if weights_of is None:
        made, told = _trained(work_dir, trained, steps, seed, report)
    else:
        made, told = _known(weights_of, trained)
    made.save_pretrained(trained)
    target.mkdir(parents=True, exist_ok=True)
    told["model"]["bytes"] = export.export(trained, target)
    served = promoted(MODEL) / "model.py"
    if served.parent.resolve() != target.resolve():
        shutil.copyfile(served, target / served.name)

    scores, samples = scored(target, seed=seed, scripts=scripts, refusal=refusal, report=report)
    metrics = told | scores | {"promotion": promotion(scores["sampled"])}
    card.write(target, metrics, samples)
    return metrics


def _trained(
    work_dir: Path, tokenizer_dir: Path, steps: int, seed: int, report: Report
) -> tuple[GptOssForCausalLM, dict[str, Any]]:
    """A model that is trained here, and what its card tells of that."""
    torch.manual_seed(seed)
    words = tokenizer.train(seed)
    tokenizer.save(words, tokenizer_dir)
    made = model.create(tokenizer.token_id(words, tokenizer.PAD), tokenizer.token_id(words, tokenizer.END))
    reports = loop.fit(
        made,
        words,
        steps=steps,
        seed=seed,
        checkpoint=work_dir / f"checkpoint-{seed}-{steps}.pt",
        report=lambda at: report("train", at.step, at.steps, f"loss {at.loss:.3f}"),
    )
    return made, _told(made, reports, seed)


def _known(folder: Path, tokenizer_dir: Path) -> tuple[GptOssForCausalLM, dict[str, Any]]:
    """The model of a version that was trained by this module, and what its card tells of its training."""
    known = base.load(folder)
    tokenizer.save(known.tokenizer, tokenizer_dir)
    try:
        told: dict[str, Any] = json.loads((folder / "metrics.json").read_bytes())
        told["training"]["held_out"]
    except (OSError, ValueError, LookupError) as error:
        raise InputError(f"{folder} does not say how it was trained: {error!r}") from error
    return known.model, told | {"weights_of": folder.name}


def scored(
    folder: Path, *, seed: int, scripts: int, refusal: evaluate.Refusal, report: Report
) -> tuple[dict[str, Any], list[evaluate.Sample]]:
    """What the model in `folder` is worth, `greedy` and `sampled`, and the scripts that it wrote sampled."""
    nano = Nano(folder)
    scores = {}
    samples: list[evaluate.Sample] = []
    for name, sampling in {
        "greedy": Sampling(),
        "sampled": Sampling(temperature=TEMPERATURE, top_p=TOP_P, top_k=TOP_K, seed=seed),
    }.items():
        score, samples = evaluate.evaluate(
            nano,
            seed=seed,
            scripts=scripts,
            sampling=sampling,
            refusal=refusal,
            report=partial(_evaluated, report, f"evaluate {name}", scripts),
        )
        scores[name] = score._asdict()
    return scores, samples


def _evaluated(report: Report, stage: str, scripts: int, done: int) -> None:
    report(stage, done, scripts, "")


def promotion(sampled: dict[str, Any]) -> dict[str, float]:
    """The figures that a version is promoted by, at the temperature that is served."""
    return {"conditioning": sampled["right"]["all"], "guard_pass": min(sampled["sendable"].values())}


def _told(made: GptOssForCausalLM, reports: list[Progress], seed: int) -> dict[str, Any]:
    shape, last = made.config, reports[-1]
    every = max(1, len(reports) // _LOSSES)
    told = {at.step: at for at in (*reports[:1], *reports[every - 1 :: every], last)}
    return {
        "model": {
            "parameters": sum(parameter.numel() for parameter in made.parameters()),
            "layers": shape.num_hidden_layers,
            "hidden": shape.hidden_size,
            "vocabulary": shape.vocab_size,
            "experts": shape.num_local_experts,
            "active": shape.num_experts_per_tok,
        },
        "training": {
            "seed": seed,
            "steps": last.step,
            "batch": loop.BATCH,
            "rate": loop.LEARNING_RATE,
            "examples": last.step * loop.BATCH,
            "held_out": HELD_OUT_SHARE,
            "minutes": last.elapsed_s / 60,
        },
        "losses": [[at.step, round(at.loss, 4)] for at in told.values()],
        "temperature": TEMPERATURE,
        "data": {"fingerprint": fingerprint(seed)},
        "trained": datetime.now(UTC).date().isoformat(),
    }
