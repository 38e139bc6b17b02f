"""`holdfast experiments`: what is tried on whom, and what the arms did."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.table import Table

from inference.experiments import Contrast
from schemas.errors import InputError, UnavailableError
from schemas.policy import RuleBook, Rules
from streams.commands.output import AsJson, UntilIfGiven, day, notice, out, print_json
from streams.commands.records import Decisions, Outcomes, published, reported_outcomes
from streams.experiments.metrics import GOALS, MARGINS
from streams.experiments.report import WINDOW_DAYS, Comparison, Plan, Report
from streams.experiments.report import report as report_on
from streams.experiments.units import HELD_OUT, HOLDOUT, Log, Trial, whole
from streams.experiments.words import figure
from streams.rulefile import load_rules
from streams.rules import read_rules
from streams.settings import load_settings

app = typer.Typer(help="Say what is tried on whom, and what the arms did.", no_args_is_help=True)

_Rules = Annotated[
    Path | None,
    typer.Option("--rules", metavar="FILE", help="All versions of the rules; those of the stack, if none."),
]


@app.callback()
def _group() -> None:
    """Say what is tried on whom, and what the arms did."""


@app.command("list")
def list_experiments(rules: _Rules = None, as_json: AsJson = False) -> None:
    """Print the experiments that are in the rules, of all versions: where they stand, and their arms.

    Example: holdfast experiments list
    """
    rows = list(_rows(_book(rules).versions))
    if as_json:
        print_json({"experiments": rows})
        return
    if not rows:
        out.print("the rules name no experiment")
        return
    table = Table("tenant", "experiment", "layer", "unit", "tiers", "arms", "version", "since", box=None)
    for row in rows:
        arms = ", ".join(f"{arm['name']} {arm['weight']:.0%}" for arm in row["arms"])
        by_context = " (others by context)" if row["by_context"] else ""
        table.add_row(
            row["tenant"],
            row["name"],
            f"{row['layer']} {row['begin']:g} … {row['end']:g}",
            "decision" if row["per_decision"] else "user",
            ", ".join(row["tiers"]) or "all",
            arms + by_context,
            row["version"],
            day(row["since"]),
        )
    out.print(table)


def _rows(versions: Iterable[Rules]) -> Iterable[dict[str, Any]]:
    for rules in versions:
        for tenant, policy in (("(default)", rules.default), *sorted(rules.tenants.items())):
            for experiment in policy.experiments:
                told: dict[str, Any] = msgspec.to_builtins(experiment)
                yield {"tenant": tenant, "version": rules.version, "since": rules.since} | told


@app.command()
def report(
    experiment: Annotated[
        str | None,
        typer.Option("--experiment", metavar="NAME", help="Only this one; @holdout is the holdout's own."),
    ] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only this tenant's.")] = None,
    control: Annotated[
        str | None,
        typer.Option(
            "--control", metavar="ARM", help="Compare with this arm, or with holdout; the first arm if none."
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="NAME",
            help="Compare --experiment as a whole, whatever its arms, with another of its layer, or holdout.",
        ),
    ] = None,
    goal: Annotated[
        str | None,
        typer.Option(
            "--goal", help=f"What the verdict is on: {', '.join(GOALS)}. If none: response, or conversion."
        ),
    ] = None,
    window_days: Annotated[
        float, typer.Option("--window-days", min=0.01, help="How long after its exposure a unit is watched.")
    ] = WINDOW_DAYS,
    until: UntilIfGiven = None,
    complaint_margin: Annotated[
        float, typer.Option("--complaint-margin", min=0, help="Complaints that may be added, as a share.")
    ] = MARGINS["complaint"],
    churn_margin: Annotated[
        float, typer.Option("--churn-margin", min=0, help="Leavers that may be added, as a share.")
    ] = MARGINS["churn"],
    simulated: Annotated[
        bool,
        typer.Option("--simulated", help="Take the outcomes that a simulation made, in place of real ones."),
    ] = False,
    decisions: Decisions = None,
    outcomes: Outcomes = None,
    rules: _Rules = None,
    to: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Write experiments.json and a picture of each there."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print what each arm of each experiment did, less the control: with intervals that may be looked at
    daily.

    A verdict holds however often it was asked for. Where the arms are not as large as their shares want, no
    difference is told. Decisions, outcomes and rules are those of the running stack, unless files are given.

    Example: holdfast experiments report --experiment offers --out report
    Example: holdfast experiments report --control holdout --goal value --json
    Example: holdfast experiments report --experiment offers --against holdout --goal stayed --window-days 60
    """
    if goal is not None and goal not in GOALS:
        raise InputError(f"--goal is {goal!r}, expected one of {', '.join(GOALS)}")
    plan = Plan(
        control=control,
        goal=goal,
        window_days=window_days,
        until_ms=until,
        margins={"complaint": complaint_margin, "churn": churn_margin},
    )
    log = Log(_book(rules), published(decisions), reported_outcomes(outcomes), simulated)
    trials = [
        trial for trial in log.trials() if experiment in (None, trial.name) and tenant in (None, trial.tenant)
    ]
    if experiment is not None and not trials:
        notice(f"no decision has been in an experiment {experiment}")
    if against is not None:
        trials = [_whole(trial, log, against) for trial in trials]
    reports = [report_on(trial, log, plan, simulated) for trial in trials]
    if to is not None:
        _write(reports, to)
    if as_json:
        print_json({"experiments": reports})
        return
    if not reports:
        out.print("no decision has been in an experiment yet")
    for one in reports:
        _show(one)


