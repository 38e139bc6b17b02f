"""The whole training on a small log: figures of the held-out, a card that says what the model foresees."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

pytest.importorskip("onnx", reason="the training extra is not installed")

from inference.training.risk import Examples
from schemas.codec import encode
from schemas.errors import InputError
from schemas.events import Usage
from streams.risk import training
from streams.risk.training import train

DAY_MS = 86_400_000
START_MS = 19_000 * DAY_MS


def log_and_answers(folder: Path) -> tuple[Path, Path]:
    """Sixty users; who uses little in a fortnight is likely to leave after it."""
    dice = np.random.default_rng(1)
    events, user, tau_ms, left = [], [], [], []
    for number in range(60):
        for fortnight in range(10):
            often = dice.uniform(0.1, 0.9)
            for day in range(14 * fortnight, 14 * fortnight + 14):
                if dice.uniform() < often:
                    ts = START_MS + day * DAY_MS + DAY_MS // 2
                    events.append(
                        Usage(
                            event_id=f"{number}-{day}", tenant="acme", user_id=str(number), ts=ts, feature="f"
                        )
                    )
            user.append(str(number))
            tau_ms.append(START_MS + (14 * fortnight + 17) * DAY_MS)
            left.append(bool(dice.uniform() < 1 - often))
    log, answers = folder / "log.jsonl", folder / "answers.parquet"
    log.write_bytes(b"\n".join(map(encode, events)))
    columns = {"user": user, "tau": pa.array(tau_ms, pa.timestamp("ms")), "left": left}
    pq.write_table(pa.table(columns), answers)
    return log, answers


def test_a_model_learns_answers_and_its_card_says_whose(tmp_path: Path) -> None:
    log, answers = log_and_answers(tmp_path)
    metrics = train([log], tmp_path / "1", answers=answers, draws=20, report=lambda stage: None)
    broad = metrics["held_out"]["log"]["broad"]
    assert broad["auc"]["value"] > 0.6
    assert broad["auc"]["ci"][0] < broad["auc"]["value"] < broad["auc"]["ci"][1]
    card = (tmp_path / "1" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "is among those who left, by answers.parquet" in " ".join(card.split())


def test_answers_about_others_are_refused(tmp_path: Path) -> None:
    log, _ = log_and_answers(tmp_path)
    others = {"user": ["nobody"], "tau": pa.array([START_MS], pa.timestamp("ms")), "left": [True]}
    pq.write_table(pa.table(others), tmp_path / "others.parquet")
    with pytest.raises(InputError, match="the log tells of nobody who has an answer"):
        train([log], tmp_path / "1", answers=tmp_path / "others.parquet", draws=20, report=lambda stage: None)


def test_a_log_s_figures_are_of_models_that_learned_from_the_other_logs_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, answers = log_and_answers(tmp_path)
    other = tmp_path / "other.jsonl"
    other.write_bytes(log.read_bytes())
    learned: list[int] = []

    def make(examples: Examples) -> Callable[[NDArray[np.float32]], NDArray[np.float64]]:
        learned.append(len(np.unique(examples.user)))
        return lambda signals: np.linspace(0.1, 0.9, len(signals))

    monkeypatch.setattr(training, "make_model", make)
    metrics = train([log, other], tmp_path / "1", answers=answers, draws=20, report=lambda stage: None)
    assert metrics["held_out"].keys() == {"log", "other"}
    assert metrics["data"]["users"] == 120
    assert learned == [40 + 60] * 6  # two thirds of the log's own users, and all of the other's
