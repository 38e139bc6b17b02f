"""The bandit learns what is best, says how likely each arm was, and knows what new weights are worth."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.bandit import (
    STRETCHES,
    Gain,
    Log,
    Weights,
    Worth,
    affordable,
    between,
    gain,
    gain_of_learning,
    joined,
    learn,
    simulated,
)

TRUTH = {"critical": (0.05, 0.10, 0.25), "high": (0.30, 0.10, 0.05)}
EVEN = dict.fromkeys(TRUTH, (0.4, 0.3, 0.3))
NO_COSTS = [0.0, 0.0, 0.0]


def worth_of(weights: Weights) -> float:
    """The true value per decision, both contexts being as frequent."""
    return float(np.mean([np.dot(weights[context], TRUTH[context]) for context in TRUTH]))


def test_regret_dies_away_round_by_round() -> None:
    weights: Weights = EVEN
    logs: list[Log] = []
    regret = []
    best = worth_of({"critical": (0, 0, 1), "high": (1, 0, 0)})
    for number in range(12):
        regret.append(best - worth_of(weights))
        logs.append(simulated(300, TRUTH, weights, seed=number))
        weights = learn(joined(logs), sorted(TRUTH), NO_COSTS, worth=Worth(), floor=0.02)
    assert regret[-1] < 0.15 * regret[0], "what is left is the floor's"
    assert weights["critical"][2] > 0.9 and weights["high"][0] > 0.9


def test_arms_that_are_equal_go_on_being_tried() -> None:
    log = simulated(600, {"high": (0.2, 0.2)}, {"high": (0.5, 0.5)}, seed=3)
    weights = learn(log, ["high"], [0.0, 0.0], worth=Worth(), floor=0.05)["high"]
    assert min(weights) > 0.05


@given(
    rows=st.integers(1, 60),
    floor=st.sampled_from([0.01, 0.1, 1 / 3]),
    seed=st.integers(0, 5),
)
def test_weights_are_propensities_and_one_seed_gives_one_result(rows: int, floor: float, seed: int) -> None:
    log = simulated(rows, TRUTH, EVEN, seed=seed)
    weights = learn(log, sorted(TRUTH), NO_COSTS, worth=Worth(), floor=floor, seed=seed)
    again = learn(log, sorted(TRUTH), NO_COSTS, worth=Worth(), floor=floor, seed=seed)
    assert weights == again
    for shares in weights.values():
        assert abs(sum(shares) - 1) < 1e-9
        assert min(shares) >= floor - 1e-3


def test_a_complaint_outweighs_answers() -> None:
    log = simulated(1_000, {"high": (0.2, 0.3)}, {"high": (0.5, 0.5)}, seed=1)
    annoyed = msgspec.structs.replace(log, complained=(log.arm == 1) & (np.arange(1_000) % 10 == 0))
    assert learn(log, ["high"], [0.0, 0.0], worth=Worth(), floor=0.05)["high"][1] > 0.9
    assert learn(annoyed, ["high"], [0.0, 0.0], worth=Worth(), floor=0.05)["high"][0] > 0.9


def test_an_arm_must_be_worth_what_it_costs() -> None:
    log = simulated(2_000, {"high": (0.2, 0.3)}, {"high": (0.5, 0.5)}, seed=1)
    assert learn(log, ["high"], [0.0, 0.2], worth=Worth(), floor=0.05)["high"][0] > 0.9


def test_an_arm_that_is_not_allowed_has_the_floor() -> None:
    log = simulated(1_000, TRUTH, EVEN, seed=1)
    allowed = {"critical": (True, True, False)}
    weights = learn(log, sorted(TRUTH), NO_COSTS, worth=Worth(), floor=0.05, allowed=allowed)
    assert weights["critical"][2] == 0.05
    assert weights["high"] == learn(log, ["critical", "high"], NO_COSTS, worth=Worth(), floor=0.05)["high"]


def test_unequal_propensities_within_a_context_do_not_mislead() -> None:
    """Users of one plan answer more, and had the worse arm more often: plain shares would prefer that arm."""
    dice = np.random.default_rng(5)
    rows = 8_000
    eager = dice.random(rows) < 0.5
    propensity_of_1 = np.where(eager, 0.9, 0.1)
    arm = (dice.random(rows) < propensity_of_1).astype(np.int64)
    log = msgspec.structs.replace(
        simulated(rows, {"high": (0.1, 0.1)}, {"high": (0.5, 0.5)}, seed=5),
        stratum=np.where(eager, "pro", "free"),
        arm=arm,
        propensity=np.where(arm == 1, propensity_of_1, 1 - propensity_of_1),
        answered=dice.random(rows) < 0.1 + 0.4 * eager + 0.1 * (arm == 0),
    )
    assert log.answered[arm == 1].mean() > log.answered[arm == 0].mean()
    weights = learn(log, ["high"], [0.0, 0.0], worth=Worth(), floor=0.05)["high"]
    assert weights[0] > 0.9


@pytest.mark.parametrize("estimator", ["dr", "ips", "snips"])
def test_the_gain_is_estimated_without_bias(estimator: str) -> None:
    logging = {"critical": (0.7, 0.2, 0.1), "high": (0.2, 0.3, 0.5)}
    target = {"critical": (0.1, 0.1, 0.8), "high": (0.8, 0.1, 0.1)}
    truth = worth_of(target) - worth_of(logging)
    estimates = [
        getattr(gain(simulated(800, TRUTH, logging, seed=seed), logging, target, Worth()), estimator)
        for seed in range(40)
    ]
    error = np.std(estimates) / np.sqrt(len(estimates))
    assert abs(np.mean(estimates) - truth) < 3 * error
    assert truth > 0.1


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    target = {"critical": (0.0, 0.0, 1.0), "high": (1.0, 0.0, 0.0)}
    truth = worth_of(target) - worth_of(EVEN)
    found = [gain(simulated(600, TRUTH, EVEN, seed=seed), EVEN, target, Worth()) for seed in range(40)]
    assert sum(one.ci[0] < truth < one.ci[1] for one in found) >= 34


def judged(truth: dict[str, tuple[float, ...]], seed: int, decisions: int = 1_000) -> Gain:
    """The gain of learning in a world of three arms, over weights that people set."""
    people = dict.fromkeys(truth, (0.5, 0.3, 0.2))

    def learned(log: Log) -> Weights:
        return learn(log, sorted(truth), NO_COSTS, worth=Worth(), floor=0.02, believed=people, draws=500)

    found = gain_of_learning(simulated(decisions, truth, people, seed=seed), people, learned, Worth(), 0)
    assert found is not None
    return found


def test_without_a_difference_weights_are_published_no_more_often_than_the_bound_says() -> None:
    found = [judged(dict.fromkeys(TRUTH, (0.1, 0.1, 0.1)), seed) for seed in range(300)]
    published = sum(one.least > 0 for one in found)
    assert published <= 0.05 * len(found) + 2 * np.sqrt(0.05 * 0.95 * len(found))
    assert abs(np.mean([one.dr for one in found])) < 0.002


def test_with_a_better_arm_weights_are_published() -> None:
    found = [judged(dict.fromkeys(TRUTH, (0.1, 0.1, 0.2)), seed, 1_500) for seed in range(50)]
    assert np.mean([one.least > 0 for one in found]) > 0.9


def test_what_acts_in_part_loses_more_than_is_at_risk_no_more_often_than_the_bound_says() -> None:
    """People are right, so that whatever is learned loses; it is believed to be as good as any."""
    answers = dict.fromkeys(TRUTH, (0.12, 0.08, 0.08))
    people, at_risk, lost = dict.fromkeys(TRUTH, (0.8, 0.1, 0.1)), 0.003, []
    for seed in range(100):
        log = simulated(800, answers, people, seed=seed)

        def learned(seen: Log) -> Weights:
            return learn(seen, sorted(TRUTH), NO_COSTS, worth=Worth(), floor=0.02, draws=200)

        judged_ = gain_of_learning(log, people, learned, Worth(), 0)
        assert judged_ is not None
        acting = between(people, learned(log), affordable(judged_, at_risk))
        shares = np.array([people["high"]]), np.array([list(acting.values())])
        lost.append(float((shares[0].mean(axis=0) - shares[1][0].mean(axis=0)) @ answers["high"]))
    assert max(lost) > 0, "to try is not for nothing"
    assert np.mean([one > at_risk for one in lost]) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 100)


def test_weights_are_judged_on_later_decisions_than_they_were_learned_from_and_on_those_since() -> None:
    log, seen_until = simulated(1_000, TRUTH, EVEN, seed=1), list[int]()

    def learned(seen: Log) -> Weights:
        seen_until.append(int(seen.at.max()) + 1)
        return EVEN

    found = gain_of_learning(log, EVEN, learned, Worth(), since_ms=200)
    assert found is not None and found.decisions == 800 and found.dr == 0
    assert seen_until == list(range(200, 1_000, 800 // STRETCHES))
    assert gain_of_learning(log, EVEN, learned, Worth(), since_ms=1_000) is None
    every = gain_of_learning(log, EVEN, learned, Worth(), since_ms=0)
    assert every is not None and every.decisions == 1_000 - 1_000 // STRETCHES


def test_what_people_believed_holds_until_there_are_records() -> None:
    people = {"high": (0.7, 0.2, 0.1)}
    few = simulated(5, {"high": (0.1, 0.1, 0.1)}, {"high": (0.4, 0.3, 0.3)}, seed=1)
    weights = learn(few, ["high"], NO_COSTS, worth=Worth(), floor=0.02, believed=people)["high"]
    assert np.allclose(weights, people["high"], atol=0.1)
    many = simulated(4_000, {"high": (0.1, 0.1, 0.3)}, {"high": (0.4, 0.3, 0.3)}, seed=1)
    assert learn(many, ["high"], NO_COSTS, worth=Worth(), floor=0.02, believed=people)["high"][2] > 0.9
