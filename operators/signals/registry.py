"""The table of signals: each is a small function with a name, a group, a unit and a meaning.

>>> from operators.signals import SIGNALS
>>> SIGNALS["active_days_7d"][:4]
('active_days_7d', 'rhythm', 'days', 'Active days in the last 7 days')
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from operators.signals.windows import Numbers, Windows

Compute = Callable[[Windows], Numbers]


class Signal(NamedTuple):
    """One signal. `compute` gives it for many windows at once, shape [rows]."""

    name: str
    group: str
    unit: str
    meaning: str
    compute: Compute


SIGNALS: dict[str, Signal] = {}
"""The signals by name, in the order of the columns that models are given."""


def signal(group: str, unit: str) -> Callable[[Compute], Compute]:
    """Enters a function into the table, under its own name; its docstring is the meaning."""

    def enter(compute: Compute) -> Compute:
        _enter(Signal(compute.__name__, group, unit, _meaning(compute), compute))
        return compute

    return enter


def each(
    group: str, unit: str, spans: tuple[int, ...]
) -> Callable[[Callable[..., Numbers]], Callable[..., Numbers]]:
    """Enters a function of (windows, span in days) once for each span: `uses` becomes `uses_7d` and so on.

    `{days}` in its docstring is the span.
    """

    def enter(compute: Callable[..., Numbers]) -> Callable[..., Numbers]:
        for days in spans:
            told = _meaning(compute).format(days="day" if days == 1 else f"{days} days")
            _enter(Signal(f"{compute.__name__}_{days}d", group, unit, told, partial(compute, days=days)))
        return compute

    return enter


def _meaning(compute: Callable[..., Numbers]) -> str:
    return (compute.__doc__ or "").strip().rstrip(".")


def _enter(entry: Signal) -> None:
    if entry.name in SIGNALS:
        raise ValueError(f"there are two signals of the name {entry.name}")
    SIGNALS[entry.name] = entry


def share(part: Numbers, whole: Numbers) -> Numbers:
    """`part` of `whole`, each of shape [rows]; 0 where there is nothing."""
    return np.asarray(part / (whole + (whole == 0)))


def sums(table: NDArray[Any]) -> Numbers:
    """The sum of each row of a table, which comes out the same whatever other rows there are."""
    return np.asarray(table.sum(axis=1), dtype=np.float64)
