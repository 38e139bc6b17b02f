"""The figures of predicted classes, against those of a library."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support

from inference.agreement import agreement, figures

DICE = np.random.default_rng(3)
TRUE = DICE.integers(3, size=200)
SAID = np.where(DICE.random(200) < 0.7, TRUE, DICE.integers(3, size=200))


def test_figures_are_those_of_the_library() -> None:
    found = agreement(TRUE, SAID, [0, 1, 2])
    assert found.accuracy == pytest.approx(accuracy_score(TRUE, SAID))
    assert found.macro_f1 == pytest.approx(f1_score(TRUE, SAID, average="macro"))
    wanted = precision_recall_fscore_support(TRUE, SAID)[:3]
    assert np.array(found.by_class) == pytest.approx(np.array(wanted))


def test_a_weight_is_a_row_so_many_times() -> None:
    weights = DICE.integers(4, size=200)
    repeated = agreement(np.repeat(TRUE, weights), np.repeat(SAID, weights), [0, 1, 2])
    assert agreement(TRUE, SAID, [0, 1, 2], weights).confusion.tolist() == repeated.confusion.tolist()


def test_a_class_that_is_never_said_has_no_share_and_no_warning() -> None:
    found = agreement(np.array([0, 2]), np.array([0, 0]), [0, 2])
    assert [part.tolist() for part in found.by_class] == [[0.5, 0.0], [1.0, 0.0], [pytest.approx(2 / 3), 0.0]]


def test_for_machines_each_figure_has_its_interval_and_each_class_its_own() -> None:
    told = figures(TRUE, SAID, {0: "negative", 1: "neutral", 2: "positive"}, np.arange(200))
    for name in ("accuracy", "macro_f1"):
        low, high = told["ci"][name]
        assert low < told[name] < high
    assert told["n"] == 200 == sum(one["n"] for one in told["classes"].values())
    assert told["confusion"]["negative"]["positive"] == ((TRUE == 0) & (SAID == 2)).sum()
