"""What `holdfast` learns, week by week, from the records alone: Thompson sampling over strategies and offers.

Each choice has a Beta posterior of the chance that its message is answered, in each tier. Its weight is the
share of draws in which it is the best (Chapelle and Li, An Empirical Evaluation of Thompson Sampling, 2011),
but never less than `FLOOR`, so that every choice keeps a propensity and can be estimated from.
"""

from collections.abc import Iterable

import numpy as np

from benchmarks.simulation.arms import CHOICE_NAMES
from schemas.decision import Decision
from schemas.outcome import OutcomeKind, UserOutcome
from schemas.vocabulary import TIERS, Outcome

FLOOR = 0.004
_DRAWS = 2000
_ANSWERS = {OutcomeKind.CLICKED, OutcomeKind.REPLIED, OutcomeKind.CONVERTED}
_PRIOR = (1.0, 4.0)
"""As many answers and silences as each choice is thought to have had before."""
_OF_ALL = 0.5
"""How much what was seen in other tiers counts."""


def learned(
    decisions: Iterable[Decision], outcomes: Iterable[UserOutcome], seed: int
) -> dict[str, tuple[float, ...]]:
    """The weights of the choices by tier, from the decisions of chance's arms and what came of them."""
    answered = {one.decision_id for one in outcomes if one.kind in _ANSWERS}
    counts = np.zeros((len(TIERS), len(CHOICE_NAMES), 2))
    for one in decisions:
        if one.outcome is not Outcome.SENT or one.ruling is None:
            continue
        for given in one.ruling.assigned:
            if given.arm in CHOICE_NAMES:
                place = TIERS.index(one.to_tier), CHOICE_NAMES.index(given.arm)
                counts[(*place, int(one.id not in answered))] += 1
    dice = np.random.default_rng([seed, 4])
    pooled = _OF_ALL * counts.sum(axis=0)[None] + (1 - _OF_ALL) * counts + np.array(_PRIOR)
    weights = {}
    for number, tier in enumerate(TIERS):
        drawn = dice.beta(pooled[number, :, 0], pooled[number, :, 1], (_DRAWS, len(CHOICE_NAMES)))
        best = np.bincount(drawn.argmax(axis=1), minlength=len(CHOICE_NAMES)) / _DRAWS
        shares = FLOOR + (1 - FLOOR * len(CHOICE_NAMES)) * best
        weights[tier.value] = tuple(float(share) for share in shares / shares.sum())
    return weights
