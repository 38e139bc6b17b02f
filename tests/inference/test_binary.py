"""The figures are those of the textbooks, and a weight is as good as copies of the row."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from inference.binary import Binary

rows = st.lists(
    st.tuples(st.booleans(), st.integers(0, 8), st.integers(0, 3)), min_size=2, max_size=60
).filter(lambda some: len({truth for truth, _, weight in some if weight}) == 2)


@given(rows)
def test_weighted_figures_are_those_of_scikit_learn(some: list[tuple[bool, int, int]]) -> None:
    truth, eighths, weight = (np.array(column) for column in zip(*some, strict=True))
    probability, weights = eighths / 8, weight.astype(np.float64)
    judged = Binary(truth, probability, balanced_threshold=0.25)
    for ours, theirs in (
        (judged.auc, metrics.roc_auc_score),
        (judged.pr_auc, metrics.average_precision_score),
        (judged.brier, metrics.brier_score_loss),
    ):
        assert ours(weights) == pytest.approx(theirs(truth, probability, sample_weight=weights))
    told = {"sample_weight": weights}
    assert judged.accuracy(weights) == pytest.approx(
        metrics.accuracy_score(truth, probability >= 0.5, **told)
    )
    assert judged.balanced_accuracy(weights) == pytest.approx(
        metrics.balanced_accuracy_score(truth, probability >= 0.25, **told)
    )


def test_calibration_is_off_by_what_each_tenth_is_off() -> None:
    # Four in the tenth of 0.3 of which two say yes, one at 0.9 that says yes: 4/5 × 0.2 + 1/5 × 0.1.
    judged = Binary([1, 1, 0, 0, 1], [0.3, 0.3, 0.3, 0.3, 0.9])
    assert judged.ece(judged.ones) == pytest.approx(0.18)


def test_the_majority_is_told_beside_the_base_rate() -> None:
    judged = Binary([0, 0, 0, 1], [0.1, 0.2, 0.3, 0.4])
    assert (judged.base_rate(judged.ones), judged.majority(judged.ones)) == (0.25, 0.75)


def test_one_answer_alone_has_no_order() -> None:
    judged = Binary([1, 1], [0.1, 0.9])
    figures = (judged.auc, judged.pr_auc, judged.balanced_accuracy)
    assert all(math.isnan(figure(judged.ones)) for figure in figures)


def test_each_figure_comes_with_an_interval_that_holds_it() -> None:
    dice = np.random.default_rng(1)
    probability = dice.uniform(size=400)
    found = Binary(dice.uniform(size=400) < probability, probability).figures(np.arange(400) // 4, draws=50)
    for name in ("auc", "pr_auc", "accuracy", "balanced_accuracy", "brier"):
        (low, high), value = found[name]["ci"], found[name]["value"]
        assert low < value < high, name
