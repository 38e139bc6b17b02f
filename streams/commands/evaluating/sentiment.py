"""`holdfast evaluate sentiment`: how well the model of sentiment reads texts that people have judged."""

import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import typer
from numpy.typing import NDArray
from rich.table import Table

from inference.agreement import figures
from inference.labelled import CLASSES, Labelled, is_test, key, read
from inference.registry import promoted
from inference.sentiment import MODEL, Sentiment, among
from schemas.errors import InputError
from streams.commands.output import AsJson, out, print_json, progress
from streams.settings import load_settings


def sentiment(
    data: Annotated[
        Path, typer.Option("--data", metavar="FILE", help="Parquet of label, and text or review.")
    ],
    predictions: Annotated[
        Path | None, typer.Option("--predictions", metavar="OUT", help="Parquet to write: row, label.")
    ] = None,
    unseen: Annotated[
        bool, typer.Option("--unseen", help="Only the texts that the split keeps from every training.")
    ] = False,
    model: Annotated[
        Path | None, typer.Option("--model", help="Folder of a version; the promoted one if none.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Read judged texts with the promoted model of sentiment, without training, and say how right it was.

    Labels are negative, neutral and positive, or the numbers 0 and 1; -1, 0 and 1; 0, 1 and 2. A file that
    knows two classes is answered in those two, and in its own spelling. Intervals are of 95 %; texts that say
    the same are drawn together.

    Example: holdfast evaluate sentiment --data reviews.parquet --predictions out.parquet
    """
    found = _unseen(read(data), data) if unseen else read(data)
    chosen = Sentiment.load(model or promoted(MODEL, load_settings().model_repository))
    probabilities, took_ms = _read(chosen, found.texts)
    said = among(probabilities, list(found.spelling))
    if predictions is not None:
        _write(predictions, found, said)
    names = {at: CLASSES[at] for at in sorted({*found.classes.tolist(), *said.tolist()})}
    told = figures(found.classes, said, names, [key(text) for text in found.texts])
    told = {"model": MODEL, "version": chosen.version} | told | {"ms_per_message": _quantiles(took_ms)}
    if as_json:
        print_json(told)
    else:
        _show(told)


def _unseen(found: Labelled, path: Path) -> Labelled:
    kept = np.array([is_test(text) for text in found.texts])
    if not kept.any():
        raise InputError(f"{path}: no text of it is kept from the training")
    texts = [text for text, is_kept in zip(found.texts, kept, strict=True) if is_kept]
    return Labelled(texts, found.rows[kept], found.classes[kept], found.spelling)


def _read(model: Sentiment, texts: list[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The probabilities, and what each message took on one thread, ms."""
    model.of(texts[:1])  # the first call prepares what all others use
    rows, took_ms = [], []
    with progress() as shown:
        for text in shown.track(texts, description="reading"):
            started_s = time.perf_counter()
            rows.append(model.of([text]))
            took_ms.append((time.perf_counter() - started_s) * 1e3)
    return np.concatenate(rows), np.array(took_ms)


def _write(path: Path, found: Labelled, said: NDArray[np.int64]) -> None:
    table = pa.table({"row": found.rows, "label": [found.spelling[at] for at in said.tolist()]})
    try:
        pq.write_table(table, path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from error


def _quantiles(took_ms: NDArray[np.float64]) -> dict[str, float]:
    return {
        "mean": float(took_ms.mean()),
        "p50": float(np.quantile(took_ms, 0.5)),
        "p99": float(np.quantile(took_ms, 0.99)),
        "max": float(took_ms.max()),
    }


def _show(told: dict[str, Any]) -> None:
    table = Table(
        "class", "texts", "precision", "recall", "F1", *(f"said {name}" for name in told["classes"])
    )
    for name, one in told["classes"].items():
        shares = (f"{one[figure]:.3f}" for figure in ("precision", "recall", "f1"))
        table.add_row(name, str(one["n"]), *shares, *map(str, told["confusion"][name].values()))
    out.print(table)
    for figure in ("accuracy", "macro_f1"):
        low, high = told["ci"][figure]
        out.print(f"{figure} {told[figure]:.3f} ({low:.3f} … {high:.3f})")
    took_ms = told["ms_per_message"]
    out.print(
        f"{told['n']:,} texts by version {told['version']}; "
        f"{took_ms['mean']:.2f} ms a message on one thread, p99 {took_ms['p99']:.2f} ms"
    )
