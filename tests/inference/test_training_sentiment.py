"""The training of the model of sentiment in small, and checkpoints. Needs the extra `train`."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="the training extra is not installed")
pytest.importorskip("transformers", reason="the training extra is not installed")

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import transformers

from inference.labelled import is_test
from inference.sentiment import Sentiment
from inference.training.halfway import Progress
from inference.training.sentiment import checkpoint, data, loop, main, meanings, vocabulary
from inference.training.sentiment.export import export
from schemas.errors import InputError

GOOD, BAD = ("质量很好", "很满意", "真不错", "太喜欢了"), ("质量太差", "不满意", "真垃圾", "要退货")
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "##ly", "很", "好", "差"]


def texts(polarity: tuple[str, ...], many: int) -> list[str]:
    return [f"{polarity[at % 4]}，{polarity[at // 4 % 4]} {at} ok" for at in range(many)]


@pytest.fixture
def judged(tmp_path: Path) -> list[Path]:
    """Chinese of two classes, and English of three, as in the real files."""
    zh, en = tmp_path / "zh.parquet", tmp_path / "en.parquet"
    pq.write_table(pa.table({"label": [1] * 150 + [0] * 150, "text": texts(GOOD, 150) + texts(BAD, 150)}), zh)
    words = [f"{word} thing number {at}" for at in range(50) for word in ("bad", "usual", "good")]
    pq.write_table(pa.table({"label": ["negative", "neutral", "positive"] * 50, "text": words}), en)
    return [zh, en]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A folder as Hugging Face saves it: a BERT with random weights, and its vocabulary."""
    folder = tmp_path / "bert"
    (folder).mkdir()
    (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n", encoding="utf-8")
    transformers.BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


def save(
    folder: Path, kind: str = "BertForSequenceClassification", *, id2label: dict[int, str] | None = None
) -> Any:
    """Weights that differ enough to tell one answer from another."""
    labels = (
        {"id2label": id2label, "label2id": {name: at for at, name in id2label.items()}} if id2label else {}
    )
    torch.manual_seed(5)
    shape = transformers.BertConfig(
        vocab_size=len(PIECES),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        **labels,
    )
    made = getattr(transformers, kind)(shape)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(5)
    made.save_pretrained(folder)
    return made.eval()


def test_the_whole_way_from_texts_to_a_model_that_has_learned(tmp_path: Path, judged: list[Path]) -> None:
    stages: list[str] = []
    metrics = main.main(
        judged,
        tmp_path / "work",
        tmp_path / "made",
        pretrain_epochs=1,
        epochs=12,
        report=lambda stage, done, total, remark: stages.append(stage),
    )
    assert stages[0] == "pre-train" and "fine-tune" in stages
    assert {"model.onnx", "ngrams.npz", "tokenizer.json", "metrics.json", "MODEL_CARD.md"} == {
        path.name for path in (tmp_path / "made").iterdir()
    }
    assert [one["rows"] for one in metrics["data"]["files"]] == [300, 150]
    assert metrics["sets"]["zh"]["shipped"]["accuracy"] > 0.9
    said = Sentiment.load(tmp_path / "made").of(["质量很好，真不错", "质量太差，真垃圾"])
    assert said[0, 2] > said[0, 0] and said[1, 0] > said[1, 2]


def test_what_is_tested_was_never_trained_on(judged: list[Path]) -> None:
    for source in data.load(judged):
        assert all(is_test(text) for text in source.test.texts)
        assert not any(is_test(text) for text in source.train.texts + source.valid.texts)
        assert not set(source.train.texts) & set(source.valid.texts)


def test_an_interrupted_stage_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    ids = [[2, 5 + at % 7, 3] for at in range(40)]

    def fitted(steps_until: int | None) -> list[Progress]:
        torch.manual_seed(1)
        model = torch.nn.Embedding(12, 1)
        seen = 0

        def loss_of(batch: loop.Batch) -> Any:
            nonlocal seen
            if seen == steps_until:
                raise KeyboardInterrupt
            seen += 1
            return model(batch.ids).square().mean()

        return loop.fit(
            model,
            ids,
            loss_of,
            pad=0,
            epochs=120,
            rate=0.1,
            seed=1,
            checkpoint=tmp_path / "checkpoint.pt",
            report=lambda at: None,
            checkpoint_s=0.0,
        )

    with pytest.raises(KeyboardInterrupt):
        fitted(steps_until=70)
    reports = fitted(steps_until=71)  # of 120 steps, 50 were kept
    assert [at.step for at in reports] == [50, 100, 120]
    assert reports[-1].loss < reports[0].loss


def test_an_epoch_has_each_text_once_in_batches_of_like_length() -> None:
    ids = [[2] * length for length in range(1, 200)]
    batches = loop.epoch(ids, 0, seed=1)
    assert sorted(int(text) for batch in batches for text in batch.texts) == list(range(199))
    assert all(batch.ids.numel() <= loop.TOKENS for batch in batches)
    assert sum(int(batch.mask.sum()) for batch in batches) == sum(map(len, ids))


def test_pieces_are_chinese_words_and_the_same_wherever_they_stand() -> None:
    tokenizer = vocabulary.train(["质量很好", "服务很好，质量很好", "很好吃"] * 5)
    first, second = (tokenizer.encode(text).tokens for text in ("很好吃", "质量很好"))
    assert "很好" in "|".join(first) and first[0] == "[CLS]" and first[-1] == "[SEP]"
    assert not any(token.startswith("##") for token in second)
    assert "[UNK]" not in tokenizer.encode("好" * 500).tokens


def test_pieces_with_the_same_neighbours_mean_the_same() -> None:
    ids = [[2, at % 2 + 5, 7, 8, 3] for at in range(40)] + [[2, 9, 10, 11, 3]] * 40
    found = torch.nn.functional.normalize(meanings.vectors(ids, 12, 4, seed=1))
    assert float(found[5] @ found[6]) > 0.9 > float(found[5] @ found[9]) + 0.4


@pytest.mark.parametrize(
    ("labels", "order"),
    [
        (["LABEL_0", "LABEL_1"], [0, 2]),
        (["positive", "negative"], [2, 0]),
        (["LABEL_0", "LABEL_1", "LABEL_2"], [0, 1, 2]),
        (["Neutral", "NEG", "POS"], [1, 0, 2]),
    ],
)
def test_any_checkpoint_that_classifies_is_served_as_it_says(
    tmp_path: Path, saved: Path, labels: list[str], order: list[int]
) -> None:
    made = save(saved, id2label=dict(enumerate(labels)))
    export(checkpoint.judge_of(saved), checkpoint.tokenizer_of(saved), tmp_path / "7")
    served = Sentiment.load(tmp_path / "7")
    assert served.version == "7"
    text = "goodly bad 很好 unknown"
    ids = transformers.AutoTokenizer.from_pretrained(saved)(text, return_tensors="pt")
    wanted = np.zeros(3)
    wanted[order] = torch.softmax(made(**ids).logits[0], 0).detach().numpy()
    assert served.of([text])[0] == pytest.approx(wanted, abs=0.1)
    assert np.isfinite(served.of(["good " * 1000])).all()


def test_an_encoder_is_fine_tuned_on_the_files(tmp_path: Path, saved: Path, judged: list[Path]) -> None:
    save(saved, "BertModel")
    metrics = main.main(judged, tmp_path / "work", tmp_path / "made", checkpoint=saved, epochs=1)
    assert [stage["name"] for stage in metrics["training"]["stages"]] == ["fine-tuning"]
    assert Sentiment.load(tmp_path / "made").of(["很好"]).shape == (1, 3)


def test_what_is_no_such_checkpoint_is_said(tmp_path: Path, saved: Path) -> None:
    with pytest.raises(InputError, match="no checkpoint"):
        checkpoint.judge_of(tmp_path)
    save(saved, "BertModel")
    with pytest.raises(InputError, match="does not classify yet"):
        checkpoint.judge_of(saved)
    save(saved, id2label={0: "joy", 1: "anger"})
    with pytest.raises(InputError, match="id2label has joy, anger"):
        checkpoint.judge_of(saved)
    (saved / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(InputError, match="model_type is gpt2, not bert"):
        checkpoint.encoder_of(saved)
