"""`holdfast train`: models that the project trains itself."""

from pathlib import Path
from typing import Annotated

import typer

from inference.registry import next_version
from inference.tritonserver import MODEL
from operators.ladder import refusal
from streams.commands import tuning
from streams.commands.learning import reporting, require, tell
from streams.commands.output import AsJson
from streams.commands.train_risk import risk
from streams.commands.train_sentiment import sentiment
from streams.settings import load_settings

app = typer.Typer(help="Train the models that holdfast makes itself.", no_args_is_help=True)


app.command()(tuning.examples)
app.command()(tuning.lora)
app.command(name="pairs")(tuning.make_pairs)
app.command()(tuning.dpo)


@app.callback()
def _group() -> None:
    """Train the models that holdfast makes itself."""


app.command()(risk)


@app.command()
def nano(
    target: Annotated[
        Path | None,
        typer.Option(
            "--target", help="Folder for the model; a new version's in the model repository if none."
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="Fewer steps than the default, to try.")
    ] = None,
    threads: Annotated[int, typer.Option("--threads", min=1)] = 1,
    weights_of: Annotated[
        Path | None,
        typer.Option("--weights-of", metavar="FOLDER", help="Export this version's weights; train nothing."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train the small language model that the embedded Triton serves, and export it as a new version.

    Takes half an hour on one thread, and needs the extra `train`. Interrupted, it goes on
    from its last checkpoint when called again. It serves nobody until `holdfast models promote`.

    Example: holdfast train nano --threads 2
    Example: holdfast train nano --weights-of inference/model_repository/script/1
    """
    require("onnx", "tokenizers", "torch", "transformers")
    from inference.training.nano import STEPS, main  # torch takes seconds, and is an extra

    with reporting() as report:
        settings = load_settings()
        folder = target or next_version(settings.model_repository, MODEL)
        work_dir = settings.work_dir / "train"
        metrics = main(
            work_dir,
            folder,
            refusal=refusal,
            weights_of=weights_of,
            steps=steps or STEPS,
            threads=threads,
            report=report,
        )
    tell(metrics, folder, as_json)


app.command()(sentiment)
