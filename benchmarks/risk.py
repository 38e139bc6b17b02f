"""`python -m benchmarks risk`: the churn model beside what else was tried, and what each group is worth."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from streams.commands.output import AsJson, notice, out, print_json
from streams.commands.records import AnswersFile
from streams.risk.protocol import LEAD_H


def risk(
    data: Annotated[Path, typer.Argument(metavar="FILE", help="A log, or a folder that is one.")],
    other: Annotated[
        Path | None, typer.Option("--other", help="A second log, of other users, that is only asked about.")
    ] = None,
    answers: AnswersFile = None,
    lead_h: Annotated[int, typer.Option("--lead-h", min=0, help="How many hours ahead.")] = LEAD_H,
    as_json: AsJson = False,
) -> None:
    """Compare the churn model with what else was tried, on users and times that were held out.

    Takes some minutes on one core, and the extra `train`.

    Example: python -m benchmarks risk whatwg_irc_events.parquet --other yocto_irc_messages.parquet
    """
    from benchmarks.tried import compare  # needs the extra

    found = compare(data, other, answers, lead_h, notice)
    if as_json:
        print_json(found)
        return
    table = Table(*(name.replace("_", " ") for name in found[0]))
    for figures in found:
        table.add_row(
            *(f"{value:.4f}" if isinstance(value, float) else str(value) for value in figures.values())
        )
    out.print(table)
