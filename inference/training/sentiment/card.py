"""The card of the model of sentiment: what it is, what it was made from, what it can and cannot do."""

import json
from pathlib import Path
from typing import Any

_TEXT = """\
# holdfast-sentiment

Says whether a customer's message is negative, neutral or positive, in Chinese and English. {kind}

## Data
{data}

The split goes by what a text says (letters and digits, without case and spaces): texts that say the same are
in the same part, in whatever file they stand. The vocabulary, the pre-training, the fine-tuning and the
n-grams saw the training part alone.

## Training
{stages}. On one thread of a machine that others used too; seed {seed}.

## Figures
On the test part, with intervals of 95 % (texts that say the same drawn together). The baseline is TF-IDF over
1 to 3 characters (English: words, pairs of words, 2 to 5 characters of a word) with logistic regression,
fitted to each file by itself, its strength tuned on the validation part. What is shipped knows no file from
another.

| file | texts | baseline | n-grams, all files | network, int8 | shipped | gain in macro-F1 |
| --- | --- | --- | --- | --- | --- | --- |
{table}

Accuracy / macro-F1. By class, as shipped:

| file | class | texts | precision | recall | F1 |
| --- | --- | --- | --- | --- | --- |
{classes}

## Known limits
- No Chinese text of the training is neutral: a Chinese question is said to be negative or positive. Compare
  its probabilities before acting on one.
- Satisfaction of a dialogue is a judgement of the whole turn; its text alone tells it only in part.
- Irony, and what only the message before would explain, is not seen.
"""
_COLUMNS = ("baseline", "ngrams", "network", "shipped")


def write(folder: Path, metrics: dict[str, Any]) -> None:
    """Writes `MODEL_CARD.md` and `metrics.json` to `folder`."""
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    text = _TEXT.format(
        seed=metrics["training"]["seed"],
        stages="; ".join(
            f"{one['name']}: {one['steps']:,} of {one['of']:,} steps, {one['minutes']:.0f} minutes, "
            f"loss at the end {one['loss']:.3f}"
            for one in metrics["training"]["stages"]
        ),
        kind=_kind(metrics),
        data="\n".join(
            f"- `{one['name']}`: {one['rows']:,} rows (sha256 {one['sha256'][:16]}…); {one['train']:,} texts "
            f"to train, {one['valid']:,} to validate, {one['test']:,} to test, "
            f"{one['unlabelled']:,} without label"
            for one in metrics["data"]["files"]
        ),
        table="\n".join(_row(name, one) for name, one in metrics["sets"].items()),
        classes="\n".join(
            f"| {name} | {label} | {found['n']:,} | {found['precision']:.3f} | {found['recall']:.3f} "
            f"| {found['f1']:.3f} |"
            for name, one in metrics["sets"].items()
            for label, found in one["shipped"]["classes"].items()
        ),
    )
    (folder / "MODEL_CARD.md").write_text(text, encoding="utf-8")


def _kind(metrics: dict[str, Any]) -> str:
    story = metrics["training"]
    return (
        f"It is a blend: a BERT\nof {story['parameters']:,} parameters "
        f"({story['network_bytes'] / 2**20:.1f} MiB in int8), trained as below,\n"
        f"and logistic regression over n-grams, which has {metrics['shares'][1]:.0%} of the say in Chinese\n"
        f"and {metrics['shares'][0]:.0%} in English (chosen on the validation part)."
    )


def _row(name: str, one: dict[str, Any]) -> str:
    shares = (f"{one[column]['accuracy']:.3f} / {one[column]['macro_f1']:.3f}" for column in _COLUMNS)
    low, high = one["gain"]["ci"]
    gain = f"{one['gain']['macro_f1']:+.3f} ({low:+.3f} … {high:+.3f})"
    return f"| {name} | {one['shipped']['n']:,} | {' | '.join(shares)} | {gain} |"
