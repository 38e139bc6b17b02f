"""`holdfast evaluate sentiment` from the outside, with the model that is shipped."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import accuracy_score, f1_score

from inference.labelled import is_test
from streams.cli import main

GOOD = ("质量很好，非常满意", "很喜欢，物流也快", "真的不错，推荐购买", "very good, thank you so much")
BAD = ("质量太差了，后悔买了", "垃圾，要求退货", "客服态度差，很失望", "no, that is wrong and bad")
Evaluate = Callable[..., tuple[int, str, str]]


@pytest.fixture
def evaluate(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Evaluate:
    """Runs the command; its exit status, stdout and stderr."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["holdfast", "evaluate", "sentiment", *map(str, arguments)])
        try:
            main()
            status = 0
        except SystemExit as stopped:
            status = int(stopped.code or 0)
        return status, *capsys.readouterr()

    return run


def written(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    return written(tmp_path / "reviews.parquet", cat=["x"] * 8, label=[1] * 4 + [0] * 4, review=GOOD + BAD)


def test_the_figures_are_those_of_the_predictions(tmp_path: Path, reviews: Path, evaluate: Evaluate) -> None:
    status, printed, _ = evaluate("--data", reviews, "--predictions", tmp_path / "out.parquet", "--json")
    assert status == 0
    told = json.loads(printed)
    said = pq.read_table(tmp_path / "out.parquet").to_pydict()
    true = pq.read_table(reviews)["label"].to_pylist()
    assert said.keys() == {"row", "label"} and said["row"] == list(range(8))
    assert set(said["label"]) <= {0, 1}
    assert told["n"] == 8 and told["accuracy"] == pytest.approx(accuracy_score(true, said["label"]))
    assert told["macro_f1"] == pytest.approx(f1_score(true, said["label"], average="macro"))
    assert told["accuracy"] >= 7 / 8
    for figure in ("accuracy", "macro_f1"):
        low, high = told["ci"][figure]
        assert 0 <= low <= told[figure] <= high <= 1
    assert told["classes"].keys() == told["confusion"].keys() == {"negative", "positive"}
    assert 0 < told["ms_per_message"]["p50"] <= told["ms_per_message"]["p99"] <= told["ms_per_message"]["max"]


def test_a_label_is_predicted_as_the_file_spells_it(tmp_path: Path, evaluate: Evaluate) -> None:
    path = written(tmp_path / "texts.parquet", label=["POS"] * 4 + ["NEG"] * 4, text=GOOD + BAD)
    status, _, _ = evaluate("--data", path, "--predictions", tmp_path / "out.parquet")
    said = pq.read_table(tmp_path / "out.parquet")["label"].to_pylist()
    assert status == 0 and set(said) == {"POS", "NEG"}


def test_segmented_text_gets_the_same_answers(tmp_path: Path, reviews: Path, evaluate: Evaluate) -> None:
    spaced = written(
        tmp_path / "spaced.parquet",
        label=[1] * 4 + [0] * 4,
        text=[" ".join(text) for text in GOOD[:3] + BAD[:3]] + ["ok"] * 2,
    )
    for path in (reviews, spaced):
        evaluate("--data", path, "--predictions", path.with_suffix(".out"))
    answers = [pq.read_table(path.with_suffix(".out"))["label"].to_pylist() for path in (reviews, spaced)]
    assert answers[1][:3] == answers[0][:3] and answers[1][3:6] == answers[0][4:7]


def test_people_get_a_table(reviews: Path, evaluate: Evaluate) -> None:
    status, printed, _ = evaluate("--data", reviews)
    assert status == 0
    for part in ("precision", "negative", "positive", "accuracy", "macro_f1", "ms a message"):
        assert part in printed


def test_only_unseen_texts_are_read_where_that_is_asked(tmp_path: Path, evaluate: Evaluate) -> None:
    texts = [f"很好 {at}" for at in range(60)]
    path = written(tmp_path / "texts.parquet", label=[0, 1] * 30, text=texts)
    status, printed, _ = evaluate(
        "--data", path, "--unseen", "--predictions", tmp_path / "out.parquet", "--json"
    )
    wanted = [row for row, text in enumerate(texts) if is_test(text)]
    assert status == 0 and 0 < len(wanted) < 60
    assert pq.read_table(tmp_path / "out.parquet")["row"].to_pylist() == wanted
    assert json.loads(printed)["n"] == len(wanted)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"label": [1]}, "no column `text` or `review`"),
        ({"text": ["a"], "label": ["joy"]}, "`label` has 'joy'"),
        ({"text": pa.array([], pa.string()), "label": pa.array([], pa.int64())}, "no rows"),
        ({"text": ["a", None], "label": [0, 1]}, "`text` is null in 1 rows"),
    ],
)
def test_a_wrong_file_is_one_line(
    tmp_path: Path, evaluate: Evaluate, columns: dict[str, Any], said: str
) -> None:
    status, printed, complaint = evaluate("--data", written(tmp_path / "wrong.parquet", **columns), "--json")
    assert status == 1 and not printed
    assert said in complaint and complaint.startswith("holdfast: ") and complaint.count("\n") == 1


def test_a_missing_model_and_a_place_that_cannot_be_written_are_named(
    tmp_path: Path, reviews: Path, evaluate: Evaluate
) -> None:
    status, _, complaint = evaluate("--data", reviews, "--model", tmp_path)
    assert status == 1 and "no model of sentiment" in complaint
    status, _, complaint = evaluate("--data", reviews, "--predictions", tmp_path / "none" / "out.parquet")
    assert status == 1 and "cannot be written" in complaint
