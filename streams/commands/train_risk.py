"""`holdfast train risk`: the churn model, from logs."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from inference.registry import next_version
from inference.risk import MODEL
from inference.tritonserver import MODEL_REPOSITORY
from schemas.errors import InputError
from streams.commands.output import AsJson, notice, out, print_json


def risk(
    data: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATA…", help="Logs of chats; the first is the one that versions are compared on."
        ),
    ],
    target: Annotated[
        Path | None,
        typer.Option("--target", help="Folder of the version; a new one in the model repository if none."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train the churn model on logs, measure it on users and times that it has not seen, and write its card.

    The same logs give the same model. Needs the extra `train`.

    Example: holdfast train risk whatwg_irc_events.parquet
    """
    if find_spec("onnx") is None:
        raise InputError("training needs onnx: install the extra with  uv pip install -e '.[train]'")
    from streams.risk.training import train  # the libraries take seconds, and are an extra

    folder = target or next_version(MODEL_REPOSITORY, MODEL)
    metrics = train(data, folder, draws=1000, report=notice)
    if as_json:
        print_json(metrics)
        return
    out.print(f"the model and its card are in {folder}")
