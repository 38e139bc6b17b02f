"""The training in small: a few steps, interrupted and gone on with. Needs the extra `train`."""

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the training extra is not installed")
pytest.importorskip("transformers", reason="the training extra is not installed")

import torch

from inference.prompt import prompt
from inference.training import loop, model, tokenizer
from inference.training.corpus import examples
from inference.training.halfway import Progress

WORDS = tokenizer.train(1)
IDS = tokenizer.token_id(WORDS, tokenizer.PAD), tokenizer.token_id(WORDS, tokenizer.END)


def fitted(steps: int, checkpoint: Path) -> list[Progress]:
    torch.manual_seed(1)
    return loop.fit(
        model.create(*IDS),
        WORDS,
        steps=steps,
        seed=1,
        checkpoint=checkpoint,
        report=lambda at: None,
        report_every=2,
    )


def test_the_model_has_every_part_of_gpt_oss() -> None:
    made = model.create(*IDS)
    assert made.config.layer_types == ["sliding_attention", "full_attention"]
    assert made.config.rope_parameters["rope_type"] == "yarn"
    assert made.model.layers[0].self_attn.sinks.shape == (4,)
    assert made.config.num_experts_per_tok < made.config.num_local_experts
    assert 1_000_000 < sum(parameter.numel() for parameter in made.parameters()) < 5_000_000


def test_the_tokenizer_gives_back_what_it_was_given() -> None:
    profile, script = next(examples(2))
    for text in (prompt(profile), script, "🙂 Grüße, 你好"):
        assert WORDS.decode(WORDS.encode(text).ids, skip_special_tokens=False) == text


def test_a_slot_and_a_special_token_are_one_token_each() -> None:
    assert len(WORDS.encode("{{active_hours_7d}}<|start|>").ids) == 2


def test_only_the_answer_is_learned() -> None:
    batch = next(loop.batches(WORDS, 1))
    learned = batch.targets != -100
    assert learned.any(dim=1).all()
    assert not learned[:, :20].any()


def test_training_lowers_the_loss_and_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    first = fitted(6, checkpoint)
    assert first[-1].step == 6 and first[-1].loss < first[0].loss
    again = fitted(8, checkpoint)
    assert [at.step for at in again] == [2, 4, 6, 8]
    assert again[:3] == first
