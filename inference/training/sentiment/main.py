"""Makes the model of sentiment, from texts to the files that are loaded and the card that describes them."""

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from inference.agreement import agreement, figures
from inference.intervals import bootstrap
from inference.labelled import CLASSES, key
from inference.ngrams import Ngrams, is_chinese, pieces
from inference.sentiment import NGRAMS, Network, Sentiment, among, blended, log_softmax
from inference.training.halfway import Progress
from inference.training.sentiment import baseline, card, finetune, pretrain, vocabulary
from inference.training.sentiment.checkpoint import encoder_of, tokenizer_of
from inference.training.sentiment.data import Part, Source, load
from inference.training.sentiment.export import export

SEED = 7
_SHARES = np.linspace(0, 1, 21)
Report = Callable[[str, int, int, str], None]
"""Called with the stage's name, what of it is done, of how much, and a remark (the loss)."""


def main(
    paths: Sequence[Path],
    work_dir: Path,
    target: Path,
    *,
    checkpoint: Path | None = None,
    pretrain_epochs: int = pretrain.EPOCHS,
    epochs: int = finetune.EPOCHS,
    seed: int = SEED,
    threads: int = 1,
    report: Report = lambda stage, done, total, remark: None,
) -> dict[str, Any]:
    """Trains on the files of `paths` and writes the model and its card to `target`.

    Vocabulary and encoder are made from the texts, or taken from the BERT in the folder `checkpoint`.

    `work_dir` keeps a checkpoint of each stage: called again with the same files and settings, it goes on
    from there. Returns the metrics that the card is written from.

    Raises:
        InputError: a file cannot be read as labelled texts.
    """
    torch.set_num_threads(threads)
    work_dir.mkdir(parents=True, exist_ok=True)
    sources = load(paths)
    train = _together([source.train for source in sources])
    words = sorted({*train.texts, *(text for source in sources for text in source.unlabelled)})

    def told(stage: str) -> Callable[[Progress], None]:
        return lambda at: report(stage, at.step, at.steps, f"loss {at.loss:.3f}")

    if checkpoint is None:
        tokenizer = vocabulary.train(words)
        encoder, read = pretrain.encoder(
            tokenizer,
            [encoding.ids for encoding in tokenizer.encode_batch(words)],
            epochs=pretrain_epochs,
            seed=seed,
            checkpoint=work_dir / "pretrained.pt",
            report=told("pre-train"),
        )
    else:
        tokenizer, encoder, read = tokenizer_of(checkpoint), encoder_of(checkpoint), []
    model, tuned = finetune.classifier(
        encoder,
        tokenizer,
        train.texts,
        train.classes,
        epochs=epochs,
        rate=finetune.RATE if checkpoint is None else finetune.RATE_OF_CHECKPOINT,
        seed=seed,
        checkpoint=work_dir / "finetuned.pt",
        report=told("fine-tune"),
    )
    size_bytes = export(model, tokenizer, target)
    report("baselines", 0, 1, "")
    valid = _together([source.valid for source in sources])
    languages = [baseline.tuned(_in(train, at), _in(valid, at), pieces) for at in (False, True)]
    metrics = {
        "trained": datetime.now(UTC).date().isoformat(),
        "data": _data(sources),
        "training": _story(model, read, tuned, seed, size_bytes)
        | {"strengths": [one.strength for one in languages]},
    } | _measured(sources, valid, target, languages)
    card.write(target, metrics)
    return metrics


def _together(parts: Sequence[Part]) -> Part:
    return Part(
        [text for part in parts for text in part.texts], np.concatenate([part.classes for part in parts])
    )


def _data(sources: list[Source]) -> dict[str, Any]:
    together = hashlib.sha256("".join(source.sha256 for source in sources).encode())
    files = [_fingerprint(source) for source in sources]
    return {"fingerprint": f"sha256:{together.hexdigest()}", "files": files}


def _fingerprint(source: Source) -> dict[str, Any]:
    parts = {
        name: len(part.texts)
        for name, part in (("train", source.train), ("valid", source.valid), ("test", source.test))
    }
    return (
        {"name": source.name, "sha256": source.sha256, "rows": source.rows}
        | parts
        | {"unlabelled": len(source.unlabelled)}
    )


def _story(
    model: torch.nn.Module, read: list[Progress], tuned: list[Progress], seed: int, size_bytes: int
) -> dict[str, Any]:
    return {
        "seed": seed,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "network_bytes": size_bytes,
        "stages": [
            {
                "name": name,
                "steps": one[-1].step,
                "of": one[-1].steps,
                "loss": one[-1].loss,
                "minutes": one[-1].elapsed_s / 60,
            }
            for name, one in (("pre-training", read), ("fine-tuning", tuned))
            if one
        ],
    }


def _in(part: Part, chinese: bool) -> Part:
    chosen = np.array([is_chinese(text) == chinese for text in part.texts])
    return Part([part.texts[at] for at in np.flatnonzero(chosen)], part.classes[chosen])


def _measured(
    sources: list[Source], valid: Part, target: Path, languages: list[baseline.Baseline]
) -> dict[str, Any]:
    """What is shipped, its parts, and each file's own baseline, on the same test texts."""
    network = Network(target)
    shares = [_share(_in(valid, bool(at)), network, one) for at, one in enumerate(languages)]
    baseline.save(languages, shares, target / NGRAMS)
    ngrams = Ngrams(target / NGRAMS)
    shipped = Sentiment.load(target)
    sets: dict[str, dict[str, Any]] = {}
    for source in sources:
        own = baseline.tuned(source.train, source.valid)
        texts, true = source.test
        answers = {
            "baseline": own.logits(texts),
            "ngrams": ngrams.logits(texts),
            "network": network.logits(texts),
            "shipped": shipped.of(texts),
        }
        names = {int(at): CLASSES[at] for at in np.unique(source.train.classes)}
        groups = [key(text) for text in texts]
        said = {name: among(answer, list(names)) for name, answer in answers.items()}
        sets[source.name] = {name: figures(true, one, names, groups) for name, one in said.items()} | {
            "baseline_strength": own.strength,
            "gain": _gain(true, said["baseline"], said["shipped"], list(names), groups),
        }
    mean = {
        name: float(np.mean([one[name]["macro_f1"] for one in sets.values()]))
        for name in ("baseline", "ngrams", "network", "shipped")
    }
    return {"shares": shares, "sets": sets, "mean_macro_f1": mean, "promotion": {"macro_f1": mean["shipped"]}}


def _share(valid: Part, network: Network, ngrams: baseline.Baseline) -> float:
    """The n-grams' say with which the blend tells best, by the mean loss on the validation part."""
    one, other = log_softmax(network.logits(valid.texts)), log_softmax(ngrams.logits(valid.texts))
    rows = np.arange(len(valid.classes))
    return float(min(_SHARES, key=lambda share: -blended(one, other, share)[rows, valid.classes].mean()))


def _gain(
    true: NDArray[np.int64],
    baseline_said: NDArray[np.int64],
    said: NDArray[np.int64],
    classes: list[int],
    groups: list[str],
) -> dict[str, Any]:
    """What the shipped model has over the baseline in macro-F1, drawn pairwise."""

    def gained(weights: NDArray[np.float64]) -> float:
        ours, theirs = (agreement(true, one, classes, weights).macro_f1 for one in (said, baseline_said))
        return ours - theirs

    return {"macro_f1": gained(np.ones(len(true))), "ci": list(bootstrap(gained, groups))}
