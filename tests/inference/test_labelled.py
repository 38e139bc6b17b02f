"""Files of judged texts: what is understood, and what is said of the rest."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from inference.labelled import CLASSES, hundredth, key, read
from schemas.errors import InputError


def written(folder: Path, **columns: Any) -> Path:
    path = folder / "texts.parquet"
    pq.write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["negative", "positive"], [0, 2]),
        (["NEG", "pos", " Neutral "], [0, 2, 1]),
        ([0, 1], [0, 2]),
        ([-1, 1, 0], [0, 2, 1]),
        ([0, 1, 2], [0, 1, 2]),
        ([False, True], [0, 2]),
        ([0.0, 1.0], [0, 2]),
    ],
)
def test_each_spelling_of_the_labels_is_understood_and_kept(
    tmp_path: Path, labels: list[Any], classes: list[int]
) -> None:
    found = read(written(tmp_path, label=labels, text=["a"] * len(labels)))
    assert found.classes.tolist() == classes
    assert [found.spelling[at] for at in classes] == labels


@pytest.mark.parametrize(("label", "known"), [("positive", {0, 2}), (1, {0, 2}), ("neutral", {0, 1, 2})])
def test_a_file_always_knows_negative_and_positive(tmp_path: Path, label: Any, known: set[int]) -> None:
    assert read(written(tmp_path, label=[label], text=["a"])).spelling.keys() == known


def test_a_review_is_a_text_and_so_is_a_dictionary_of_them(tmp_path: Path) -> None:
    reviews = pa.array(["好", "坏"]).dictionary_encode()
    assert read(written(tmp_path, label=[1, 0], review=reviews)).texts == ["好", "坏"]


def test_ratings_stand_for_labels_where_there_are_none(tmp_path: Path) -> None:
    found = read(
        written(
            tmp_path,
            text=["bad", "fine", "good", "", "not rated"],
            satisfaction_mean=[8 / 3, 3.0, 10 / 3, 1.0, None],
        )
    )
    assert [CLASSES[at] for at in found.classes] == ["negative", "neutral", "positive"]
    assert found.rows.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"label": [1]}, "no column `text` or `review`; it has label"),
        ({"text": ["a"]}, "no column `label`; it has text"),
        ({"label": [], "text": pa.array([], pa.string())}, "no rows"),
        ({"label": [1, None], "text": ["a", "b"]}, "`label` is null in 1 rows, first in row 1"),
        ({"label": [1, 0], "text": [None, "b"]}, "`text` is null in 1 rows, first in row 0"),
        ({"label": ["joy", "negative"], "text": ["a", "b"]}, "`label` has 'joy'"),
        ({"label": [0, 7], "text": ["a", "b"]}, "`label` has 0, 7"),
        ({"label": [0.5, 1.0], "text": ["a", "b"]}, "`label` has 0.5, 1.0"),
        ({"label": ["neg", "negative"], "text": ["a", "b"]}, "spells one class in two ways"),
        ({"label": [1], "text": [5]}, "`text` is int64, not text"),
        ({"text": ["a"], "satisfaction_mean": pa.array([None], pa.float64())}, "no row has both"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(tmp_path: Path, columns: dict[str, Any], said: str) -> None:
    path = written(tmp_path, **columns)
    with pytest.raises(InputError) as caught:
        read(path)
    assert said in str(caught.value) and "\n" not in str(caught.value) and str(path) in str(caught.value)


def test_a_file_that_is_none_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("label,text")
    with pytest.raises(InputError, match="not a Parquet file"):
        read(tmp_path / "text.parquet")


def test_texts_that_say_the_same_fall_into_the_same_part() -> None:
    same = ["这个 价格 太贵 了 ！", "这个价格太贵了", "这个价格太贵了！！"]
    assert len({key(text) for text in same}) == len({hundredth(text) for text in same}) == 1
    assert key("🙂") != key("🙁")
