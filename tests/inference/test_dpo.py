"""DPO: the loss by hand, the reference that stays, and a margin that grows."""

import math
from itertools import islice
from random import Random

import pytest

pytest.importorskip("torch", reason="the training extra is not installed")
pytest.importorskip("transformers", reason="the training extra is not installed")
pytest.importorskip("peft", reason="the training extra is not installed")

import torch

from inference.preferences import Pair
from inference.prompt import prompt
from inference.training import adapter, base, dpo, loop, tune
from inference.training.corpus import compose, examples
from inference.training.recipe import BaseWeights, Recipe
from inference.training.records import is_held_out
from inference.tritonserver import MODEL, MODEL_REPOSITORY
from schemas.errors import InputError

SHIPPED = MODEL_REPOSITORY / MODEL / "1"
FROZEN = Recipe(base_weights=BaseWeights.FROZEN, adapter_rate=1e-2, steps=12, batch=8)


def of(*values: float) -> torch.Tensor:
    return torch.tensor(values)


def test_the_loss_is_that_of_the_paper() -> None:
    policy, reference = (of(-10.0, -4.0), of(-12.0, -3.0)), (of(-11.0, -4.0), of(-11.0, -4.0))
    # Margins: (-10 + 11) - (-12 + 11) = 2, and (-4 + 4) - (-3 + 4) = -1.
    assert dpo.margins(policy, reference).tolist() == [2.0, -1.0]
    by_hand = (math.log(1 + math.exp(-0.1 * 2)) + math.log(1 + math.exp(0.1))) / 2
    assert float(dpo.loss(policy, reference, beta=0.1)) == pytest.approx(by_hand)


def test_a_policy_that_is_the_reference_has_the_loss_of_a_coin() -> None:
    same = (of(-3.0, -8.0), of(-5.0, -1.0))
    assert float(dpo.loss(same, same, beta=0.5)) == pytest.approx(math.log(2))


def made(number: int) -> list[Pair]:
    """Pairs of two scripts that suit the same header, of which one is liked."""

    random, found = Random(1), []
    for at, one in enumerate(islice(examples(2), number)):
        chosen, rejected = one.script, one.script
        while rejected == chosen:
            rejected = compose(one.profile, random)
        found.append(
            Pair(
                prompt=prompt(one.profile),
                chosen=chosen,
                rejected=rejected,
                tier=one.profile.tier,
                reason=one.profile.reason,
                locale=one.profile.locale,
                chosen_id=f"c{at}",
                rejected_id=f"r{at}",
                simulated=True,
            )
        )
    return found


def test_the_log_probability_of_an_answer_is_the_sum_over_its_tokens() -> None:
    known = base.load(SHIPPED)
    pair = loop.pair_of(known.tokenizer, made(1)[0].prompt, made(1)[0].chosen)
    other = loop.pair_of(known.tokenizer, made(2)[1].prompt, made(2)[1].chosen)
    batch = loop.collate([pair, other], 0)
    with torch.no_grad():
        found = tune.answer_log_probabilities(known.model, batch)
        ids, targets = (torch.tensor([part]) for part in pair)
        log = known.model(input_ids=ids).logits.log_softmax(-1)[0]
        by_hand = sum(float(log[at, target]) for at, target in enumerate(targets[0].tolist()) if target >= 0)
    assert float(found[0]) == pytest.approx(by_hand, abs=1e-3)


def test_the_policy_begins_as_the_reference_and_only_the_adapter_is_trained() -> None:
    known = base.load(SHIPPED)
    model = adapter.attach(known.model, FROZEN)
    batch = dpo.collated(made(4), known.tokenizer, 0)
    policy, reference = dpo.log_probabilities(model.eval(), batch)
    assert torch.allclose(dpo.margins(policy, reference), torch.zeros(4), atol=1e-4)
    assert not reference[0].requires_grad and policy[0].requires_grad
    assert all("lora_" in name for name, one in model.named_parameters() if one.requires_grad)


def test_training_raises_the_margin_of_the_preferred_and_leaves_the_reference() -> None:
    known = base.load(SHIPPED)
    pairs = [pair for pair in made(60) if not is_held_out(pair.chosen_id)][:8]
    held = next(pair for pair in made(200) if is_held_out(pair.chosen_id))
    check = dpo.collated(pairs, known.tokenizer, 0)
    with torch.no_grad():
        before = [tune.answer_log_probabilities(known.model, one) for one in check]
    tuned = dpo.dpo(known, [*pairs, held], FROZEN, lambda step, steps, loss: None)
    with torch.no_grad():
        policy, reference = dpo.log_probabilities(tuned.model, check)
    assert float(dpo.margins(policy, reference).mean()) > 1.0
    assert all(torch.allclose(was, now, atol=1e-3) for was, now in zip(before, reference, strict=True))
    assert tuned.losses[-1][1] < math.log(2)
    assert set(tuned.held_out) == {"margin", "loss"}


def test_too_few_pairs_are_refused() -> None:
    with pytest.raises(InputError, match="1 pairs are too few"):
        dpo.dpo(base.load(SHIPPED), made(1), FROZEN, lambda step, steps, loss: None)
