"""`python -m benchmarks mismatch`: which losses of an arm a check of sizes sees, and how often it errs.

Experiments are simulated whose arms have the sizes that were wanted, but for one that loses a share of its
units. Each check looks twenty times, after every twentieth part of the units, and counts as having noticed
when it did at any look; where nothing is lost that is a false alarm.
"""

from collections.abc import Callable
from typing import Annotated

import numpy as np
import typer
from msgspec import Struct
from numpy.typing import NDArray
from rich.table import Table
from scipy.special import chdtrc, gammaln

from inference.experiments import MISMATCH_ALPHA, sizes_p
from streams.commands.output import AsJson, out, print_json

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Check = Callable[[Counts, Floats], float]
LOOKS = 20
DESIGNS = ((0.5, 0.5), (0.9, 0.1), (0.25,) * 4, (0.04,) * 25)
"""The arms' shares; the last arm is the one that loses units."""
LOST = (0.0, 0.05, 0.1, 0.15, 0.25)
UNITS = (5_000, 20_000)
_CONCENTRATION = 100.0
"""Of the Dirichlet prior around the wanted shares, in units."""


class Power(Struct, frozen=True, kw_only=True):
    """The share of experiments in which a check noticed, at any look and at the last."""

    check: str
    arms: int
    share: float
    lost: float
    units: int
    noticed: float
    noticed_at_end: float


def holdfast(seen: Counts, shares: Floats) -> float:
    """Ours."""
    return sizes_p(seen, shares[None], np.array([seen.sum()]))


def dirichlet(seen: Counts, shares: Floats) -> float:
    """Lindon and Malek's: the Dirichlet-multinomial's likelihood over the multinomial's."""
    prior, n = _CONCENTRATION * shares, seen.sum()
    log_e = gammaln(prior + seen).sum() - gammaln(prior).sum() - (seen * np.log(shares)).sum()
    log_e += gammaln(_CONCENTRATION) - gammaln(_CONCENTRATION + n)
    return float(min(1.0, np.exp(-log_e)))


def chi_square(seen: Counts, shares: Floats) -> float:
    """Pearson's, which is for one look that was fixed beforehand."""
    expected = seen.sum() * shares
    return float(chdtrc(len(shares) - 1, ((seen - expected) ** 2 / expected).sum()))


CHECKS: dict[str, Check] = {"holdfast": holdfast, "Dirichlet": dirichlet, "chi-square": chi_square}


def power(shares: tuple[float, ...], lost: float, units: int, experiments: int, seed: int) -> list[Power]:
    """How often each check notices that the last arm loses a share `lost` of its units."""
    dice, wanted = np.random.default_rng(seed), np.array(shares)
    noticed = {name: np.zeros(2) for name in CHECKS}
    for _ in range(experiments):
        given = dice.multinomial(units // LOOKS, wanted, size=LOOKS)
        given[:, -1] -= dice.binomial(given[:, -1], lost)
        looks = given.cumsum(axis=0)
        for name, check in CHECKS.items():
            found = [check(seen, wanted) < MISMATCH_ALPHA for seen in looks]
            noticed[name] += (any(found), found[-1])
    return [
        Power(
            check=name,
            arms=len(shares),
            share=shares[-1],
            lost=lost,
            units=units,
            noticed=float(ever / experiments),
            noticed_at_end=float(end / experiments),
        )
        for name, (ever, end) in noticed.items()
    ]


def mismatch(
    experiments: Annotated[int, typer.Option("--experiments", min=1, help="Simulated for each row.")] = 300,
    seed: Annotated[int, typer.Option("--seed", help="All follows from it.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Say which losses of an arm's units the check of sizes sees, beside two other checks.

    Example: python -m benchmarks mismatch
    """
    rows = [
        row
        for shares in DESIGNS
        for units in UNITS
        for lost in LOST
        for row in power(shares, lost, units, experiments, seed)
    ]
    if as_json:
        print_json({"simulated": True, "experiments": experiments, "power": rows})
        return
    table = Table("arms", "its share", "units", "lost", *(f"{name}" for name in CHECKS), box=None)
    for place in range(0, len(rows), len(CHECKS)):
        some = rows[place : place + len(CHECKS)]
        one = some[0]
        table.add_row(
            str(one.arms),
            f"{one.share:.0%}",
            f"{one.units:,}",
            f"{one.lost:.0%}" if one.lost else "nothing: false alarms",
            *(f"{row.noticed:.0%}" for row in some),
        )
    out.print(table)
    out.print(f"[bold]SIMULATED[/]: noticed at any of {LOOKS} looks, at p < {MISMATCH_ALPHA:g}")
