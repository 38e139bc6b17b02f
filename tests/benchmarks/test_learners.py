"""The comparison of learners: a world whose truth is known, and what each learner makes of it."""

import json

import pytest
from typer.testing import CliRunner

from benchmarks import learners
from benchmarks.__main__ import app
from benchmarks.learners import LEARNERS, WEEKS, Learner, answered, first_weights, run
from benchmarks.simulation.arms import CHOICES


def named(name: str) -> Learner:
    return next(one for one in LEARNERS if one.name == name)


def test_the_world_rewards_the_tiers_own_choices_and_something_better_still() -> None:
    own, half, chance = (
        sum(run(Learner(name="", judge="never", own=own), 400, 1, False).answers) / WEEKS
        for own in (1, 0.5, 0)
    )
    assert own > half > chance
    assert answered().shape == (4, len(CHOICES))
    for shares in first_weights(0.5).values():
        assert sum(shares) == pytest.approx(1)


def test_who_may_lose_much_publishes_noise_and_who_must_be_sure_seldom_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(learners, "DRAWS", 200)
    loose, sure = (
        run(named(name), 100, 2, True)
        for name in (
            "halves judge each other, arms alike, margin -0.02",
            "later decisions judge, people's belief",
        )
    )
    assert len(sure.published) < len(loose.published)
    assert sure == run(named("later decisions judge, people's belief"), 100, 2, True), "one seed, one result"


def test_the_command_tells_what_became_of_each_learner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learners, "LEARNERS", (LEARNERS[0], named("… each tier by itself")))
    monkeypatch.setattr(learners, "DRAWS", 50)
    found = CliRunner().invoke(app, ["learners", "--seeds", "2", "--weekly", "60", "--json"])
    assert found.exit_code == 0, found.output
    own, apart = json.loads(found.stdout)["learners"]
    assert own["published"] == 0 and own["first_week"] is None
    assert apart["answers"].keys() == learners.PERIODS.keys()
