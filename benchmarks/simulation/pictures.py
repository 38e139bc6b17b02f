"""Draws a simulation: who stays, the differences against no action, and how messages fit by week."""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.simulation.report import Report
from streams.pictures import BLUE, GREY, ORANGE, RED, STYLE, undated

_COLOURS = {"none": GREY, "template": ORANGE, "random": RED, "holdfast": BLUE}


def plot(report: Report, path: Path) -> None:
    """Write the picture of `report` to `path`."""
    plan = report.parameters
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9, 8), layout="constrained")
        stay, effect, fits = figure.subplots(3, 1, height_ratios=(1.3, 0.8, 1.1))
        figure.suptitle(
            f"SIMULATED customers, world {plan['world']!r}: {plan['users']:,} of them, {plan['days']} days",
            x=0.01,
            ha="left",
            weight="bold",
        )
        _stay(stay, report)
        _effect(effect, report)
        _fits(fits, report)
        figure.savefig(path, metadata=undated(path))


def _stay(axes: Axes, report: Report) -> None:
    here = np.array(report.here)
    for number, one in enumerate(report.arms):
        axes.plot(100 * here[:, number], color=_COLOURS[one.arm], lw=1.5, label=one.arm)
    axes.set(title="Customers who have not left, %", xlabel="day")
    axes.legend(frameon=False, ncols=4, loc="lower left")


def _effect(axes: Axes, report: Report) -> None:
    arms = [one for one in report.arms if one.against_none]
    for number, one in enumerate(arms):
        churn = one.against_none["left"]
        low, high = (100 * abs(churn.value - bound) for bound in churn.ci)
        axes.errorbar(
            [100 * churn.value], [number], xerr=[[low], [high]], fmt="o", color=_COLOURS[one.arm], capsize=3
        )
        axes.plot([100 * one.truth.value], [number], "x", color="black", zorder=3)
    axes.axvline(0, color=GREY, lw=1)
    axes.set_yticks(range(len(arms)), [one.arm for one in arms])
    axes.set_ylim(len(arms) - 0.5, -0.5)
    axes.set(title="Left against no action, points: groups with 95 % interval; x: the truth")


def _fits(axes: Axes, report: Report) -> None:
    for arm, colour in _COLOURS.items():
        weeks = [one for one in report.weekly if one.arm == arm]
        if weeks:
            axes.plot(
                [one.week + 1 for one in weeks],
                [one.fit for one in weeks],
                "o-",
                ms=3,
                color=colour,
                lw=1.2,
                label=arm,
            )
    axes.set(
        title="How well messages fitted what customers needed, 0 to 1: nobody is told of it", xlabel="week"
    )
    axes.legend(frameon=False, ncols=3, loc="upper left")
