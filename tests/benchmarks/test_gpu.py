"""What the pace of a model means for scripts; the whole measure on the small shape, where torch is there."""

import json
from importlib.util import find_spec

import pytest
from typer.testing import CliRunner

from benchmarks import gpu
from benchmarks.__main__ import app
from schemas.errors import InputError


def test_a_model_that_is_too_slow_for_one_token_writes_none_live() -> None:
    found = gpu.row(50, batch=1, prompt_tokens=64, cuda_graphs=False, first_ms=51.0, token_ms=1.0)
    assert found.live_tokens == 0


def test_the_first_token_counts_among_those_within_the_budget() -> None:
    found = gpu.row(50, batch=1, prompt_tokens=64, cuda_graphs=False, first_ms=50.0, token_ms=1.0)
    assert found.live_tokens == 1


def test_a_batch_gives_as_many_drafts_as_it_holds() -> None:
    found = gpu.row(50, batch=32, prompt_tokens=64, cuda_graphs=True, first_ms=100.0, token_ms=10.0)
    assert found.typical_drafts_per_s == pytest.approx(32 / (0.1 + 44 * 0.01))
    assert found.longest_drafts_per_s == pytest.approx(32 / (0.1 + 95 * 0.01))


def test_without_torch_one_line_says_what_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"torch.*make train-setup"):
        gpu.gpu()


@pytest.mark.skipif(find_spec("torch") is None, reason="the training extra is not installed")
def test_the_small_shape_is_measured_on_any_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "BATCHES", (1, 2))
    monkeypatch.setattr(gpu, "PROMPT_TOKENS", (8,))
    monkeypatch.setattr(gpu, "MOST_TOKENS", 6)
    done = CliRunner().invoke(app, ["gpu", "--shape", "nano", "--json"])
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)["rows"]
    assert {row["batch"] for row in rows} == {1, 2}
    assert all(row["first_ms"] > 0 and row["token_ms"] > 0 for row in rows)
