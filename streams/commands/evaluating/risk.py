"""`holdfast evaluate risk`: how well the churn model foresees who leaves, on a log of your own."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from inference.registry import promoted
from inference.risk import MODEL, load
from operators.signals import NAMES
from streams.commands.output import AsJson, day, out, print_json
from streams.commands.records import AnswersFile
from streams.datasets import read_answers
from streams.risk.log import read_log
from streams.risk.protocol import LEAD_H, Task
from streams.risk.scoring import figures, score, write_predictions
from streams.settings import load_settings

MAX_LEAD_H = 30 * 24


def risk(
    data: Annotated[
        Path,
        typer.Option(
            "--data", metavar="PATH", help="A log: events, a known dataset, or a folder of the same users'."
        ),
    ],
    task: Annotated[
        Task, typer.Option("--task", help="Judge everyone who is active, or those who seem to be well.")
    ] = Task.BROAD,
    lead_h: Annotated[
        int, typer.Option("--lead-h", min=0, max=MAX_LEAD_H, help="How many hours ahead of the 30 days.")
    ] = LEAD_H,
    predictions: Annotated[
        Path | None,
        typer.Option("--predictions", metavar="OUT", help="Parquet to write: user, tau, probability."),
    ] = None,
    answers: AnswersFile = None,
    model: Annotated[
        Path | None, typer.Option("--model", help="Folder of a version; the promoted one if none.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Score a log at weekly cut-offs with the promoted churn model, and say how right it was.

    A user churned at a cut-off when no event followed in 30 days. The probability is that of LEAD_H hours
    before the cut-off, from the 30 days up to then. `broad` judges every user who was active in them, `hard`
    those with at least 3 active days, one of them in the last 7. Intervals are of 95 %, users drawn.

    With --answers it is judged for the users and moments in that file, and by what that says of them.

    Example: holdfast evaluate risk --data log.parquet --task hard --predictions out.parquet
    """
    log = read_log(data)
    asked = None if answers is None else read_answers(answers)
    chosen = load(model or promoted(MODEL, load_settings().model_repository), NAMES)
    scored = score(chosen, log, task, lead_h, asked)
    if predictions is not None:
        write_predictions(predictions, scored)
    found = figures(scored, chosen.calibration.balanced_threshold[task])
    facts = {"task": task.value, "lead_h": lead_h, "model": MODEL, "version": chosen.version}
    if as_json:
        flat = {name: value["value"] if isinstance(value, dict) else value for name, value in found.items()}
        ci = {name: value["ci"] for name, value in found.items() if isinstance(value, dict)}
        print_json(facts | flat | {"ci": ci})
        return
    table = Table("figure", "value", "95 %")
    for name, value in found.items():
        if isinstance(value, dict):
            table.add_row(name, f"{value['value']:.3f}", " … ".join(f"{bound:.3f}" for bound in value["ci"]))
    out.print(table)
    dropped = [day(ts_ms)[:10] for ts_ms in found["dropped"]]
    out.print(
        f"{found['n']:,} rows of {found['users']:,} users at {found['cutoffs']} cut-offs;"
        f" {task.value}, {lead_h} h ahead, version {chosen.version}"
    )
    if dropped:
        out.print(f"dropped, since the log has holes: {len(dropped)} from {dropped[0]} to {dropped[-1]}")
