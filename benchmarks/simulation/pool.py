"""`python -m benchmarks simulate-pool`: several seeds of a simulation as one, and how far they lie apart."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import typer
from msgspec import Struct
from rich.table import Table

from benchmarks.simulation.report import FIGURES, ArmReport, Figure, Report
from benchmarks.simulation.show import cell
from schemas.errors import InputError
from streams.commands.output import AsJson, out, print_json

_WIDTH = 2 * 1.96
"""Standard errors between the bounds of an interval."""


class Pooled(Struct, frozen=True, kw_only=True):
    """A figure of an arm over all seeds, its interval, and what each seed alone gave."""

    arm: str
    kind: str
    figure: Figure
    seeds: tuple[float, ...]


def simulate_pool(
    files: Annotated[list[Path], typer.Argument(help="Files simulation.json, of different seeds.")],
    as_json: AsJson = False,
) -> None:
    """Pool simulations that differ by their seed alone: each arm's figures, differences and truth.

    Example: python -m benchmarks simulate-pool report-*/simulation.json
    """
    reports = [_read(path) for path in files]
    worlds = {(one.parameters["world"], one.parameters["days"], one.engine) for one in reports}
    if len(worlds) > 1:
        raise InputError(f"the files are of different simulations: {sorted(worlds)}")
    pooled = list(pool(reports))
    if as_json:
        print_json({"simulated": True, "pooled": pooled})
        return
    users = sum(one.parameters["users"] for one in reports)
    out.print(f"[bold]SIMULATED[/], {len(reports)} seeds, {users:,} customers in all")
    table = Table("arm", "figure", "pooled", "each seed", box=None, pad_edge=False)
    for one in pooled:
        name = one.kind.partition(" ")[0]
        table.add_row(
            one.arm, one.kind, cell(name, one.figure), ", ".join(told(name, seed) for seed in one.seeds)
        )
    out.print(table)
    for arm in reports[0].recovery:
        same = [it for one in reports for it in one.recovery if it.arm == arm.arm and it.estimate is not None]
        held = sum(it.covered for it in same)
        out.print(f"{arm.arm}: the records' interval holds the truth in {held} of {len(same)} seeds")


def pool(reports: Sequence[Report]) -> Iterable[Pooled]:
    """Every figure of every arm, each seed counting by the users that it has in the arm."""
    for number, arm in enumerate(reports[0].arms):
        arms = [one.arms[number] for one in reports]
        for kind, figures in _kinds(arms):
            yield Pooled(
                arm=arm.arm,
                kind=kind,
                figure=together(figures, [one.users for one in arms]),
                seeds=tuple(one.value for one in figures),
            )


def together(figures: Sequence[Figure], users: Sequence[int]) -> Figure:
    """The mean of figures of independent samples, weighted by `users`.

    >>> together([Figure(value=1.0, ci=(0.0, 2.0)), Figure(value=3.0, ci=(2.0, 4.0))], [10, 10]).value
    2.0
    """
    weights = np.array(users) / sum(users)
    errors = np.array([(one.ci[1] - one.ci[0]) / _WIDTH for one in figures])
    value = float(weights @ np.array([one.value for one in figures]))
    half = float(np.sqrt((weights**2) @ errors**2)) * _WIDTH / 2
    return Figure(value=value, ci=(value - half, value + half))


def told(name: str, value: float) -> str:
    """A figure without its interval, in words."""
    return cell(name, Figure(value=value, ci=(value, value))).partition(" (")[0]


def _kinds(arms: Sequence[ArmReport]) -> Iterable[tuple[str, list[Figure]]]:
    for name in FIGURES:
        yield name, [one.figures[name] for one in arms]
    for attribute in ("against_none", "against_template"):
        for name in FIGURES:
            if name in getattr(arms[0], attribute):
                yield f"{name} {attribute.replace('_', ' ')}", [getattr(one, attribute)[name] for one in arms]
    yield "left against their doubles", [one.truth for one in arms]


def _read(path: Path) -> Report:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Report)
    except (OSError, msgspec.DecodeError) as error:
        raise InputError(f"{path}: {error}") from error