def _whole(trial: Trial, log: Log, against: str) -> Trial:
    wanted = HOLDOUT if against == HELD_OUT else against
    for other in log.trials():
        if (other.tenant, other.name) == (trial.tenant, wanted):
            return whole(trial, other)
    raise InputError(f"no decision of {trial.tenant} has been in {against}")


def _book(path: Path | None) -> RuleBook:
    if path is not None:
        return RuleBook(load_rules(path))
    try:
        return read_rules(load_settings().bootstrap_servers)
    except UnavailableError as error:
        notice(f"no rules: {error}")
        return RuleBook()


def _write(reports: list[Report], to: Path) -> None:
    from streams.commands.experiments.picture import draw  # matplotlib takes seconds

    try:
        to.mkdir(parents=True, exist_ok=True)
        path = to / "experiments.json"
        path.write_bytes(msgspec.json.format(msgspec.json.encode({"experiments": reports})))
        notice(f"written: {path}")
        for one in reports:
            path = to / f"{one.tenant}-{one.experiment.lstrip('@')}.svg"
            if draw(one, path):
                notice(f"written: {path}")
    except OSError as error:
        raise InputError(f"cannot write to {to}: {error.strerror or error}") from error


def _show(one: Report) -> None:
    of = "SIMULATED outcomes" if one.simulated else "outcomes"
    out.print(
        f"[bold]{one.tenant}/{one.experiment}[/], up to {day(one.as_of)}: {of} of {one.window_days:g} days, "
        f"each {one.unit}'s from the exposure on, less those of {one.control}",
        soft_wrap=True,
    )
    sizes = Table(
        "arm", f"{one.unit}s", "expected", "exposed", "expected", "counted", box=None, pad_edge=False
    )
    for at, arm in enumerate(one.arms):
        expected = (f"{found.expected[at]:,.0f}" for found in (one.assigned, one.exposed))
        first, second = expected
        sizes.add_row(arm.name, f"{arm.assigned:,}", first, f"{arm.exposed:,}", second, f"{arm.counted:,}")
    out.print(sizes)
    out.print(_sizes(one), soft_wrap=True)
    if any(arm.comparisons for arm in one.arms):
        out.print(_table(one))
    for arm in one.arms:
        for row in arm.comparisons:
            if row.missing:
                out.print(f"[dim]no {row.metric} of {arm.name}: {row.missing}[/]", soft_wrap=True)
    for arm in one.arms:
        if arm.verdict:
            out.print(f"[bold]{arm.verdict}[/]", soft_wrap=True)
    for note in one.notes:
        out.print(f"[dim]{note}[/]", soft_wrap=True)
    out.print()


def _sizes(one: Report) -> str:
    p = min(one.assigned.p, one.exposed.p)
    if one.is_readable:
        return f"sizes of the arms: as their shares want them (p {p:.2g})"
    if one.assigned.is_found or one.exposed.is_found:
        which = "assigned" if one.assigned.is_found else "exposed"
        told = f"{which} {one.unit}s do not fit the shares (p {p:.1g})"
    else:
        gone = ", ".join(f"{arm.name} {many:,}" for arm, many in zip(one.arms, one.lost.seen, strict=True))
        told = f"{one.unit}s that got nothing, though their arm sends, do not fit the shares: {gone}"
    return (
        f"[bold red]sizes of the arms: {told}.[/] "
        "Something keeps some from being counted, in one arm more than in another: find it first."
    )


def _table(one: Report) -> Table:
    table = Table(
        "arm",
        "metric",
        one.control,
        "arm's",
        "less",
        "between",
        "p",
        "CUPED",
        "margin",
        box=None,
        pad_edge=False,
    )
    for arm in one.arms:
        for row in arm.comparisons:
            if row.found is not None:
                table.add_row(arm.name, row.metric, *_cells(row, row.found))
    return table


def _cells(row: Comparison, found: Contrast) -> tuple[str, ...]:
    return (
        figure(found.control, row, sign=False),
        figure(found.arm, row, sign=False),
        figure(found.difference, row),
        f"{figure(found.low, row)} … {figure(found.high, row)}",
        f"{found.p:.2g}",
        f"-{max(found.reduction, 0):.0%}",
        "" if row.margin is None else f"{figure(row.margin, row)}: {row.harm}",
    )
