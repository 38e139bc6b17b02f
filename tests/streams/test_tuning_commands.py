"""`holdfast train examples|pairs` and `holdfast evaluate scripts|estimate`, from the outside."""

import json
from pathlib import Path

import msgspec
import pytest

from inference.preferences import Pair
from inference.registry import promoted
from inference.training.records import Answered
from inference.tritonserver import MODEL, MODEL_REPOSITORY
from schemas.errors import InputError
from streams.commands import tuning
from streams.commands.evaluating.estimate import estimate
from streams.commands.evaluating.scripts import scripts


def test_examples_are_prompts_with_their_answers_the_same_each_time(tmp_path: Path) -> None:
    for name in ("a", "b"):
        tuning.examples(tmp_path / name, scripts=20, log=None, asked=1)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    rows = [msgspec.json.decode(line, type=Answered) for line in (tmp_path / "a").read_bytes().splitlines()]
    assert len(rows) == 20 and all(row.answer and row.task == "script" for row in rows)


def test_pairs_without_outcomes_are_none_and_a_wrong_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "decisions.jsonl").write_text("{}\n")
    (tmp_path / "outcomes.jsonl").write_text("")
    with pytest.raises(InputError, match=r"line 1 of .*decisions\.jsonl: .*`id`"):
        tuning.make_pairs(tmp_path / "pairs.jsonl", tmp_path / "decisions.jsonl", tmp_path / "outcomes.jsonl")


def test_a_pair_survives_its_file() -> None:
    fields = dict.fromkeys(Pair.__struct_fields__, "x")
    fields |= {"tier": "low", "reason": "errors", "locale": "en"}
    pair = msgspec.convert(fields | {"simulated": True}, Pair)
    assert msgspec.json.decode(msgspec.json.encode(pair), type=Pair) == pair


def test_a_version_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no small model"):
        scripts(version="9", repository=tmp_path, many=20, seed=1, as_json=True)
    with pytest.raises(InputError, match="holds no small model"):
        estimate(data=tmp_path / "log", model=tmp_path, train=100, test=100, as_json=True)


def test_the_version_that_serves_is_judged_unless_another_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    scripts(version=None, repository=MODEL_REPOSITORY, many=200, seed=1, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["version"] == promoted(MODEL).name
    assert found["conditioning"]["all"]["value"] >= 0.95


def test_a_log_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"kind":"login"}\n')
    with pytest.raises(InputError, match=r"no event: .*event_id"):
        list(tuning.events_of(tmp_path / "log.jsonl"))
