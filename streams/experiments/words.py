"""A report's verdicts, as one says them to people who decide what to do next."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streams.experiments.report import Comparison

_PLACES = 2


def figure(value: float, comparison: "Comparison", sign: bool = True) -> str:
    """A difference in the metric's unit."""
    scaled = value * comparison.scale
    places = 1 if comparison.scale == 100 and abs(scaled) >= 0.1 else _PLACES
    return f"{scaled:{'+' if sign else ''},.{places}f}"


def verdict(
    name: str, control: str, goal: str, comparisons: Sequence["Comparison"], is_readable: bool
) -> str:
    """What is known of the arm `name`, and what to do."""
    if not is_readable:
        return f"do not read {name}: the arms' sizes do not fit their shares, so the users differ too"
    harmed = [one.metric for one in comparisons if one.harm == "harmed"]
    open_ones = [
        one.metric for one in comparisons if one.margin is not None and one.harm in (None, "undecided")
    ]
    one = next(one for one in comparisons if one.metric == goal)
    if one.found is None:
        told = f"too early to say of {name}: {one.missing}"
        return f"{told}; but it does harm, {_and(harmed)}: stop" if harmed else told
    found = one.found
    bounds = (
        f"{figure(found.difference, one)} {one.unit} of {goal}, "
        f"between {figure(found.low, one, found.low < 0)} and {figure(found.high, one, found.high < 0)}"
    )
    if harmed:
        return f"{name} does harm, {_and(harmed)}: worse than with {control} ({bounds}); stop"
    if found.high < 0:
        return f"{name} is worse: {bounds}; safe to stop"
    if found.low > 0 and not open_ones:
        return f"{name} is better: {bounds}; safe to stop"
    if found.low > 0:
        doubt = f"not certain yet to stay within the margin: {_and(open_ones)}"
        return f"{name} is better: {bounds}; {doubt}"
    return f"no difference seen yet between {name} and {control}: {bounds}; go on"


def _and(words: Sequence[str]) -> str:
    return " and ".join(words)
