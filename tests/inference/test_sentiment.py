"""The model of sentiment that is shipped, and what it does with messages of all kinds."""

from pathlib import Path

import numpy as np
import pytest

from inference.labelled import CLASSES
from inference.registry import promoted
from inference.sentiment import MODEL, MOST_CHARACTERS, NGRAMS, Sentiment, among, blended, log_softmax
from schemas.errors import UnavailableError

SHIPPED = Sentiment.load(promoted(MODEL))
MOST_BYTES = 12 * 1024 * 1024


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("质量很好，非常满意，下次还会再来", "positive"),
        ("很喜欢，物流也快，客服态度好", "positive"),
        ("太差了，用了一天就坏，客服也不理人，要求退货", "negative"),
        ("垃圾产品，后悔买了", "negative"),
        ("你真笨，气死我了", "negative"),
        ("That is great, thank you so much, it works perfectly!", "positive"),
        ("No, that is wrong. You are not listening to me.", "negative"),
    ],
)
def test_a_clear_message_is_read_rightly(text: str, wanted: str) -> None:
    assert CLASSES[among(SHIPPED.of([text]), [0, 2])[0]] == wanted


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n\t",
        "🙂🙁👍🏽",
        "\x00\ufffd\u200b",
        "没有 space ください Grüße שלום مرحبا",
        "差" * 20_000,
        "word " * 20_000,
        "a" * 20_000,
        "。，！？",
    ],
)
def test_no_message_breaks_it(text: str) -> None:
    found = SHIPPED.of([text])
    assert found.shape == (1, 3) and np.isfinite(found).all()
    assert found.sum() == pytest.approx(1) and (found >= 0).all()


def test_segmented_text_is_read_as_unsegmented() -> None:
    apart, together = SHIPPED.of(["质量 太 差 了 ， 后悔 买 了", "质量太差了，后悔买了"])
    assert apart == pytest.approx(together, abs=1e-3)


def test_a_message_is_read_alike_alone_and_among_others() -> None:
    texts = ["还可以吧", "thanks", "差评！" * 50]
    alone = np.concatenate([SHIPPED.of([text]) for text in texts])
    assert SHIPPED.of(texts).tolist() == alone.tolist()


@pytest.mark.parametrize("text", ["差评！很失望。", "This is not what I ordered. "])
def test_of_a_long_message_the_beginning_is_read(text: str) -> None:
    long = text * MOST_CHARACTERS
    assert SHIPPED.of([long]).tolist() == SHIPPED.of([long[:MOST_CHARACTERS]]).tolist()


def test_no_messages_are_no_rows() -> None:
    assert SHIPPED.of([]).shape == (0, 3)


def test_it_is_named_by_its_folder_and_small_enough() -> None:
    folder = promoted(MODEL)
    assert SHIPPED.version == folder.name
    assert sum(path.stat().st_size for path in folder.iterdir()) <= MOST_BYTES
    assert {"metrics.json", "MODEL_CARD.md"} <= {path.name for path in folder.iterdir()}


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=f"no model of sentiment in {tmp_path}"):
        Sentiment.load(tmp_path)


def test_a_file_that_is_no_model_is_named(tmp_path: Path) -> None:
    (tmp_path / NGRAMS).write_bytes(b"nothing")
    with pytest.raises(UnavailableError, match=f"the model of sentiment in {tmp_path} cannot be read"):
        Sentiment.load(tmp_path)


def test_of_two_classes_the_likelier_is_said_even_where_the_third_is_likelier_still() -> None:
    found = np.array([[0.2, 0.7, 0.1], [0.1, 0.7, 0.2]])
    assert among(found, [0, 2]).tolist() == [0, 2]
    assert among(found, [0, 1, 2]).tolist() == [1, 1]


def test_a_blend_leans_to_whoever_has_the_say() -> None:
    one, other = log_softmax(np.array([2.0, 0.0, 0.0])), log_softmax(np.array([0.0, 0.0, 2.0]))
    assert blended(one, other, 0.0) == pytest.approx(one)
    assert blended(one, other, 1.0) == pytest.approx(other)
    middle = np.exp(blended(one, other, 0.5))
    assert middle[0] == pytest.approx(middle[2]) and middle.sum() == pytest.approx(1)
