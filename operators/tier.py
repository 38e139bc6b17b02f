"""Activity of a window, and the tier that follows from it and from the tier before."""

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
    return max(1.0, prior * RECENT_PANES / min(PRIOR_PANES, tenure - RECENT_PANES))


def activity(recent: int, usual: float) -> float:
    """Activity in percent of the user's own usual, at most 100.

    >>> [round(activity(recent, 21.0), 1) for recent in (21, 18, 12, 6, 2)]
    [100.0, 85.7, 57.1, 28.6, 9.5]
    """
    return 100.0 * min(1.0, recent / usual)


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


_STAYS = {
    tier: (_FLOORS[rank] if rank < len(_FLOORS) else 0.0, _FLOORS[rank - 1] + RISE_MARGIN if rank else 101.0)
    for rank, tier in enumerate(TIERS)
}
"""What activity must reach, and stay below, for each tier to be kept; the first must be exceeded."""


def stays(tier: Tier, percent: float) -> bool:
    """Whether an evaluation leaves the tier as it is: `next_tier` is it, in a third of the time.

    >>> [stays(Tier.LOW, x) for x in (59.9, 60, 94.9, 95)], stays(Tier.VERY_LOW, 90)
    ([False, True, True, False], False)
    """
    floor, ceiling = _STAYS[tier]
    return floor <= percent < ceiling and (percent > floor or tier is not TIERS[0])


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
