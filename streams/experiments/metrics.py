"""What is measured of a unit: each metric as one number, from what was told of the unit."""

from collections.abc import Callable

import numpy as np
from msgspec import Struct

from schemas.outcome import OutcomeKind
from streams.effects import ANSWERS, COMPLAINTS, promotes
from streams.experiments.units import Floats, Told


class Metric(Struct, frozen=True):
    """A metric: `scale` turns it into `unit`. A `guardrail` may rise by no more than its margin; of the
    others more is better.
    """

    name: str
    unit: str
    scale: float
    of: Callable[[list[Told]], float]
    guardrail: bool = False

    def values(self, told: list[list[Told]]) -> Floats:
        """The metric of each unit; NaN where it has none."""
        return np.array([self.of(one) for one in told], dtype=np.float64)


def _has(kinds: set[OutcomeKind]) -> Callable[[list[Told]], float]:
    return lambda told: float(any(one.kind in kinds for one in told))


def _value(told: list[Told]) -> float:
    return sum(one.value for one in told if one.kind is OutcomeKind.CONVERTED)


def _nps(told: list[Told]) -> float:
    answers = [one.value for one in told if one.kind is OutcomeKind.NPS]
    return promotes(answers[-1]) if answers else float("nan")


_LEFT = _has({OutcomeKind.CHURNED})
RESPONSE = Metric("response", "points", 100, _has(ANSWERS))
CONVERSION = Metric("conversion", "points", 100, _has({OutcomeKind.CONVERTED}))
VALUE = Metric("value", "a user", 1, _value)
STAYED = Metric("stayed", "points", 100, lambda told: 1 - _LEFT(told))
NPS = Metric("nps", "points", 100, _nps)
COMPLAINT = Metric("complaint", "points", 100, _has(COMPLAINTS), guardrail=True)
CHURN = Metric("churn", "points", 100, _LEFT, guardrail=True)

METRICS = (RESPONSE, CONVERSION, VALUE, STAYED, NPS, COMPLAINT, CHURN)
GOALS = tuple(metric.name for metric in METRICS if not metric.guardrail)
"""What an experiment may be meant to raise."""
MARGINS = {"complaint": 0.005, "churn": 0.01}
"""By how much a guardrail may be worse than the control's, as a share: half a point, and one point."""
