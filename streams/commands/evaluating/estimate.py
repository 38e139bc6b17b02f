"""`holdfast evaluate estimate`: what the language model makes of churn, beside LightGBM."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from inference.estimate import Estimator
from inference.nano import Nano
from schemas.errors import InputError
from streams.commands.output import AsJson, out, print_json, progress
from streams.commands.tuning import events_of
from streams.estimating import compared
from streams.questions import questions


def estimate(
    data: Annotated[Path, typer.Option("--data", metavar="FILE", help="A log of events.")],
    model: Annotated[Path, typer.Option("--model", metavar="FOLDER", help="A version of the small model.")],
    train: Annotated[
        int, typer.Option("--train", min=100, help="Questions that LightGBM learns from.")
    ] = 24_000,
    test: Annotated[int, typer.Option("--test", min=100, help="Questions that both are asked.")] = 6_000,
    as_json: AsJson = False,
) -> None:
    """Ask a language model of users and times that it never saw who will leave, 72 h ahead.

    One forward pass a question. LightGBM is trained on the questions' own features and asked the same.
    Intervals are of 95 %, users drawn.

    Example: holdfast evaluate estimate --data log.parquet --model /tmp/script/2 --json
    """
    if not (model / "model.onnx").exists():
        raise InputError(f"{model} holds no small model")
    rows = list(questions(events_of(data), train=train, test=test))
    asked = Estimator(Nano(model))
    with progress() as shown:
        bar = shown.add_task("ask", total=sum(one.is_test for one in rows))

        def one(text: str) -> float:
            shown.advance(bar)
            return asked.estimate(text)

        found = compared(rows, one)
    if as_json:
        print_json(found)
        return
    table = Table("task", "who", "AUC", "95 %", "average precision")
    for task, of in found.items():
        for who in ("language_model", "lightgbm", "blend"):
            auc, precision = of[who]["auc"], of[who]["average_precision"]
            bounds = " … ".join(f"{bound:.3f}" for bound in auc["ci"])
            table.add_row(
                task, who.replace("_", " "), f"{auc['value']:.3f}", bounds, f"{precision['value']:.3f}"
            )
        bounds = " … ".join(f"{bound:+.3f}" for bound in of["gain"]["ci"])
        table.add_row(task, "blend less LightGBM", f"{of['gain']['value']:+.3f}", bounds, "")
    out.print(table)
