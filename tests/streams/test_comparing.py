"""The comparison with the templates: blind, and each figure with its interval."""

from itertools import islice

import pytest

from inference.training.corpus import examples
from inference.training.evaluate import Sample, judge
from operators import templates
from streams.comparing import against_templates, distinct, mean, share


def samples(number: int, refused: str | None = None, template: bool = False) -> list[Sample]:
    return [
        Sample(one.profile, script, judge(one.profile, script), refused)
        for one in islice(examples(6), number)
        for script in [templates.template_of(one.profile) if template else one.script]
    ]


def test_the_template_against_itself_is_always_a_tie() -> None:
    found = against_templates(samples(60, template=True), seed=1)
    assert found["ties"]["value"] == 1.0 and found["net"]["value"] == 0.0
    assert all(both["model"] == both["templates"] for both in found["marks"].values())


def test_what_the_guard_refuses_counts_as_what_the_user_gets_instead() -> None:
    assert against_templates(samples(60, refused="number"), seed=1)["ties"]["value"] == 1.0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_order_in_which_two_texts_are_marked_changes_nothing(seed: int) -> None:
    found = samples(80)
    assert against_templates(found, seed) == against_templates(found, seed=9)


def test_wins_ties_and_losses_are_all_there_are() -> None:
    found = against_templates(samples(80), seed=1)
    assert sum(found[name]["value"] for name in ("wins", "ties", "losses")) == pytest.approx(1)
    low, high = found["net"]["ci"]
    assert low <= found["net"]["value"] <= high
    assert found["net"]["value"] == pytest.approx(found["wins"]["value"] - found["losses"]["value"])


def test_a_share_has_wilsons_interval() -> None:
    # The example of Newcombe, Statistics in Medicine 17 (1998), table I: 81 of 263.
    low, high = share([True] * 81 + [False] * 182)["ci"]
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)


def test_runs_are_counted_over_words_and_chinese_characters() -> None:
    assert distinct(["a b c", "a b d"] * 10, "2")["value"] == 3 / 40
    assert distinct(["你好吗", "你好啊"] * 10, "2")["value"] == 3 / 40
    assert distinct(["x"] * 20, "scripts")["value"] == 1 / 20


def test_a_mean_of_equal_values_is_certain() -> None:
    assert mean([2.0] * 30)["ci"] == [2.0, 2.0]
