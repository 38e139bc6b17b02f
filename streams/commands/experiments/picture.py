"""Draws an experiment: how sure each arm's difference became, look by look."""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from streams.experiments.report import Arm, Comparison, Report
from streams.pictures import BLUE, GREY, ORANGE, RED, STYLE, undated

_DATES = {"date.converter": "concise"}


def draw(report: Report, path: Path) -> bool:
    """Write the picture of `report` to `path`, if there is anything to be seen, and tell whether."""
    arms = [arm for arm in report.arms if any(row.looks for row in arm.comparisons)]
    if not arms:
        return False
    with matplotlib.rc_context(STYLE | _DATES):
        canvas = Canvas(figsize=(10, 2.7 * len(arms) + 0.6), layout="constrained")
        grid = canvas.subplots(len(arms), 3, sharex=True, squeeze=False, width_ratios=[2, 1, 1])
        for places, arm in zip(grid, arms, strict=True):
            _row(list(places), arm, report)
        of = "simulated outcomes" if report.simulated else "outcomes"
        canvas.suptitle(
            f"{report.tenant}/{report.experiment}: {of}, less those of {report.control}", x=0.01, ha="left"
        )
        canvas.savefig(path, metadata=undated(path))
    return True


def _row(places: list[Axes], arm: Arm, report: Report) -> None:
    shown = [row for row in arm.comparisons if row.metric == report.goal or row.margin is not None]
    for place, row in zip(places, shown, strict=True):
        place.set_title(
            f"{row.metric}, {row.unit}" if row.margin is not None else f"{arm.name}: {row.metric}, {row.unit}"
        )
        place.axhline(0, color=GREY, lw=1)
        _sequence(place, row)


def _sequence(place: Axes, row: Comparison) -> None:
    if row.margin is not None:
        margin = row.margin * row.scale
        place.axhline(margin, color=RED, lw=1, ls="--")
        place.text(
            0.99, margin, "margin", transform=place.get_yaxis_transform(), color=RED, ha="right", va="bottom"
        )
    if row.found is None or not row.looks:
        place.text(0.02, 0.5, row.missing, transform=place.transAxes, color=GREY, va="center", wrap=True)
        return
    at = np.array([look.at for look in row.looks], dtype="datetime64[ms]")
    difference, low, high = (
        np.array([getattr(look, name) for look in row.looks]) * row.scale
        for name in ("difference", "low", "high")
    )
    colour = ORANGE if row.margin is not None else BLUE
    place.fill_between(at, low, high, color=colour, alpha=0.2, lw=0)
    place.plot(at, difference, color=colour, lw=1.5)
    # The first intervals are wide; what matters is where they end up.
    reach = 1.15 * max(abs(low[len(low) // 4 :]).max(), abs(high[len(high) // 4 :]).max(), 1e-9)
    place.set_ylim(-reach, reach)
