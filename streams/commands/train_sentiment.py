"""`holdfast train sentiment`: the model of sentiment, from texts or from a checkpoint of one's own."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from inference.sentiment import MODEL
from inference.tritonserver import MODEL_REPOSITORY
from schemas.errors import InputError
from streams.commands.output import AsJson, notice, out, print_json, progress
from streams.settings import load_settings

_EXTRA = ("onnx", "torch", "transformers")


def sentiment(
    data: Annotated[
        list[Path] | None,
        typer.Argument(metavar="DATA…", help="Parquet files of label, and text or review."),
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option("--checkpoint", help="Folder of a BERT, as Hugging Face saves it.")
    ] = None,
    target: Annotated[
        Path | None,
        typer.Option("--target", help="Folder for the model; version 1 of the model repository if none."),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option("--epochs", min=1, help="Other than the default, of the fine-tuning.")
    ] = None,
    pretrain_epochs: Annotated[
        int | None, typer.Option("--pretrain-epochs", min=1, help="Other than the default.")
    ] = None,
    threads: Annotated[int, typer.Option("--threads", min=1)] = 1,
    as_json: AsJson = False,
) -> None:
    """Train the model that says whether a message is negative, neutral or positive, and export it.

    Vocabulary, pre-training and fine-tuning from DATA alone take half an hour on one thread. With
    --checkpoint, that BERT is fine-tuned on DATA instead; without DATA it must classify already, and is
    exported as it is.
    Needs the extra `train`. Interrupted, it goes on from its last checkpoint when called again.

    Example: holdfast train sentiment reviews.parquet conversations.parquet
    """
    missing = [name for name in _EXTRA if find_spec(name) is None]
    if missing:
        raise InputError(
            f"training needs {', '.join(missing)}: install the extra with  uv pip install -e '.[train]'"
        )
    from inference.training.sentiment import checkpoint as own  # torch takes seconds, and is an extra
    from inference.training.sentiment import export, finetune, main, pretrain

    folder = target or MODEL_REPOSITORY / MODEL / "1"
    if not data:
        if checkpoint is None:
            raise InputError("give files of labelled texts, or a --checkpoint that classifies already")
        export.export(own.judge_of(checkpoint), own.tokenizer_of(checkpoint), folder)
        out.print(f"the checkpoint is in {folder}")
        return
    with progress() as shown:
        bar = shown.add_task("starting", total=None)

        def report(stage: str, done: int, total: int, remark: str) -> None:
            shown.update(bar, description=f"{stage} {remark}".strip(), completed=done, total=total)
            if shown.disable:
                notice(f"{stage}: {done}/{total} {remark}")

        metrics = main.main(
            data,
            load_settings().work_dir / "train-sentiment",
            folder,
            checkpoint=checkpoint,
            pretrain_epochs=pretrain_epochs or pretrain.EPOCHS,
            epochs=epochs or finetune.EPOCHS,
            threads=threads,
            report=report,
        )
    if as_json:
        print_json(metrics)
        return
    out.print(f"the model and its card are in {folder}")
