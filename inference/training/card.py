"""The model card: what the small model is, how it was made, and how well it does, as measured."""

import json
from pathlib import Path
from typing import Any

from inference.client import TEMPERATURE
from inference.training.evaluate import Sample, shown

_SAMPLES = 3
_WEIGHTS_OF = """
The weights are those of version {}, exported anew: it was not trained again."""
PURPOSE = """## What it is for
The live rung and the drafts of holdfast on a machine without a GPU. It composes phrases that were
written for it: it does not know anything beyond its corpus, and a text in another language or for
another purpose is outside of what it can do."""
LIMITS = """## Known limits
- It rearranges phrases; it does not write new ones. Whoever wants new ones adds them and trains again.
- It looks at the header and hardly at the sentences after it.
- A script that the guard refuses is not sent: the next rung is taken."""
_SAID = f"""The first from the held-out evaluation (temperature {TEMPERATURE}), unedited; then those that
break a rule or are refused, if any are.

"""
_TEXT = """# holdfast-nano

A language model of {parameters:,} parameters that writes short retention messages in English and
Chinese, as Mustache templates. It has GPT-OSS's architecture with every part: mixture of experts
({experts} experts, {active} a token), attention sinks, every other layer with a sliding window, YaRN.
{layers} layers, hidden size {hidden}, vocabulary {vocabulary}, {mib:.1f} MiB, matrices in 8 bits.{weights_of}

{purpose}

## Data
A corpus that this project makes (`inference/training/corpus.py`), by seed {seed}: headers drawn at
random, sentences as the encoder writes them, and scripts composed of phrases written for this purpose
and for nothing else, in `inference/training/fragments/`. No data of any user or customer is in it.
Its fingerprint is `{fingerprint}`.
{examples:,} examples were seen. One in {held_out} combinations of the header was never trained on; all
figures below are from those.

## Training
{steps} steps of {batch} examples, AdamW, cosine from {rate}, loss on the answer alone, {minutes:.0f}
minutes on one CPU thread. Loss (nats a token): {losses}. The corpus draws its phrases at random, so the
loss cannot go to 0.

## Conditioning
Share of scripts that do what the header asks. The rules are exact: a script that is a word off is wrong
in every respect.

| aspect | greedy | temperature {temperature} |
| --- | --- | --- |
{table}

## Guard
Share of those scripts that may be sent once they are filled: rendered with facts of every length that the
encoder lets through, and checked by the guard.

| locale | greedy | temperature {temperature} |
| --- | --- | --- |
{guard}

## Variety and cost
Distinct scripts, 2-grams, 4-grams: greedy {greedy_distinct}; sampled {sampled_distinct}. {scripts}
scripts each. {cpu_ms:.1f} ms of processor time a script, the prompt's share included, on one thread of the
machine that trained it, without the server. {tokens:.0f} tokens a script, half of them at most {p50}, 95 % at
most {p95}.

{limits}

## Samples
{samples}
"""


def write(folder: Path, metrics: dict[str, Any], samples: list[Sample]) -> None:
    """Writes `MODEL_CARD.md` and `metrics.json` to `folder`."""
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    greedy, sampled = metrics["greedy"], metrics["sampled"]
    rows = (
        f"| {name} | {share:.1%} | {sampled['right'][name]:.1%} |" for name, share in greedy["right"].items()
    )
    text = _TEXT.format(
        **metrics["model"],
        **metrics["training"],
        fingerprint=metrics["data"]["fingerprint"],
        weights_of=_WEIGHTS_OF.format(metrics["weights_of"]) if "weights_of" in metrics else "",
        mib=metrics["model"]["bytes"] / 2**20,
        losses=", ".join(f"{loss:.3f} at step {step}" for step, loss in metrics["losses"]),
        temperature=metrics["temperature"],
        table="\n".join(rows),
        guard="\n".join(
            f"| {locale} | {share:.1%} | {sampled['sendable'][locale]:.1%} |"
            for locale, share in greedy["sendable"].items()
        ),
        greedy_distinct=_distinct(greedy),
        sampled_distinct=_distinct(sampled),
        scripts=greedy["scripts"],
        cpu_ms=greedy["cpu_ms_per_script"],
        tokens=greedy["tokens_per_script"],
        p50=greedy["tokens_p50"],
        p95=greedy["tokens_p95"],
        samples=some(samples),
        purpose=PURPOSE,
        limits=LIMITS,
    )
    (folder / "MODEL_CARD.md").write_text(text, encoding="utf-8")


def some(samples: list[Sample]) -> str:
    """Some of what was written, as a card shows it."""
    good = [sample for sample in samples if _is_good(sample)][:_SAMPLES]
    bad = [sample for sample in samples if not _is_good(sample)][:_SAMPLES]
    return _SAID + "\n\n".join(f"```\n{shown(sample)}\n```" for sample in good + bad)


def _is_good(sample: Sample) -> bool:
    return sample.right["all"] and sample.refused is None


def _distinct(score: dict[str, Any]) -> str:
    return ", ".join(f"{share:.1%}" for share in score["distinct"].values())
