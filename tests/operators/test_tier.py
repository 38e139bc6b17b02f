"""Tiers fall at once and rise only past the upper bound and five."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.tier import activity, kept_within, next_tier, tier_of, usual_hours
from schemas.vocabulary import Tier

percents = st.floats(0, 100)


@given(st.sampled_from(Tier), percents)
def test_a_decline_takes_effect_at_once(tier: Tier, percent: float) -> None:
    if tier_of(percent).rank > tier.rank:
        assert next_tier(tier, percent) is tier_of(percent)


@given(st.sampled_from(Tier), percents)
def test_a_tier_once_taken_holds_while_activity_does(tier: Tier, percent: float) -> None:
    settled = next_tier(tier, percent)
    assert next_tier(settled, percent) is settled


@given(st.sampled_from(Tier), percents | st.sampled_from([0, 10, 15, 30, 35, 60, 65, 90, 95, 100]))
def test_a_tier_is_kept_just_where_the_next_one_is_the_same(tier: Tier, percent: float) -> None:
    floor, ceiling = kept_within(tier)
    assert (floor <= percent < ceiling) == (next_tier(tier, percent) is tier)


@pytest.mark.parametrize(
    ("tier", "percent", "expected"),
    [
        (Tier.CRITICAL, 14.9, Tier.CRITICAL),
        (Tier.CRITICAL, 15.0, Tier.HIGH),
        (Tier.HIGH, 34.9, Tier.HIGH),
        (Tier.HIGH, 35.0, Tier.MEDIUM),
        (Tier.MEDIUM, 64.9, Tier.MEDIUM),
        (Tier.MEDIUM, 65.0, Tier.LOW),
        (Tier.LOW, 94.9, Tier.LOW),
        (Tier.LOW, 95.0, Tier.VERY_LOW),
        (Tier.CRITICAL, 100.0, Tier.VERY_LOW),
        (Tier.VERY_LOW, 90.0, Tier.LOW),
    ],
)
def test_a_rise_leaves_a_tier_five_above_its_upper_bound(tier: Tier, percent: float, expected: Tier) -> None:
    assert next_tier(tier, percent) is expected


def test_usual_counts_the_weeks_that_the_user_has_been_here() -> None:
    assert usual_hours(prior=24, tenure=336) == 24.0  # one prior week
    assert usual_hours(prior=0, tenure=5000) == 1.0
    assert activity(recent=3, usual=1.0) == 100.0
