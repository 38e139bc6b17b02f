"""From a model that was trained on to a new version: weights as its server loads them, card and metrics."""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file
from transformers import GptOssForCausalLM

from inference.training import card, export, tokenizer
from inference.training.base import Base
from inference.training.evaluate import Sample
from schemas.errors import InputError

_INDEX = "model.safetensors.index.json"
_BACKEND = "model.py"
_CARD = """# {title}

{what}

## Made from
Base: `{base}`. Data: `{file}`, {records:,} records, `{fingerprint}`{remark}.
{steps} steps of {batch}, adapter of rank {rank} (alpha {alpha}, dropout {dropout}) on {projections} at
{adapter_rate:g}, base weights: {base_weights} at {base_rate:g}. {minutes:.1f} minutes.

## What the training did
On records that were held out of it:

| | before | after |
| --- | --- | --- |
{held_out}

{figures}
"""


def write(base: Base, merged: GptOssForCausalLM, changed: set[str], target: Path) -> int:
    """Writes `merged` to `target` in the format that `base` has; returns the bytes written.

    Of the small model that is ONNX. Of a checkpoint it is the base's own safetensors with the tensors
    `changed` (by name) put in: all others, packed experts too, are the base's bit by bit.

    Raises:
        InputError: the target is the base itself, or the model could not be exported.
    """
    if target.resolve() == base.folder.resolve():
        raise InputError(f"{target} is the base: give the new version a folder of its own")
    target.mkdir(parents=True, exist_ok=True)
    if not base.is_onnx:
        return _write_checkpoint(base.folder, merged, changed, target)
    with tempfile.TemporaryDirectory() as scratch:
        merged.save_pretrained(scratch)
        tokenizer.save(base.tokenizer, Path(scratch))
        written_bytes = export.export(Path(scratch), target)
    if (base.folder / _BACKEND).exists():
        shutil.copyfile(base.folder / _BACKEND, target / _BACKEND)
    return written_bytes


def _write_checkpoint(source: Path, merged: GptOssForCausalLM, changed: set[str], target: Path) -> int:
    state = merged.state_dict()
    left = set(changed)
    for path in sorted(source.iterdir()):
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as shard:
                names, about = list(shard.keys()), shard.metadata()
                tensors = {name: shard.get_tensor(name) for name in names}
            for name in left & set(names):
                tensors[name] = state[name].to("cpu", tensors[name].dtype).contiguous()
            left -= set(names)
            save_file(tensors, target / path.name, metadata=about or {"format": "pt"})
        elif path.is_file() and path.name not in ("MODEL_CARD.md", "metrics.json"):
            shutil.copyfile(path, target / path.name)
    if left:
        raise InputError(f"{source} has no tensor {min(left)}, which was trained")
    return sum(path.stat().st_size for path in target.glob("*.safetensors"))


def write_card(target: Path, title: str, what: str, metrics: dict[str, Any], samples: list[Sample]) -> None:
    """Writes `MODEL_CARD.md`, with some of the `samples`, and `metrics.json` to `target`."""
    (target / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    held_out = "\n".join(
        f"| {name} | {one['before']:.4f} | {one['after']:.4f} |" for name, one in metrics["held_out"].items()
    )
    parts = (
        metrics["training"] | metrics["data"] | {"held_out": held_out, "figures": _figures(metrics, samples)}
    )
    (target / "MODEL_CARD.md").write_text(_CARD.format(title=title, what=what, **parts), encoding="utf-8")


def _figures(metrics: dict[str, Any], samples: list[Sample]) -> str:
    if "greedy" not in metrics:
        return "Its scripts were not evaluated: that takes a server."
    greedy, sampled = metrics["greedy"], metrics["sampled"]
    rows = [
        (name, greedy[kind][name], sampled[kind][name])
        for kind in ("right", "sendable")
        for name in greedy[kind]
    ]
    return "\n".join(
        (
            f"{card.PURPOSE}\n",
            f"## Scripts\nOf {greedy['scripts']} for held-out headers, the share that is right in each",
            "aspect, and that may be sent, by locale.\n",
            f"| | greedy | temperature {metrics['temperature']} |",
            "| --- | --- | --- |",
            *(f"| {name} | {one:.1%} | {other:.1%} |" for name, one, other in rows),
            f"\n{greedy['cpu_ms_per_script']:.1f} ms of processor time and",
            f"{greedy['tokens_per_script']:.0f} tokens a script.\n",
            f"{card.LIMITS}\n",
            f"## Samples\n{card.some(samples)}",
        )
    )
