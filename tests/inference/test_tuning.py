"""Models trained on: the adapter's groups, the merge, the export, on the small model and a tiny GPT-OSS."""

from itertools import islice
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the training extra is not installed")
pytest.importorskip("transformers", reason="the training extra is not installed")
pytest.importorskip("peft", reason="the training extra is not installed")

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from transformers import GptOssConfig, GptOssForCausalLM

from inference.estimate import Estimator, question
from inference.nano import Nano
from inference.prompt import prompt
from inference.training import adapter, base, export, model, package, tokenizer, tune
from inference.training.corpus import examples
from inference.training.recipe import FOLDER as RECIPES
from inference.training.recipe import Adapter, BaseWeights, Recipe, path_of, read
from inference.training.records import Answered
from inference.training.revive import revive
from inference.tritonserver import MODEL, MODEL_REPOSITORY
from schemas.errors import InputError

SHIPPED = MODEL_REPOSITORY / MODEL / "1"
WORDS = tokenizer.train(1)
ATTENTION = Recipe(base_weights=BaseWeights.ATTENTION, steps=3, batch=2)
EXAMPLES = [Answered(prompt=prompt(one.profile), answer=one.script) for one in islice(examples(4), 60)]
IDS = torch.tensor([WORDS.encode(EXAMPLES[0].prompt).ids])


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A tiny GPT-OSS with random weights, in BF16 as the real one is outside of its experts."""
    torch.manual_seed(3)
    shape = GptOssConfig(
        vocab_size=WORDS.get_vocab_size(),
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        num_local_experts=4,
        num_experts_per_tok=2,
        attn_implementation="eager",
    )
    folder = tmp_path / "gpt-oss-tiny"
    GptOssForCausalLM(shape).to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save(WORDS, folder)
    return folder


def logits(of: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return of(input_ids=IDS).logits[0, -1].float()


def near(rounded: NDArray[np.float32], exact: NDArray[np.float32]) -> bool:
    """Whether logits are as near as 8 bits leave them."""
    return bool(np.abs(rounded - exact).mean() < 0.05 * exact.std())


def test_the_shipped_model_comes_back_from_its_onnx_file_with_the_same_logits() -> None:
    nano, revived = Nano(SHIPPED), revive(SHIPPED)
    for one in EXAMPLES[:3]:
        ids = torch.tensor([nano.tokenizer.encode(one.prompt, add_special_tokens=False).ids])
        with torch.no_grad():
            ours = revived(input_ids=ids).logits[0, -1]
        assert torch.allclose(ours, torch.tensor(nano.logits(one.prompt)), atol=1e-4)


def test_what_the_experts_clamp_is_clamped_in_the_onnx_file_too(tmp_path: Path) -> None:
    torch.manual_seed(1)
    made = model.create(tokenizer.token_id(WORDS, tokenizer.PAD), tokenizer.token_id(WORDS, tokenizer.END))
    for layer in made.model.layers:  # so large that much is clamped
        layer.mlp.experts.gate_up_proj.data.mul_(200)
    made.eval().save_pretrained(tmp_path / "trained")
    tokenizer.save(WORDS, tmp_path / "trained")
    (tmp_path / "1").mkdir()
    export.export(tmp_path / "trained", tmp_path / "1")
    exported = torch.tensor(Nano(tmp_path / "1").logits(EXAMPLES[0].prompt))
    clamped, revived = logits(made), logits(revive(tmp_path / "1"))
    for layer in made.model.layers:
        layer.mlp.experts.limit = 1e9
    unclamped = logits(made)
    for same in (exported, revived):
        assert (same - clamped).norm() < 0.3 * (unclamped - clamped).norm()


def test_weights_are_exported_in_8_bits_and_come_back_as_they_were_rounded(tmp_path: Path) -> None:
    known = base.load(SHIPPED)
    package.write(known, known.model, set(), tmp_path / "1")
    assert (tmp_path / "1" / "model.onnx.data").stat().st_size < 0.5 * known.folder.joinpath(
        "model.onnx.data"
    ).stat().st_size
    revived = revive(tmp_path / "1").state_dict()
    for name, weights in known.model.state_dict().items():
        step = weights.abs().amax(dim=-1, keepdim=True) / 127 if weights.ndim > 1 else torch.zeros(())
        if name.endswith("_proj") and weights.ndim == 3:  # the experts' inputs are their second to last
            step = weights.abs().amax(dim=-2, keepdim=True) / 127
        assert ((revived[name] - weights).abs() <= 1.01 * step + 1e-6).all(), name
    exact, rounded = Nano(SHIPPED), Nano(tmp_path / "1")
    for one in EXAMPLES[:3]:
        assert near(rounded.logits(one.prompt), exact.logits(one.prompt))


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"neither model\.onnx nor config\.json"):
        base.load(tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"?")
    with pytest.raises(InputError, match="cannot read the model"):
        base.load(tmp_path)


def test_base_and_adapter_are_two_groups_with_their_own_rates(checkpoint: Path) -> None:
    made = adapter.attach(base.load(checkpoint).model, ATTENTION)
    by_name = {group["name"]: group for group in adapter.groups(made, ATTENTION)}
    assert (by_name["base"]["lr"], by_name["adapter"]["lr"]) == (1e-6, 1e-4)
    known = {id(parameter): name for name, parameter in made.named_parameters()}
    named = {group: {known[id(one)] for one in of["params"]} for group, of in by_name.items()}  # type: ignore[attr-defined]  # a list
    projections = ("q_proj", "k_proj", "v_proj", "o_proj")
    assert len(named["adapter"]) == 2 * len(projections) * 2  # A and B, in each of two layers
    assert all("lora_" in name and any(one in name for one in projections) for name in named["adapter"])
    assert all(".self_attn." in name and "lora_" not in name for name in named["base"])
    assert len(named["base"]) == 2 * (2 * len(projections) + 1)  # weights, biases, sinks


def test_rank_alpha_and_dropout_are_the_recipes(checkpoint: Path) -> None:
    made = adapter.attach(base.load(checkpoint).model, ATTENTION)
    projection = made.base_model.model.model.layers[0].self_attn.q_proj
    assert projection.lora_A["default"].weight.shape == (16, 32)
    assert projection.scaling["default"] == 32 / 16
    assert projection.lora_dropout["default"].p == 0.1


@pytest.mark.parametrize("weights", BaseWeights)
def test_the_base_is_trained_as_far_as_the_recipe_says(checkpoint: Path, weights: BaseWeights) -> None:
    recipe = Recipe(base_weights=weights)
    made = adapter.attach(base.load(checkpoint).model, recipe)
    trained = {name for name, one in made.named_parameters() if one.requires_grad and "lora_" not in name}
    experts = any(".experts." in name for name in trained)
    assert experts is (weights is BaseWeights.ALL)
    assert bool(trained) is (weights is not BaseWeights.FROZEN)


def test_training_moves_attention_and_leaves_every_other_weight_alone(checkpoint: Path) -> None:
    known = base.load(checkpoint)
    before = {name: one.detach().clone().float() for name, one in known.model.state_dict().items()}
    # A warm-up, and rates that show in three steps.
    recipe = Recipe(base_weights=BaseWeights.ATTENTION, base_rate=1e-3, adapter_rate=1e-2, steps=3, batch=2)
    tuned = tune.lora(known, EXAMPLES, recipe, lambda step, steps, loss: None)
    changed = adapter.changed(tuned.model)
    merged = adapter.merge(tuned.model)
    moved = {name for name, one in merged.state_dict().items() if not torch.equal(one.float(), before[name])}
    assert moved == changed and all(".self_attn." in name for name in moved)
    assert {f"model.layers.0.self_attn.{one}_proj.weight" for one in "qkvo"} <= moved


def test_the_merged_model_answers_as_with_the_adapter_on() -> None:
    known = base.load(SHIPPED)
    recipe = Recipe(base_weights=BaseWeights.ALL, adapter_rate=1e-2, steps=3, batch=4)
    made = tune.lora(known, EXAMPLES, recipe, lambda step, steps, loss: None).model
    on = logits(made)
    with made.disable_adapter():
        off = logits(made)
    assert not torch.allclose(on, off, atol=1e-3)
    assert torch.allclose(logits(adapter.merge(made)), on, atol=1e-4)


def test_a_new_version_of_the_small_model_loads_and_answers_as_the_merged_one(tmp_path: Path) -> None:
    known = base.load(SHIPPED)
    recipe = Recipe(base_weights=BaseWeights.FROZEN, adapter_rate=1e-2, steps=3, batch=4)
    tuned = tune.lora(known, EXAMPLES, recipe, lambda step, steps, loss: None)
    merged = adapter.merge(tuned.model)
    written_bytes = package.write(known, merged, set(), tmp_path / "2")
    nano = Nano(tmp_path / "2")
    ids = torch.tensor([nano.tokenizer.encode(EXAMPLES[1].prompt, add_special_tokens=False).ids])
    with torch.no_grad():
        ours = merged(input_ids=ids).logits[0, -1]
    assert near(nano.logits(EXAMPLES[1].prompt), ours.numpy())
    assert written_bytes > 4_000_000 and (tmp_path / "2" / "model.py").exists()


def test_a_new_checkpoint_is_the_base_bit_by_bit_but_for_what_was_trained(
    checkpoint: Path, tmp_path: Path
) -> None:
    known = base.load(checkpoint)
    recipe = Recipe(base_weights=BaseWeights.ATTENTION, base_rate=1e-2, adapter_rate=1e-1, steps=3, batch=2)
    tuned = tune.lora(known, EXAMPLES, recipe, lambda step, steps, loss: None)
    changed = adapter.changed(tuned.model)
    merged = adapter.merge(tuned.model)
    package.write(known, merged, changed, tmp_path / "2")
    old, new = (load_file(folder / "model.safetensors") for folder in (checkpoint, tmp_path / "2"))
    assert {name for name in old if not torch.equal(old[name], new[name])} <= changed
    assert all(new[name].dtype is torch.bfloat16 for name in changed)
    again = base.load(tmp_path / "2")
    assert torch.allclose(logits(again.model), logits(merged), atol=0.1)
    asked = question(("You logged in 3 times in the last 7 days.",), {"logins_7d": 3})
    assert 0 < base.estimate(again.model, again.tokenizer, asked) < 1


def test_a_version_does_not_overwrite_its_base(checkpoint: Path) -> None:
    known = base.load(checkpoint)
    with pytest.raises(InputError, match="is the base"):
        package.write(known, known.model, set(), checkpoint)


def test_one_forward_pass_gives_the_same_estimate_in_torch_and_in_onnx() -> None:
    known = base.load(SHIPPED)
    asked = question(("You have not been active for 9 days.",), {"quiet_days": 9})
    ours = base.estimate(known.model, known.tokenizer, asked)
    assert Estimator(Nano(SHIPPED)).estimate(asked) == pytest.approx(ours, abs=1e-4)


def test_the_recipes_of_the_project_hold_the_missions_figures() -> None:
    nano, large = read(path_of("nano")), read(path_of("gpt-oss-20b"))
    expected = Adapter(rank=16, alpha=32, dropout=0.1, projections=("q_proj", "k_proj", "v_proj", "o_proj"))
    for recipe in (nano, large):
        assert recipe.adapter == expected
        assert (recipe.base_rate, recipe.adapter_rate) == (1e-6, 1e-4)
    assert large.base_weights is BaseWeights.ATTENTION
    assert {path.stem for path in RECIPES.iterdir()} == {"nano", "nano-more", "nano-estimate", "gpt-oss-20b"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [("base_weights = 'some'", "some"), ("base_weights = 'all'\nrank = 8", "rank"), ("", "base_weights")],
)
def test_a_recipe_that_is_wrong_is_refused_by_the_name_of_its_field(
    tmp_path: Path, text: str, problem: str
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=problem):
        read(path)


def test_too_few_examples_are_refused() -> None:
    with pytest.raises(InputError, match="1 examples are too few"):
        tune.lora(base.load(SHIPPED), EXAMPLES[:1], ATTENTION, lambda step, steps, loss: None)
