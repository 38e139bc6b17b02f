"""Draws a report: latency over time, how far the job was behind, and the percentile curve."""

from pathlib import Path

import matplotlib
import numpy as np
from hdrh.histogram import HdrHistogram
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.report import Report
from streams.pictures import BLUE, GREY, ORANGE, RED, STYLE, undated

_NINES = (0.5, 0.9, 0.99, 0.999, 0.9999)


def plot(report: Report, path: Path) -> None:
    """Write the picture of `report` to `path`; the name's ending says as what."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9, 9.5), layout="constrained")
        times, boundary, curve = figure.subplots(3, 1, height_ratios=(1.2, 1, 1))
        parameters = report.parameters
        figure.suptitle(
            f"{report.scenario}: {parameters['rate_per_s']:,.0f} events/s, "
            f"{report.total.count / parameters['seconds']:.0f} crossings/s, "
            f"{report.machine['cores']} cores",
            x=0.01,
            ha="left",
            weight="bold",
        )
        _over_time(times, report)
        _behind(boundary, report)
        boundary.sharex(times)
        _percentiles(curve, report)
        figure.savefig(path, metadata=undated(path))


def _over_time(axes: Axes, report: Report) -> None:
    seconds = [second.at_s + 0.5 for second in report.over_time]
    axes.plot(seconds, [max(0.5, s.p99_ms) for s in report.over_time], color=ORANGE, lw=1.2, label="p99")
    axes.plot(seconds, [max(0.5, s.p50_ms) for s in report.over_time], color=BLUE, lw=1.2, label="p50")
    axes.axhline(report.budget_ms, color=RED, lw=1, ls="--", label=f"budget, {report.budget_ms} ms")
    axes.set(title="Detection → publication by second", ylabel="ms", yscale="log")
    axes.set_xlim(0, report.parameters["seconds"])
    _marks(axes, report)
    for stall in report.stalls:
        at_s = (stall.at_ms - report.measured_from_ms) / 1000
        label = "stall" if stall is report.stalls[0] else None
        axes.axvline(at_s, ymax=0.05, color=RED, lw=0.8, label=label)
    _finish(axes)


def _behind(axes: Axes, report: Report) -> None:
    seconds = [second.at_s + 0.5 for second in report.over_time]
    axes.plot(seconds, [s.boundary_p99_ms for s in report.over_time], color=ORANGE, lw=1.2, label="p99")
    axes.plot(seconds, [s.boundary_p50_ms for s in report.over_time], color=BLUE, lw=1.2, label="p50")
    samples = [
        ((s.at_ms - report.measured_from_ms) / 1000, s.watermark_ms)
        for s in report.samples
        if s.at_ms >= report.measured_from_ms
    ]
    axes.plot(
        [at_s for at_s, _ in samples],
        [watermark_ms for _, watermark_ms in samples],
        color=GREY,
        lw=1,
        ls=":",
        label="event time behind",
    )
    axes.set(
        title="Boundary → publication by second",
        xlabel="s of the measured part",
        ylabel="ms",
        yscale="log",
    )
    _marks(axes, report)
    _finish(axes)


def _marks(axes: Axes, report: Report) -> None:
    """When checkpoints were taken, and when something was different."""
    label: str | None = "checkpoint"
    for checkpoint in report.checkpoints:
        begin_s = (checkpoint.at_ms - report.measured_from_ms) / 1000
        if 0 <= begin_s <= report.parameters["seconds"]:
            axes.axvspan(
                begin_s,
                begin_s + max(0.1, checkpoint.took_ms / 1000),
                color=GREY,
                alpha=0.35,
                lw=0,
                label=label,
            )
            label = None
    if report.disturbed_s is not None:
        outage = report.parameters["outage"]
        what = report.scenario if outage is None else f"{outage['stop']} away"
        axes.axvspan(*report.disturbed_s, color=RED, alpha=0.07, lw=0, label=what)


def _percentiles(axes: Axes, report: Report) -> None:
    names = {"total": ("detection → publication", BLUE), "boundary": ("boundary → publication", ORANGE)}
    for name, (label, colour) in names.items():
        histogram = HdrHistogram.decode(report.histograms[name])
        count = max(2, histogram.get_total_count())
        left = np.geomspace(1, 1 / count, 200)  # the share of the decisions that took longer
        ms = [histogram.get_value_at_percentile(100 * (1 - share)) / 1000 for share in left]
        axes.plot(1 / left, np.maximum(ms, 0.5), color=colour, lw=1.4, label=label)
    axes.axhline(report.budget_ms, color=RED, lw=1, ls="--", label=f"budget, {report.budget_ms} ms")
    axes.set(title="Percentiles", xlabel="percentile", ylabel="ms", xscale="log", yscale="log")
    axes.set_xticks([1 / (1 - share) for share in _NINES], [f"{100 * share:g} %" for share in _NINES])
    axes.minorticks_off()
    axes.set_xlim(1, max(100, report.total.count))
    _finish(axes)


def _finish(axes: Axes) -> None:
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}" if axes.get_ylim()[1] < 10 * axes.get_ylim()[0] else "")
    # One row, beside the title.
    row = {"ncols": 6, "handlelength": 1.2, "columnspacing": 0.7, "borderaxespad": 0.1}
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), frameon=False, **row)
