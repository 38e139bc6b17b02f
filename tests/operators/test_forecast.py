"""The forecast is what evaluating every pane would find first."""

from hypothesis import given, settings
from hypothesis import strategies as st

from operators.forecast import forecast
from operators.tier import ONBOARDING_PANES, activity, next_tier, usual_hours
from operators.window import WINDOW_PANES, Window
from schemas.vocabulary import Tier

DONE = 1000


def first_change(window: Window, first: int, tier: Tier | None) -> int:
    """The definition, pane by pane."""
    pane = window.done
    while True:
        pane += 1
        recent, prior = window.counts(pane)
        tenure = pane - first + 1
        if recent + prior == 0:
            return pane
        if tenure < ONBOARDING_PANES:
            continue
        if tier is None or next_tier(tier, activity(recent, usual_hours(prior, tenure))) is not tier:
            return pane


@settings(max_examples=300, deadline=None)
@given(
    st.sets(st.integers(DONE - WINDOW_PANES + 2, DONE + 400), min_size=1, max_size=120),
    st.sampled_from([None, *Tier]),
    st.integers(0, 500),
)
def test_the_forecast_is_the_first_change_of_a_walk_pane_by_pane(
    active: set[int], tier: Tier | None, seniority: int
) -> None:
    window = Window(DONE)
    for pane in active:
        window = window.mark(pane)
    first = min(active) - seniority
    if tier is not None:  # a user with a tier has been here for 14 days
        first = min(first, DONE - ONBOARDING_PANES + 1)
    assert forecast(window, first, tier) == first_change(window, first, tier)
