"""The served model says what the trained one said, and why. Needs the extra `train`."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

pytest.importorskip("onnx", reason="the training extra is not installed")

from inference.risk import CALIBRATION, ONNX, TREES, Risk, load, sigmoid
from inference.training.risk import LEAST_SLOPE, Examples, Model, fit, save
from inference.training.surrogate import Surrogate
from schemas.errors import UnavailableError

NAMES = ("quiet", "days", "noise")


def examples(rows: int = 3000, seed: int = 1) -> Examples:
    """Who was quiet for long leaves, most often; days are whole, so that many rows stand at a threshold."""
    dice = np.random.default_rng(seed)
    quiet, days = dice.uniform(0, 30, rows), dice.integers(0, 30, rows)
    return Examples(
        signals=np.column_stack([quiet, days, dice.normal(size=rows)]).astype(np.float32),
        user=np.arange(rows) // 3,
        tau_ms=np.arange(rows),
        churned=dice.uniform(size=rows) < sigmoid((quiet - days) / 4),
        is_hard=days > 2,
    )


@pytest.fixture(scope="module")
def trained() -> Model:
    return fit(examples(), NAMES)


@pytest.fixture
def served(trained: Model, tmp_path: Path) -> Risk:
    save(tmp_path / "7", trained)
    return load(tmp_path / "7", NAMES)


def test_onnx_says_what_was_trained(trained: Model, served: Risk) -> None:
    rows = np.vstack([examples().signals, examples(seed=2).signals])
    np.testing.assert_allclose(served.log_odds(rows), trained.log_odds(rows), atol=1e-5)
    np.testing.assert_allclose(served.probability(rows), trained.probability(rows), atol=1e-6)


def test_a_signal_at_a_threshold_goes_the_same_way_in_both(trained: Model, served: Risk) -> None:
    dumped = trained.booster.trees_to_dataframe()
    splits = dumped[dumped.split_feature == "Column_0"].threshold.to_numpy(dtype=np.float32)
    at = [np.nextafter(splits, np.float32(side)) for side in (-np.inf, np.inf)]
    quiet = np.concatenate([splits, *at])
    rows = np.column_stack([quiet, np.full_like(quiet, 10), np.zeros_like(quiet)])
    np.testing.assert_allclose(served.log_odds(rows), trained.log_odds(rows), atol=1e-5)


def test_the_effects_and_the_base_sum_to_the_log_odds_and_the_strongest_is_first(served: Risk) -> None:
    rows = examples(seed=3).signals[:20]
    log_odds = served.calibration.slope * served.log_odds(rows)
    effects = [served.contributions(row) for row in rows]
    bases = [own - sum(one.effect for one in found) for own, found in zip(log_odds, effects, strict=True)]
    np.testing.assert_allclose(bases, bases[0], atol=1e-4)
    for row, found in zip(rows, effects, strict=True):
        assert sorted(found, key=lambda one: -abs(one.effect)) == list(found)
        assert {one.name: one.value for one in found} == dict(zip(NAMES, row.tolist(), strict=True))


def test_beyond_what_was_seen_the_linear_part_says_no_more(served: Risk) -> None:
    longest, longer = (np.array([[quiet, 10, 0]], dtype=np.float32) for quiet in (30, 3000))
    assert served.log_odds(longer) == pytest.approx(served.log_odds(longest), abs=1e-3)


def test_a_version_of_trees_alone_is_explained_by_them(trained: Model, tmp_path: Path) -> None:
    save(tmp_path, trained)
    alone = msgspec.structs.replace(trained.calibration, linear=None)
    (tmp_path / CALIBRATION).write_bytes(msgspec.json.encode(alone))
    row = examples().signals[0]
    exact = trained.booster.predict(row.reshape(1, -1), pred_contrib=True)[0][:-1] * alone.slope
    found = {one.name: one.effect for one in load(tmp_path, NAMES).contributions(row)}
    assert found == pytest.approx(dict(zip(NAMES, exact, strict=True)))


def test_it_learned_what_there_was_to_learn(served: Risk) -> None:
    gone, there = served.probability(np.array([[28, 2, 0], [1, 28, 0]], dtype=np.float32))
    assert gone > 0.9 > 0.1 > there
    assert served.version == "7"


def test_the_same_examples_give_the_same_files(trained: Model, tmp_path: Path) -> None:
    for name, model in (("1", trained), ("2", fit(examples(), NAMES))):
        save(tmp_path / name, model)
    for name in (ONNX, TREES, CALIBRATION):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


@pytest.mark.parametrize("name", [ONNX, TREES, CALIBRATION])
def test_a_missing_file_is_one_clear_line(trained: Model, tmp_path: Path, name: str) -> None:
    save(tmp_path, trained)
    (tmp_path / name).unlink()
    with pytest.raises(UnavailableError, match=f"no churn model in .*{name}"):
        load(tmp_path, NAMES)


def test_a_model_for_other_signals_is_refused(trained: Model, tmp_path: Path) -> None:
    save(tmp_path, trained)
    with pytest.raises(UnavailableError, match="made for others, differing: nights"):
        load(tmp_path, (*NAMES, "nights"))
    with pytest.raises(UnavailableError, match="made for others, in another order"):
        load(tmp_path, NAMES[::-1])


def test_the_surrogate_is_like_the_model_and_says_how_much(trained: Model, tmp_path: Path) -> None:
    seen, unseen = examples().signals, examples(seed=5).signals
    small = Surrogate(seen, trained.probability(seen))
    fidelity = small.fidelity(unseen, trained.probability(unseen), 0.5)
    assert 0.9 < fidelity["equal_decisions"] <= 1
    assert 0.8 < fidelity["r2"] < 1
    small.save(tmp_path, NAMES)
    assert "quiet <=" in (tmp_path / "surrogate.txt").read_text()


def test_no_calibration_turns_the_order_round() -> None:
    few = examples(200)
    few = few._replace(churned=np.random.default_rng(4).uniform(size=200) < 0.3)
    model = fit(few, NAMES)
    assert model.calibration.slope >= LEAST_SLOPE
    assert model.probability(few.signals).mean() == pytest.approx(few.churned.mean(), abs=0.05)
