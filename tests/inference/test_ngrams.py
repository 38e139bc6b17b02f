"""The linear model as it is served: from arrays alone, and the same however a text is spaced."""

from pathlib import Path

import numpy as np
import pytest

from inference.ngrams import Ngrams, checksum, checksums, normal, pieces


@pytest.fixture
def model(tmp_path: Path) -> Ngrams:
    """Knows two characters and their pair; all idf are 1."""
    known = sorted((checksum(piece), weights) for piece, weights in WEIGHTS.items())
    np.savez(
        tmp_path / "ngrams.npz",
        checksums=np.array([name for name, _ in known], dtype=np.uint32),
        idf=np.ones(len(known), dtype=np.float16),
        weights=np.array([weights for _, weights in known], dtype=np.float16),
        bias=np.array([OTHER_BIAS, CHINESE_BIAS]),
        share=np.array([0.25, 0.75]),
    )
    return Ngrams(tmp_path / "ngrams.npz")


OTHER_BIAS, CHINESE_BIAS = [0.0, 1.0, 0.0], [0.5, 0.0, 0.25]
WEIGHTS = {"不": (1.0, 0.0, -1.0), "好": (-1.0, 0.0, 2.0), "不好": (4.0, 0.0, -4.0)}


def test_the_weights_of_what_is_known_add_up_over_a_text_of_length_one(model: Ngrams) -> None:
    wanted = np.sum(list(WEIGHTS.values()), axis=0) / np.sqrt(3) + CHINESE_BIAS
    assert model.logits(["不好"])[0] == pytest.approx(wanted)


def test_what_comes_often_counts_by_its_logarithm(model: Ngrams) -> None:
    assert model.logits(["好"])[0] == pytest.approx(model.logits(["好x好x好"])[0])
    both, more = model.logits(["好, 不", "好, 不, 好"])
    assert more[2] > both[2]


@pytest.mark.parametrize(
    ("text", "bias"), [("", OTHER_BIAS), ("x", OTHER_BIAS), ("🙂", OTHER_BIAS), ("猫", CHINESE_BIAS)]
)
def test_a_text_without_a_known_piece_gets_the_bias_of_its_language(
    model: Ngrams, text: str, bias: list[float]
) -> None:
    assert model.logits([text])[0].tolist() == bias


def test_their_say_depends_on_the_language(model: Ngrams) -> None:
    assert model.shares(["good", "好", "ok 好"]).tolist() == [[0.25], [0.75], [0.75]]


def test_a_chinese_gram_counts_for_its_kind_of_text_too() -> None:
    assert {"不好", "~不好"} <= set(pieces("不好")) and "|不好" not in set(pieces("不好"))
    assert "|不好" in set(pieces("不好。")) and "|不好" in set(pieces("不好" * 20))


def test_segmented_text_reads_as_it_was_written() -> None:
    assert normal("质量 不 好 , 退货 ok 吗") == normal("质量不好 , 退货 ok 吗")
    assert list(pieces(normal("不 好"))) == list(pieces(normal("不好")))


def test_english_is_read_by_words_and_parts_of_them() -> None:
    found = list(pieces("Not good"))
    assert {"=not", "=good", "=not good", "- g", "-goo", "-ood "} <= set(found)


@pytest.mark.parametrize(
    "text", ["", "不", "不好", "Not good!", "ＯＫ 好 fine 🙂", "İstanbul 好", "naïve Grüße", "很好。" * 9]
)
def test_names_are_those_of_the_pieces_in_their_order(text: str) -> None:
    assert list(checksums(text)) == [checksum(piece) for piece in pieces(text)]
