"""`python -m benchmarks uplift`: offers by uplift, by risk and at random, where the truth is known.

A simulation in the style of the public data sets for uplift (Hillstrom's 64,000 e-mails, Criteo's ads): a
trial with two arms, things that are known of users beforehand, and one outcome, here whether the user stayed.
Unlike those it has each user's true effect. As in Radcliffe's account of retention ("Using control groups to
target on predicted lift", 2007) some users stay only with an offer, some leave anyway, some stay anyway, and
some are driven away by it.
"""

from functools import partial
from pathlib import Path
from typing import Annotated

import matplotlib
import numpy as np
import typer
from matplotlib.figure import Figure
from msgspec import Struct
from numpy.typing import NDArray
from rich.table import Table

from inference.uplift import Effect, Trial, coefficient, coefficient_ci, effect, expected, qini, ranked
from streams.commands.output import AsJson, keep, out, print_json
from streams.pictures import BLUE, GREY, ORANGE, STYLE, undated

Floats = NDArray[np.float64]
WITHOUT, WITH = 0, 1
BUDGETS = (0.1, 0.2, 0.3, 0.5)
_COLOURS = {"uplift": BLUE, "risk": ORANGE, "random": GREY, "truth": "black"}


class Ranking(Struct, frozen=True, kw_only=True):
    """One way to choose who gets an offer: its Qini coefficient and curve from the trial's records, and the
    same of the true effects; then what offers to a tenth, a fifth and so on of all users keep, per 1,000.
    """

    by: str
    qini: float
    ci: tuple[float, float]
    true_qini: float
    gained: tuple[float, ...]
    true_gained: tuple[float, ...]
    kept: tuple[float, ...]
    true_kept: tuple[float, ...]


class Found(Struct, frozen=True, kw_only=True):
    """What a simulated trial of `users` says. All of it is simulated."""

    simulated: bool = True
    users: int
    seed: int
    effect: Effect
    true_effect: float
    rankings: tuple[Ranking, ...]


def simulated(users: int, seed: int) -> tuple[Trial, Floats]:
    """A trial, and each user's true effect on the chance to stay."""
    dice = np.random.default_rng(seed)
    quiet_days, usual = dice.exponential(6, users), dice.lognormal(2.5, 0.6, users)
    pays, errors = dice.random(users) < 0.6, dice.poisson(0.6, users)
    tenure = dice.uniform(14, 1000, users)
    leaves = 1 / (1 + np.exp(2.2 - 0.28 * quiet_days - 0.35 * errors + 0.02 * usual + 0.0008 * tenure))
    between = np.exp(-(((leaves - 0.35) / 0.18) ** 2))
    helped = 0.22 * between * np.where(pays, 0.4, 1.0) * (errors < 2)
    bothered = 0.05 * (usual > 20) * (leaves < 0.15)
    true = np.minimum(helped - bothered, leaves)
    share = np.where(leaves > 0.3, 0.6, 0.4)  # those at risk got an offer more often, as they do in life
    arm = (dice.random(users) < share).astype(np.int64)
    stayed = dice.random(users) < 1 - leaves + true * arm
    trial = Trial(
        unit=np.arange(users).astype(str),
        known=np.column_stack([quiet_days, usual, pays, errors, tenure]),
        arm=arm,
        propensity=np.where(arm == WITH, share, 1 - share),
        value=stayed.astype(np.float64),
    )
    return trial, true


def found(users: int, seed: int) -> Found:
    """The trial with this seed, and what each ranking of its users is worth."""
    trial, true = simulated(users, seed)
    ranks = {
        "uplift": ranked(trial, WITH, WITHOUT),
        "risk": -expected(trial, WITHOUT),
        "random": np.random.default_rng([seed, 1]).random(users),
        "truth": true,
    }
    return Found(
        users=users,
        seed=seed,
        effect=effect(trial, WITH, WITHOUT),
        true_effect=float(true.mean()),
        rankings=tuple(_ranking(by, trial, true, rank) for by, rank in ranks.items()),
    )


def _ranking(by: str, trial: Trial, true: Floats, rank: Floats) -> Ranking:
    share, gained = qini(trial, WITH, WITHOUT, rank)
    order = np.argsort(-rank, kind="stable")
    reached = np.concatenate(([0.0], np.cumsum(true[order]) / len(true)))
    truly = np.interp(share, np.linspace(0, 1, len(reached)), reached)
    return Ranking(
        by=by,
        qini=coefficient(share, gained),
        ci=coefficient_ci(trial, WITH, WITHOUT, rank),
        true_qini=coefficient(share, truly),
        gained=tuple(gained.tolist()),
        true_gained=tuple(truly.tolist()),
        kept=tuple(1000 * float(np.interp(budget, share, gained)) for budget in BUDGETS),
        true_kept=tuple(1000 * float(np.interp(budget, share, truly)) for budget in BUDGETS),
    )


def uplift(
    users: Annotated[int, typer.Option("--users", min=1000, help="Simulated users of the trial.")] = 64_000,
    seed: Annotated[int, typer.Option("--seed", help="All follows from it.")] = 1,
    to: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Write uplift.json and uplift.svg there.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Rank simulated users for an offer by uplift, by risk and at random, and say what each is worth.

    Qini curves need no truth; here it stands beside them. Every figure is simulated.

    Example: python -m benchmarks uplift --out report
    """
    told = found(users, seed)
    if to is not None:
        keep(to, "uplift", told, partial(plot, told))
    if as_json:
        print_json(told)
    else:
        show(told)


def show(told: Found) -> None:
    """A table for people."""
    low, high = told.effect.ci
    out.print(
        f"[bold]SIMULATED[/] trial of {told.users:,} users, seed {told.seed}: offers to all keep "
        f"{1000 * told.effect.value:.1f} of 1,000 users ({1000 * low:.1f} … {1000 * high:.1f}); "
        f"the truth is {1000 * told.true_effect:.1f}",
        soft_wrap=True,
    )
    budgets = (f"kept at {budget:.0%}" for budget in BUDGETS)
    table = Table("offers by", "Qini × 1,000", "95 %", "truth", *budgets, box=None, pad_edge=False)
    for one in told.rankings:
        table.add_row(
            one.by,
            f"{1000 * one.qini:.2f}",
            f"{1000 * one.ci[0]:.2f} … {1000 * one.ci[1]:.2f}",
            f"{1000 * one.true_qini:.2f}",
            *(f"{kept:.1f} ({truly:.1f})" for kept, truly in zip(one.kept, one.true_kept, strict=True)),
        )
    out.print(table)
    out.print("kept: users of 1,000 who stay because of offers to so many of all; in brackets the truth")


def plot(told: Found, path: Path) -> None:
    """Write the Qini curves to `path`."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9, 4.2), layout="constrained")
        axes = figure.subplots()
        for one in told.rankings:
            share = 100 * np.linspace(0, 1, len(one.gained))
            colour = _COLOURS[one.by]
            axes.plot(share, 1000 * np.array(one.gained), color=colour, lw=1.6, label=one.by)
            axes.plot(share, 1000 * np.array(one.true_gained), color=colour, lw=1, ls=":")
        axes.set(
            title=f"SIMULATED: users kept per 1,000, of {told.users:,}; dotted: the truth",
            xlabel="users who get an offer, %",
        )
        axes.legend(frameon=False, loc="lower right")
        figure.savefig(path, metadata=undated(path))
