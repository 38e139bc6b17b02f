"""The comparison of learners: a world whose truth is known, and what each learner makes of it."""

import json

import pytest
from typer.testing import CliRunner

from benchmarks import learners
from benchmarks.__main__ import app
from benchmarks.learners import LEARNERS, WEEKS, Judge, Learner, Truth, answered, first_weights, run, worth_of
from benchmarks.simulation.arms import CHOICES


def named(name: str) -> Learner:
    return next(one for one in LEARNERS if one.name == name)


def test_the_world_rewards_the_tiers_own_choices_and_something_better_still() -> None:
    own, half, chance = (worth_of(first_weights(share), Truth.ASSUMED) for share in (1, 0.5, 0))
    assert own > half > chance
    assert answered(Truth.ASSUMED).shape == (4, len(CHOICES))
    of_right = [worth_of(first_weights(share), Truth.RIGHT) for share in (1, 0.5)]
    of_wrong = [worth_of(first_weights(share), Truth.WRONG) for share in (1, 0.5)]
    assert of_right[0] == pytest.approx(0.08) and of_right[0] > of_right[1] and of_wrong[0] < of_wrong[1]
    for shares in first_weights(0.5).values():
        assert sum(shares) == pytest.approx(1)


def test_who_may_lose_much_publishes_noise_and_who_must_be_sure_seldom_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(learners, "DRAWS", 200)
    loose, sure = (
        run(named(name), 100, 2, Truth.ALIKE)
        for name in ("nobody judges, 50 % own, arms alike", "later decisions judge, people's belief")
    )
    assert len(sure.published) < len(loose.published)
    again = run(named("later decisions judge, people's belief"), 100, 2, Truth.ALIKE)
    assert sure == again, "one seed, one result"


@pytest.mark.parametrize("judge", [Judge.HALVES, Judge.OWN, Judge.IN_PART, Judge.KNOWN])
def test_weights_that_act_add_up_and_none_is_negative(monkeypatch: pytest.MonkeyPatch, judge: Judge) -> None:
    monkeypatch.setattr(learners, "DRAWS", 100)
    learner = Learner(name="", judge=judge, at_risk=0.3)
    acting, kept = list[dict[str, tuple[float, ...]]](), learners.decided

    def decided(size: int, weights: dict[str, tuple[float, ...]], *rest: object) -> object:
        acting.append(weights)
        return kept(size, weights, *rest)  # type: ignore[arg-type]  # handed on as they came

    monkeypatch.setattr(learners, "decided", decided)
    run(learner, 200, 2, Truth.WRONG)
    assert len(acting) == WEEKS and acting[-1] != acting[0]
    for weights in acting:
        for shares in weights.values():
            assert sum(shares) == pytest.approx(1, abs=1e-3) and min(shares) >= 0


def test_the_command_tells_what_became_of_each_learner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learners, "LEARNERS", (LEARNERS[0], named("… each tier by itself")))
    monkeypatch.setattr(learners, "DRAWS", 50)
    found = CliRunner().invoke(app, ["learners", "--seeds", "2", "--weekly", "60", "--json"])
    assert found.exit_code == 0, found.output
    own, apart = json.loads(found.stdout)["learners"]
    assert own["published"] == 0 and own["first_week"] is None
    assert apart["answers"].keys() == learners.PERIODS.keys()
