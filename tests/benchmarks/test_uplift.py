"""Offers by uplift, risk and chance: the trial's records rank the three as the truth does."""

from pathlib import Path

import pytest

from benchmarks.uplift import Found, found, plot


@pytest.fixture(scope="module")
def told() -> Found:
    return found(30_000, seed=3)


def test_the_effect_on_all_is_found(told: Found) -> None:
    assert told.simulated
    assert told.effect.ci[0] < told.true_effect < told.effect.ci[1]


def test_uplift_keeps_more_users_than_risk_and_both_more_than_chance(told: Found) -> None:
    by = {one.by: one for one in told.rankings}
    assert by["truth"].true_qini > by["uplift"].true_qini > by["risk"].true_qini > by["random"].true_qini
    assert by["uplift"].true_kept[1] > by["risk"].true_kept[1] + 5, "of 1,000, with offers to a fifth"


def test_each_coefficient_is_near_its_truth_and_chance_is_worth_nothing(told: Found) -> None:
    for one in told.rankings:
        width = one.ci[1] - one.ci[0]
        assert abs(one.qini - one.true_qini) < width, one.by
    assert next(one for one in told.rankings if one.by == "random").ci[0] < 0


def test_the_picture_is_drawn(told: Found, tmp_path: Path) -> None:
    path = tmp_path / "uplift.svg"
    plot(told, path)
    assert "SIMULATED" in path.read_text()
