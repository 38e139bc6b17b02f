"""The committed model, in this process: what it writes is right, and it stops when it is told to."""

import json
from itertools import islice

import pytest

from inference.client import TEMPERATURE, TOP_K, TOP_P
from inference.nano import MAX_POSITIONS, Nano, Sampling
from inference.prompt import prompt
from inference.registry import promoted
from inference.training.corpus import examples
from inference.training.evaluate import evaluate
from inference.tritonserver import MODEL
from operators.ladder import refusal

FOLDER = promoted(MODEL)
PROMPT = prompt(next(examples(1)).profile)


@pytest.fixture(scope="module")
def nano() -> Nano:
    return Nano(FOLDER)


def test_scripts_do_what_headers_ask_that_were_never_trained_on(nano: Nano) -> None:
    score, _ = evaluate(nano, seed=21, scripts=60, sampling=Sampling(), refusal=refusal)
    assert score.right["all"] >= 0.95


def test_the_guard_lets_scripts_through_in_each_language(nano: Nano) -> None:
    sampling = Sampling(temperature=TEMPERATURE, top_p=TOP_P, top_k=TOP_K, seed=1)
    score, _ = evaluate(nano, seed=22, scripts=150, sampling=sampling, refusal=refusal)
    assert min(score.sendable.values()) >= 0.95
    assert score.tokens_p50 <= 45 and score.tokens_p95 <= 80


def test_the_likeliest_script_is_always_the_same(nano: Nano) -> None:
    written = {"".join(nano.generate(PROMPT, Sampling(), lambda: False)) for _ in range(2)}
    assert len(written) == 1


def test_sampled_scripts_differ(nano: Nano) -> None:
    sampling = Sampling(temperature=0.7, top_p=0.95)
    written = {"".join(nano.generate(PROMPT, sampling, lambda: False)) for _ in range(12)}
    assert len(written) > 3


def test_it_writes_no_more_than_asked(nano: Nano) -> None:
    assert len(list(nano.generate(PROMPT, Sampling(max_tokens=3), lambda: False))) <= 3


def test_it_stops_when_told(nano: Nano) -> None:
    answers = iter([False, False, False, True])
    assert len(list(nano.generate(PROMPT, Sampling(), lambda: next(answers)))) <= 2
    assert list(nano.generate(PROMPT, Sampling(), lambda: True)) == []


def test_a_prompt_that_leaves_no_room_is_refused(nano: Nano) -> None:
    with pytest.raises(ValueError, match="at most 511 allowed"):
        list(nano.generate("x " * MAX_POSITIONS, Sampling(), lambda: False))


def test_special_tokens_and_half_characters_never_show(nano: Nano) -> None:
    for profile, _ in islice(examples(2), 20):
        text = "".join(nano.generate(prompt(profile), Sampling(), lambda: False))
        assert "<|" not in text and "\ufffd" not in text


def test_the_committed_model_is_small_and_tells_how_it_was_judged() -> None:
    assert sum(file.stat().st_size for file in FOLDER.iterdir() if file.is_file()) < 20_000_000
    metrics = json.loads((FOLDER / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["greedy"]["scripts"] >= 500
    card = (FOLDER / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert card.startswith("# holdfast-nano")
    assert "held-out" in card and "## Known limits" in card and "## Samples" in card
