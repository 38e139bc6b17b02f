"""`holdfast train risk`: the churn model, from logs."""

from pathlib import Path
from typing import Annotated

import typer

from inference.registry import next_version
from inference.risk import MODEL
from streams.commands.learning import require, tell
from streams.commands.output import AsJson, notice
from streams.commands.records import AnswersFile
from streams.settings import load_settings


def risk(
    data: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATA…",
            help="Logs; versions are compared on the first. A folder is one log.",
        ),
    ],
    target: Annotated[
        Path | None,
        typer.Option("--target", help="Folder of the version; a new one in the model repository if none."),
    ] = None,
    answers: AnswersFile = None,
    as_json: AsJson = False,
) -> None:
    """Train the churn model on logs, measure it on users and times that it has not seen, and write its card.

    The same logs give the same model. Needs the extra `train`.

    Example: holdfast train risk whatwg_irc_events.parquet yocto_irc_messages.parquet
    Example: holdfast train risk udacity/ --answers udacity_enrollments.parquet --target model
    """
    require("onnx")
    from streams.risk.training import train  # the libraries take seconds, and are an extra

    folder = target or next_version(load_settings().model_repository, MODEL)
    metrics = train(data, folder, answers=answers, draws=1000, report=notice)
    tell(metrics, folder, as_json)
