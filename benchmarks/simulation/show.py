"""Prints what a simulation said: tables for people."""

from collections.abc import Callable

from rich.table import Table

from benchmarks.simulation.report import Figure, Report
from streams.commands.output import out

_COLUMNS: dict[str, tuple[str, Callable[[float], str]]] = {
    "left": ("left", lambda value: f"{value:.1%}"),
    "active_hours": ("active hours", lambda value: f"{value:.1f}"),
    "revenue": ("revenue", lambda value: f"{value:.2f}"),
    "complaints": ("complaints", lambda value: f"{value:.3f}"),
    "messages": ("messages", lambda value: f"{value:.2f}"),
}


def show(found: Report) -> None:
    """Each arm alone, against no action and against the templates; what records say; what was learned."""
    plan = found.parameters
    out.print(
        f"[bold]SIMULATED[/], world {plan['world']}, seed {plan['seed']}: {plan['users']:,} customers, "
        f"{plan['days']} days, {found.events:,} events, {found.decisions:,} decisions, {found.sent:,} sent, "
        f"{found.written_share:.0%} written by the model; {found.engine}, {found.seconds:.0f} s"
    )
    tables = {
        "per user who was there at first": "figures",
        "against no action": "against_none",
        "against the templates": "against_template",
    }
    for title, get in tables.items():
        table = Table("arm", "users", *(name for name, _ in _COLUMNS.values()), "truth", title=title)
        for one in found.arms:
            figures: dict[str, Figure] = getattr(one, get)
            if figures:
                truth = cell("left", one.truth) if get == "against_none" else ""
                table.add_row(
                    one.arm, f"{one.users:,}", *(cell(name, figures[name]) for name in _COLUMNS), truth
                )
        out.print(table)
    for it in found.recovery:
        told = "no estimate" if it.estimate is None else cell("left", it.estimate)
        out.print(
            f"{it.arm}, from the records of {it.users:,} users: staying {told}, the truth is {it.truth:.1%}; "
            f"{it.verdict}",
            soft_wrap=True,
        )
    fits = ", ".join(f"{name} {fit:.3f}" for name, fit in found.attainable.items())
    out.print(f"how well messages can fit: {fits}")
    for week in found.learned:
        gain = "" if week.gain is None else f", gain {week.gain.value:+.4f} from {week.gain.ci[0]:+.4f}"
        came = week.refused or f"published, {week.part:.0%} of the way"
        out.print(f"week {week.week}: {week.decisions:,} decisions{gain}; {came}")


def cell(name: str, figure: Figure) -> str:
    """A figure with its interval, in words."""
    told = _COLUMNS[name][1]
    return f"{told(figure.value)} ({told(figure.ci[0])} … {told(figure.ci[1])})"
