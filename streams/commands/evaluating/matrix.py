"""`holdfast evaluate`: the 15 figures at once, as a table, as JSON and as a picture."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.table import Table

from inference import risk as risk_model
from inference.intervals import LEVEL
from inference.registry import METRICS, promoted
from inference.tritonserver import MODEL as SCRIPT_MODEL
from operators.signals import NAMES
from schemas.codec import parse
from schemas.events import Tick
from streams.batch import recompute
from streams.commands.output import AsJson, keep, out, print_json
from streams.commands.records import Decisions, Outcomes, published, reported_outcomes
from streams.datasets import read_events
from streams.effects import Effects, Figure
from streams.matrix import Metric, lead_time, matrix
from streams.risk.log import read_log
from streams.risk.protocol import LEAD_H, Task
from streams.risk.scoring import figures, score
from streams.settings import load_settings


def all_figures(
    ctx: typer.Context,
    log: Annotated[
        Path | None,
        typer.Option(
            "--log", metavar="FILE", help="A chat's log, to judge the churn model and lead time on."
        ),
    ] = None,
    task: Annotated[Task, typer.Option("--task", help="Whom the churn model is judged on.")] = Task.BROAD,
    decisions: Decisions = None,
    outcomes: Outcomes = None,
    simulated: Annotated[
        bool,
        typer.Option("--simulated", help="Take the outcomes that a simulation made, in place of real ones."),
    ] = False,
    cost_per_script: Annotated[
        float | None,
        typer.Option("--cost-per-script", min=0, help="What a script costs you, offer included."),
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Write matrix.json and matrix.svg there.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print the 15 figures by which holdfast is judged, each with its interval, or why there is none yet.

    The churn model is judged on --log, else by its version's own held-out figures. Decisions and outcomes are
    those of the running stack, unless files are given.

    Example: holdfast evaluate --log log.parquet --out report
    Example: holdfast decisions --json > d.jsonl; holdfast evaluate --decisions d.jsonl --json
    """
    if ctx.invoked_subcommand is not None:
        return
    repository = load_settings().model_repository
    effects = Effects(published(decisions), reported_outcomes(outcomes), simulated)
    script = msgspec.json.decode((promoted(SCRIPT_MODEL, repository) / METRICS).read_bytes())
    rows = matrix(
        effects,
        _risk(repository, log, task),
        script,
        _lead(log),
        cost_per_script,
    )
    if to is not None:
        from streams.commands.evaluating.picture import draw  # matplotlib takes seconds

        keep(to, "matrix", _plain(rows), partial(draw, rows))
    if as_json:
        print_json(_plain(rows))
    else:
        out.print(_table(rows))


def _plain(rows: list[tuple[Metric, Figure]]) -> dict[str, Any]:
    return {
        metric.name: {**msgspec.structs.asdict(figure), **msgspec.structs.asdict(metric)}
        for metric, figure in rows
    }


def _table(rows: list[tuple[Metric, Figure]]) -> Table:
    table = Table("figure", "value", f"{LEVEL:.0%}", "n", "", box=None, pad_edge=False)
    for metric, figure in rows:
        if figure.value is None or figure.ci is None:
            table.add_row(metric.name, "–", "", "", f"[dim]{figure.missing}[/]")
            continue
        bounds = " … ".join(_number(metric, bound) for bound in figure.ci)
        remark = "; ".join(filter(None, (metric.definition, figure.remark)))
        table.add_row(
            metric.name, _number(metric, figure.value), bounds, f"{figure.n:,}", f"[dim]{remark}[/]"
        )
    return table


def _number(metric: Metric, value: float) -> str:
    return (
        f"{value:.1%}" if metric.unit == "share" else f"{value:,.3f}" if not metric.unit else f"{value:,.1f}"
    )


def _risk(repository: Path, log: Path | None, task: Task) -> Mapping[str, Any]:
    """The churn model's figures: on `log`, or those that its version came with."""
    folder = promoted(risk_model.MODEL, repository)
    if log is None:
        held_out = msgspec.json.decode((folder / METRICS).read_bytes())["held_out"]
        found: Mapping[str, Any] = next(iter(held_out.values()))[task.value]
        return found
    model = risk_model.load(folder, NAMES)
    scored = score(model, read_log(log), task, LEAD_H)
    return figures(scored, model.calibration.balanced_threshold[task])


def _lead(log: Path | None) -> Figure:
    if log is None:
        return Figure(missing="no log was given (--log)")
    last: dict[str, int] = {}

    def noted() -> Iterator[bytes]:
        for record in read_events(log):
            event = parse(record)
            if not isinstance(event, Tick):
                last[event.key] = max(event.ts, last.get(event.key, 0))
            yield record

    for _ in noted():
        pass  # the log's end must be known before it is recomputed
    return lead_time(recompute(read_events(log), max(last.values(), default=0)), last)
