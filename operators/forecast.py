"""When a user's next change comes if no event does: the decision known ahead.

Counts change only where an active pane enters the window, passes from its recent to its prior part
or leaves it; in between, activity can but rise while the tenure still grows. So the walk goes from
edge to edge, not from pane to pane.
"""

from bisect import bisect_left

from operators.tier import ONBOARDING_PANES, activity, kept_within, usual_hours
from operators.window import RECENT_PANES, WINDOW_PANES, Window, counts
from schemas.vocabulary import Tier


def percent_at(mask: int, ahead: int, tenure: int) -> float:
    """Activity `ahead` panes after the next one to be evaluated, where tenure is `tenure` panes."""
    recent, prior = counts(mask, ahead)
    return activity(recent, usual_hours(prior, tenure))


def forecast(window: Window, first: int, tier: Tier | None) -> int:
    """The first pane after `window.done` whose evaluation changes something.

    That is a crossing, the silent first tier of a user whose onboarding (from pane `first`) ends, or
    the pane as of which a user without any active pane left is forgotten.

    >>> window = Window(-1)
    >>> for pane in range(0, 720, 8):
    ...     window = window.mark(pane)
    >>> forecast(window, 0, None), forecast(window.at(719), 0, Tier.VERY_LOW)
    (335, 736)
    """
    mask = window.mask
    start = window.done + 1
    if tier is None:
        settled = max(start, first + ONBOARDING_PANES - 1)
        return min(settled, _forgotten(mask, start))
    floor, ceiling = kept_within(tier)

    def changes(ahead: int) -> bool:
        return not floor <= percent_at(mask, ahead, start + ahead - first + 1) < ceiling

    ahead = 0
    while mask >> ahead & _SEEN:
        if changes(ahead):
            return start + ahead
        edge = _next_edge(mask, ahead)
        if start + ahead - first + 1 < WINDOW_PANES:
            # Activity only rises up to the edge: one look at the last pane tells, bisection finds it.
            span = range(ahead + 1, edge)
            rises = bisect_left(span, True, key=changes)
            if rises < len(span):
                return start + span[rises]
        ahead = edge
    return start + ahead


_SEEN = (1 << WINDOW_PANES) - 1


def _forgotten(mask: int, start: int) -> int:
    """The first pane, from `start` on, as of which the window is empty."""
    ahead = 0
    while seen := mask >> ahead & _SEEN:
        ahead += seen.bit_length()
    return start + ahead


def _next_edge(mask: int, ahead: int) -> int:
    """The smallest step beyond `ahead` at which `recent` or `prior` changes (`ahead` + 721 at most)."""
    seen = mask >> ahead
    return ahead + min(
        _upto_lowest(seen),
        _upto_lowest(seen >> WINDOW_PANES - RECENT_PANES),
        _upto_lowest(seen >> WINDOW_PANES),
    )


def _upto_lowest(mask: int) -> int:
    """The number of bits up to the lowest one that is set; more than the window's where none is."""
    return (mask & -mask).bit_length() or WINDOW_PANES + 1
