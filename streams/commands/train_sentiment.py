"""`holdfast train sentiment`: the model of sentiment, from texts or from a checkpoint of one's own."""

from pathlib import Path
from typing import Annotated

import typer

from inference.registry import next_version
from inference.sentiment import MODEL
from schemas.errors import InputError
from streams.commands.learning import reporting, require, tell
from streams.commands.output import AsJson, out
from streams.settings import load_settings


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
        typer.Option("--target", help="Folder of the version; a new one in the model repository if none."),
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
    require("onnx", "torch", "transformers")
    from inference.training.sentiment import checkpoint as own  # torch takes seconds, and is an extra
    from inference.training.sentiment import export, finetune, main, pretrain

    settings = load_settings()
    folder = target or next_version(settings.model_repository, MODEL)
    if not data:
        if checkpoint is None:
            raise InputError("give files of labelled texts, or a --checkpoint that classifies already")
        export.export(own.judge_of(checkpoint), own.tokenizer_of(checkpoint), folder)
        out.print(f"the checkpoint is in {folder}")
        return
    with reporting() as report:
        metrics = main.main(
            data,
            settings.work_dir / "train-sentiment",
            folder,
            checkpoint=checkpoint,
            pretrain_epochs=pretrain_epochs or pretrain.EPOCHS,
            epochs=epochs or finetune.EPOCHS,
            threads=threads,
            report=report,
        )
    tell(metrics, folder, as_json)
