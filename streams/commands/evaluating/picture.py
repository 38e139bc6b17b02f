"""Draws the matrix: each figure and its interval, in groups that share a scale."""

from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from streams.effects import Figure
from streams.matrix import Metric
from streams.pictures import BLUE, GREY, STYLE, undated

_SCALES = (
    ("", "models"),
    ("share", "shares"),
    ("days", "days"),
    ("ms", "ms"),
    ("points", "points"),
    ("currency", "currency"),
)


def draw(rows: list[tuple[Metric, Figure]], path: Path) -> None:
    """Write the picture of `rows` to `path`; the same rows give the same file."""
    groups = [(title, [row for row in rows if row[0].unit == unit]) for unit, title in _SCALES]
    with matplotlib.rc_context(STYLE):
        canvas = Canvas(figsize=(8, 0.9 * len(groups) + 0.3 * len(rows)), layout="constrained")
        axes = canvas.subplots(len(groups), 1, height_ratios=[len(group) + 0.8 for _, group in groups])
        for place, (title, group) in zip(axes, groups, strict=True):
            _draw(place, title, group)
        canvas.savefig(path, metadata=undated(path))


def _draw(axes: Axes, title: str, group: list[tuple[Metric, Figure]]) -> None:
    axes.set_title(title)
    axes.set_yticks(range(len(group)), [metric.name for metric, _ in group])
    axes.set_ylim(len(group) - 0.5, -0.5)
    for place, (_, figure) in enumerate(group):
        if figure.value is None or figure.ci is None:
            axes.text(
                0.01, place, figure.missing, transform=axes.get_yaxis_transform(), color=GREY, va="center"
            )
            continue
        low, high = figure.ci
        axes.plot([low, high], [place, place], color=BLUE, lw=1.5)
        axes.plot(figure.value, place, "o", color=BLUE, ms=4)
    if all(figure.value is None for _, figure in group):
        axes.set_xticks([])
