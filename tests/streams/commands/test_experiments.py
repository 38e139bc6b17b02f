"""`holdfast experiments` from files: the verdict in words, the picture, and what it says where nothing is
known.
"""

import json
from pathlib import Path
from random import Random

import msgspec
import pytest
from typer.testing import CliRunner

from schemas.codec import encode
from schemas.errors import InputError
from schemas.policy import Arm, Experiment
from schemas.vocabulary import HeldBy
from streams.cli import app
from tests.streams.experiments.world import HOUR_MS, arm_of, conversions, decided, rules

RULES = rules(Experiment(name="x", arms=(Arm(name="a", weight=0.5), Arm(name="b", weight=0.5))))


@pytest.fixture(autouse=True)
def _no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_WORK_DIR", str(tmp_path / "work"))
    monkeypatch.setenv("HOLDFAST_BOOTSTRAP_SERVERS", "127.0.0.1:1")


def files(folder: Path, *, lost: float = 0.0) -> list[str]:
    """A test in which b converts more often than a; of b's decisions some are lost."""
    dice = Random(2)
    published = []
    for n in range(2000):
        one = decided(RULES, f"u{n}", n * HOUR_MS, activity=dice.uniform(10, 30))
        if arm_of(one, "x") == "b" and dice.random() < lost:
            one = decided(RULES, f"u{n}", n * HOUR_MS, lost=HeldBy.GUARD)
        published.append(one)
    outcomes = conversions(published, "x", lambda _, arm: 0.3 if arm == "b" else 0.1, simulated=True)
    lines = [msgspec.to_builtins(one.decision) | {"append_ms": one.append_ms} for one in published]
    (folder / "rules.json").write_bytes(encode(RULES))
    (folder / "d.jsonl").write_bytes(b"\n".join(map(msgspec.json.encode, lines)))
    (folder / "o.jsonl").write_bytes(b"\n".join(map(encode, outcomes)))
    names = {"rules": "rules.json", "decisions": "d.jsonl", "outcomes": "o.jsonl"}
    return [text for option, name in names.items() for text in (f"--{option}", str(folder / name))]


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["experiments", *arguments], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def test_the_better_arm_is_named_with_its_interval_and_drawn(tmp_path: Path) -> None:
    given = files(tmp_path)
    text = run("report", *given, "--simulated", "--out", str(tmp_path / "out"))
    assert "b is better: +" in text and "points of response, between" in text
    assert "SIMULATED" in text
    drawn = (tmp_path / "out" / "acme-x.svg").read_text()
    assert "simulated outcomes" in drawn
    found = json.loads(run("report", *given, "--simulated", "--json"))["experiments"][0]
    conversion = next(row for row in found["arms"][1]["comparisons"] if row["metric"] == "conversion")
    assert conversion["found"]["low"] < 0.2 < conversion["found"]["high"]


def test_where_the_arms_have_the_wrong_sizes_no_difference_is_told(tmp_path: Path) -> None:
    text = run("report", *files(tmp_path, lost=0.4), "--simulated")
    assert "do not read b" in text and "is better" not in text


def test_simulated_outcomes_are_no_real_ones(tmp_path: Path) -> None:
    assert "nothing has happened" in run("report", *files(tmp_path))


def test_without_any_data_it_says_so(tmp_path: Path) -> None:
    assert "no decision has been in an experiment yet" in run("report")
    assert json.loads(run("report", "--json")) == {"experiments": []}
    assert "no experiment" in run("list")


def test_the_experiments_of_the_rules_are_listed(tmp_path: Path) -> None:
    given = files(tmp_path)
    assert json.loads(run("list", *given[:2], "--json"))["experiments"][0]["name"] == "x"


def test_an_arm_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="acme/x has no arm c: it has a, b, and holdout"):
        run("report", *files(tmp_path), "--control", "c")


def test_the_example_of_the_documentation_is_one(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs" / "experiments.md").read_text()
    (tmp_path / "rules.yaml").write_text(text.split("```yaml\n")[1].split("```")[0])
    found = json.loads(run("list", "--rules", str(tmp_path / "rules.yaml"), "--json"))["experiments"]
    assert [one["name"] for one in found] == ["offers", "silence"]
    lines = [line.partition("#")[0].split() for line in text.splitlines()]
    reports = [line[2:] for line in lines if line[:3] == ["holdfast", "experiments", "report"]]
    assert len(reports) == 4
    for one in reports:
        run(*(str(tmp_path / "out") if word == "report" and at else word for at, word in enumerate(one)))


def test_an_experiment_as_a_whole_needs_something_to_be_compared_with(tmp_path: Path) -> None:
    given = files(tmp_path)
    for against in ("holdout", "y"):
        with pytest.raises(InputError, match=f"no decision of acme has been in {against}"):
            run("report", *given, "--against", against)
