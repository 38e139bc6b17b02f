"""Activity of a window, and the tier that follows from it and from the tier before."""

from math import nextafter

from operators.window import RECENT_PANES, WINDOW_PANES
from schemas.vocabulary import TIERS, Tier

ONBOARDING_PANES = 336
RISE_MARGIN = 5.0
PRIOR_PANES = WINDOW_PANES - RECENT_PANES
_FLOORS = (90.0, 60.0, 30.0, 10.0)
"""What activity must exceed (90) or reach (60, 30, 10) to be in each tier but the last."""


def usual_hours(prior: int, tenure: int) -> float:
    """The user's own usual active hours a week; `tenure` in panes, at least 336.

    >>> usual_hours(69, 40 * 24)
    21.0
    """
    past = tenure - RECENT_PANES
    hours = prior * RECENT_PANES / (past if past < PRIOR_PANES else PRIOR_PANES)
    return hours if hours > 1.0 else 1.0


def activity(recent: int, usual: float) -> float:
    """Activity in percent of the user's own usual, at most 100.

    >>> [round(activity(recent, 21.0), 1) for recent in (21, 18, 12, 6, 2)]
    [100.0, 85.7, 57.1, 28.6, 9.5]
    """
    share = recent / usual
    return 100.0 * share if share < 1.0 else 100.0


def tier_of(percent: float) -> Tier:
    """The tier that an activity alone stands for.

    >>> [tier_of(x).value for x in (90.1, 90, 60, 59.9, 30, 10, 9.9)]
    ['very_low', 'low', 'low', 'medium', 'medium', 'high', 'critical']
    """
    if percent > _FLOORS[0]:
        return TIERS[0]
    for tier, floor in zip(TIERS[1:], _FLOORS[1:], strict=False):
        if percent >= floor:
            return tier
    return TIERS[-1]


_KEPT_WITHIN = {
    tier: (
        nextafter(_FLOORS[0], 100.0) if rank == 0 else _FLOORS[rank] if rank < len(_FLOORS) else 0.0,
        _FLOORS[rank - 1] + RISE_MARGIN if rank else 101.0,
    )
    for rank, tier in enumerate(TIERS)
}


def kept_within(tier: Tier) -> tuple[float, float]:
    """What activity must reach, and what it must stay below, for an evaluation to leave the tier as it is.

    >>> kept_within(Tier.LOW), kept_within(Tier.VERY_LOW)[0] > 90
    ((60.0, 95.0), True)
    """
    return _KEPT_WITHIN[tier]


def next_tier(tier: Tier, percent: float) -> Tier:
    """The tier after an evaluation: down at once, up only past a tier's upper bound + 5.

    >>> next_tier(Tier.LOW, 29.0).value, next_tier(Tier.HIGH, 34.9).value, next_tier(Tier.CRITICAL, 66).value
    ('high', 'high', 'low')
    """
    rank = tier.rank
    plain = tier_of(percent).rank
    if plain > rank:
        return TIERS[plain]
    while rank > 0 and percent >= min(100.0, _FLOORS[rank - 1] + RISE_MARGIN):
        rank -= 1
    return TIERS[rank]
