"""`python -m benchmarks learners`: what it costs to learn weights, by who learns them and who lets them act.

A made-up tenant whose truth is known: four tiers, the simulation's nine choices, and customers who answer as
a choice fits what they need. Each week decisions are given by the weights that hold, and new ones are
learned. In other worlds all choices are alike, so that whatever is learned is noise; people are right in each
tier; or what fits most is what fitted least, so that they are wrong.
"""

from collections.abc import Callable
from enum import StrEnum
from functools import cache, partial
from typing import Annotated

import numpy as np
import typer
from msgspec import Struct
from numpy.typing import NDArray
from rich.table import Table

from benchmarks.simulation.arms import CHOICES, own_choice
from benchmarks.simulation.parameters import OFFER_FIT, OFFERS, STRATEGY_FIT, Assumed
from inference.bandit import (
    Log,
    Weights,
    Worth,
    affordable,
    between,
    gain,
    gain_of_learning,
    joined,
    learn,
    made_up,
)
from schemas.vocabulary import STRATEGIES, Tier
from streams.commands.output import AsJson, out, print_json, progress
from streams.learning import LEAST

Floats = NDArray[np.float64]
TIERS = {Tier.LOW: 0.51, Tier.MEDIUM: 0.29, Tier.HIGH: 0.14, Tier.CRITICAL: 0.06}
"""Share of the decisions."""
NEEDS = (
    (0.77, 0.05, 0.05, 0.13),
    (0.65, 0.08, 0.08, 0.19),
    (0.52, 0.10, 0.11, 0.27),
    (0.54, 0.09, 0.11, 0.26),
)
"""By tier: the shares of those who lack nothing, a lower price, a feature, an end of trouble."""
WEEKS = 13
PERIODS = {"1 to 5": slice(0, 5), "6 to 9": slice(5, 9), "10 to 13": slice(9, 13)}
FLOOR, DRAWS = 0.005, 500
_OPENED = 0.65
_WORTH = Worth(complaint=0.0)
_ARMS = len(CHOICES)
_ONE_SIDED = 1.645 / 1.96
_KNOWN_FROM = 50
"""Decisions of an arm in a tier from which on it counts as known."""


class Truth(StrEnum):
    """How choices are answered: as the simulation assumes; all alike; the tiers' own best; or contrary."""

    ASSUMED = "assumed"
    ALIKE = "alike"
    RIGHT = "people are right"
    WRONG = "people are wrong"


class Judge(StrEnum):
    """What lets new weights act.

    `LATER` is the product's gain of learning over the weights that people set, `OWN` the same over the tiers'
    own choices. `IN_PART` moves from people's weights towards the new ones, as far as what may be lost stays
    within the margin (after Kazerouni et al., "Conservative Contextual Linear Bandits", 2017). `KNOWN` keeps
    people's share of each choice that was tried too seldom in a tier (after Laroche et al., "Safe Policy
    Improvement with Baseline Bootstrapping", 2019). With `HALVES` two halves of the users judge what was
    learned of each other, against the weights that hold; `NOBODY` judges. With `NEVER` nothing is learned.
    """

    LATER = "later"
    OWN = "own"
    IN_PART = "in part"
    KNOWN = "known"
    HALVES = "halves"
    NOBODY = "nobody"
    NEVER = "never"


class Learner(Struct, frozen=True, kw_only=True):
    """Who learns: `own` is the share of the tiers' own choices at first, all else is by chance.

    `belief` is how much the first weights are taken for what people believe, `at_risk` the share of the
    answers that new weights may lose, and `pools` lets tiers tell of each other.
    """

    name: str
    judge: Judge
    own: float = 0.5
    at_risk: float = 0.0
    belief: float = 0.0
    pools: bool = True


_BELIEFS = ((0.0, "arms alike"), (0.5, "half belief"), (1.0, "people's belief"))
LEARNERS = (
    Learner(name="nothing learned: the tiers' own choices", judge=Judge.NEVER, own=1.0),
    Learner(name="nothing learned: 80 % own, else chance", judge=Judge.NEVER, own=0.8),
    Learner(name="nothing learned: 50 % own, else chance", judge=Judge.NEVER),
    Learner(name="nothing learned: chance", judge=Judge.NEVER, own=0.0),
    Learner(name="halves judge each other, arms alike", judge=Judge.HALVES),
    Learner(name="… 30 % at risk", judge=Judge.HALVES, at_risk=0.3),
    Learner(name="later decisions judge, arms alike", judge=Judge.LATER),
    Learner(name="later decisions judge, people's belief", judge=Judge.LATER, belief=1.0),
    Learner(name="… 10 % at risk", judge=Judge.LATER, belief=1.0, at_risk=0.1),
    Learner(name="… each tier by itself", judge=Judge.LATER, belief=1.0, pools=False),
    Learner(name="… 80 % own", judge=Judge.LATER, belief=1.0, own=0.8),
    Learner(name="… 80 % own, 10 % at risk", judge=Judge.LATER, belief=1.0, own=0.8, at_risk=0.1),
    Learner(name="… 90 % own", judge=Judge.LATER, belief=1.0, own=0.9),
    Learner(name="… 90 % own, 10 % at risk", judge=Judge.LATER, belief=1.0, own=0.9, at_risk=0.1),
    Learner(name="against the tiers' own choices", judge=Judge.OWN, belief=1.0),
    Learner(name="… 10 % at risk", judge=Judge.OWN, belief=1.0, at_risk=0.1),
    Learner(name="known choices alone, 50 % own", judge=Judge.KNOWN),
    Learner(name="known choices alone, 80 % own", judge=Judge.KNOWN, own=0.8),
    *(
        Learner(
            name=f"in part, {own:.0%} own, {told}, {at_risk:.0%} at risk",
            judge=Judge.IN_PART,
            own=own,
            belief=belief,
            at_risk=at_risk,
        )
        for own, belief, told, at_risk in (
            *((own, *one, 0.1) for own in (0.5, 0.8) for one in _BELIEFS),
            *((0.8, *one, 0.2) for one in _BELIEFS),
        )
    ),
    Learner(name="nobody judges, 50 % own, people's belief", judge=Judge.NOBODY, belief=1.0),
    Learner(name="nobody judges, 50 % own, arms alike", judge=Judge.NOBODY),
    Learner(name="nobody judges, 80 % own, arms alike", judge=Judge.NOBODY, own=0.8),
)


class Course(Struct, frozen=True, kw_only=True):
    """What became of a learner: answers to be expected of a decision by week, and when it published."""

    answers: tuple[float, ...]
    published: tuple[int, ...]


class Found(Struct, frozen=True, kw_only=True):
    """A learner over all seeds: answers in 100 decisions with the error of the mean, and its publications.

    `right` and `wrong` are the answers of all weeks where people are. `lost` is the share of weeks, in all
    worlds, whose weights earned a tenth less than those that people set.
    """

    name: str
    answers: dict[str, float]
    overall: float
    error: float
    right: float
    wrong: float
    lost: float
    first_week: float | None
    published: float
    of_noise_at_a_look: float
    of_noise_ever: float


def learners(
    seeds: Annotated[int, typer.Option("--seeds", min=2, help="Made-up tenants for each learner.")] = 16,
    weekly: Annotated[int, typer.Option("--weekly", min=50, help="Decisions of a week.")] = 400,
    as_json: AsJson = False,
) -> None:
    """Compare ways to learn an experiment's weights, in a made-up world: all figures are simulated.

    Example: python -m benchmarks learners --seeds 16
    """
    found = []
    with progress() as shown:
        for learner in shown.track(LEARNERS, description="learners"):
            ran = {truth: [run(learner, weekly, seed, truth) for seed in range(seeds)] for truth in Truth}
            found.append(_summary(learner, ran))
    if as_json:
        print_json({"simulated": True, "seeds": seeds, "weekly": weekly, "learners": found})
    else:
        _show(found)


def run(learner: Learner, weekly: int, seed: int, truth: Truth) -> Course:
    """Thirteen weeks of `weekly` decisions."""
    dice = np.random.default_rng((seed, list(Truth).index(truth)))
    people = first_weights(learner.own)
    holding: Weights = people
    logs, answers, published = list[Log](), list[float](), list[int]()
    teach = partial(_taught, learner, people)
    for week in range(WEEKS):
        answers.append(worth_of(holding, truth))
        logs.append(decided(weekly, holding, dice, truth, week))
        known = joined(logs)
        if len(known) < LEAST or learner.judge is Judge.NEVER:
            continue
        after = _judged(learner, known, people, holding, teach)
        if after is not None:
            holding = after
            published.append(week + 1)
    return Course(answers=tuple(answers), published=tuple(published))


def decided(size: int, weights: Weights, dice: np.random.Generator, truth: Truth, week: int) -> Log:
    """A week's decisions with what came of them."""
    tier = dice.choice(len(TIERS), p=list(TIERS.values()), size=size)
    return made_up(
        dice,
        at=week * size + np.arange(size),
        unit=dice.integers(2 * size, size=size).astype(str),
        context=np.array(list(TIERS))[tier],
        shares=np.array([weights[name] for name in TIERS])[tier],
        answers=answered(truth)[tier],
    )


def worth_of(weights: Weights, truth: Truth) -> float:
    """Answers that are to be expected of a decision under `weights`."""
    of_tier = (answered(truth) * [weights[tier] for tier in TIERS]).sum(axis=1)
    return float(np.array(list(TIERS.values())) @ of_tier)


@cache
def answered(truth: Truth) -> Floats:
    """How likely a choice is answered, by tier and choice."""
    if truth is Truth.ALIKE:
        return np.full((len(TIERS), _ARMS), 0.07)
    if truth is Truth.RIGHT:
        return np.array(
            [[0.08 if choice == own_choice(tier) else 0.06 for choice in CHOICES] for tier in TIERS]
        )
    fits = np.array(
        [
            [
                (row[STRATEGIES.index(strategy)] + offers[OFFERS.index(offer)]) / 2
                for strategy, offer in CHOICES
            ]
            for row, offers in zip(STRATEGY_FIT, OFFER_FIT, strict=True)
        ]
    )
    assumed = Assumed()
    fits = 0.8 - fits if truth is Truth.WRONG else fits
    clicked = 1 / (1 + np.exp(0.5 - assumed.click_base - assumed.click_slope * (fits - 0.4)))
    return np.asarray(np.array(NEEDS) @ (_OPENED * clicked), dtype=np.float64)


def first_weights(own: float) -> dict[str, tuple[float, ...]]:
    """`own` for each tier's own choice, the rest for all alike."""
    even = (1 - own) / _ARMS
    return {tier: tuple(even + own * (choice == own_choice(tier)) for choice in CHOICES) for tier in TIERS}


def _taught(learner: Learner, people: Weights, log: Log) -> Weights:
    """What the learner makes of `log`."""
    every = [tier.value for tier in TIERS]
    tiers = [every] if learner.pools else [[tier] for tier in every]
    found: dict[str, tuple[float, ...]] = {}
    for some in tiers:
        here = log.where(np.isin(log.context, some))
        if len(here):
            found |= learn(here, some, [0.0] * _ARMS, worth=_WORTH, floor=FLOOR, draws=DRAWS)
    return dict(people) | {
        tier: _believing(np.array(weights), people[tier], learner.belief) for tier, weights in found.items()
    }


def _believing(weights: Floats, people: tuple[float, ...], belief: float) -> tuple[float, ...]:
    """Learned `weights`, had each choice been thought to be the best as likely as people chose it."""
    best = (weights - FLOOR) * (belief * np.array(people) + (1 - belief) / _ARMS)
    shares: Floats = FLOOR + (1 - _ARMS * FLOOR) * best / best.sum()
    return tuple(shares.tolist())


def _judged(
    learner: Learner, log: Log, people: Weights, holding: Weights, teach: Callable[[Log], Weights]
) -> Weights | None:
    """The weights that act from now on, as the learner judges what it learned; None where it is refused."""
    after = teach(log)
    if learner.judge is Judge.NOBODY:
        return after
    if learner.judge is Judge.KNOWN:
        return _known(log, people, after)
    at_risk = learner.at_risk * float(log.answered.mean())
    if learner.judge is Judge.HALVES:
        return after if _halves(log, holding, teach) > -at_risk else None
    before = first_weights(1.0) if learner.judge is Judge.OWN else people
    found = gain_of_learning(log, before, teach, _WORTH, since_ms=0)
    if found is None or found.decisions < LEAST:
        return None
    if learner.judge is Judge.IN_PART:
        return between(people, after, affordable(found, at_risk))
    return after if found.least > -at_risk else None


def _known(log: Log, people: Weights, after: Weights) -> Weights:
    """`after`, but for the choices that were tried too seldom in a tier: those keep people's share."""
    found = {}
    for tier in TIERS:
        many = np.bincount(log.arm[log.context == tier.value], minlength=_ARMS)
        old, new = np.array(people[tier]), np.array(after[tier])
        unknown = many < _KNOWN_FROM
        left = 1 - old[unknown].sum()
        shares = np.where(unknown, old, new * left / max(new[~unknown].sum(), 1e-9))
        found[tier.value] = tuple((shares / shares.sum()).tolist())
    return found


def _halves(log: Log, holding: Weights, teach: Callable[[Log], Weights]) -> float:
    """Each half of the users judges what was learned of the other, and errors are taken for independent."""
    _, user = np.unique(log.unit, return_inverse=True)
    first = user % 2 == 0
    gains = [
        gain(log.where(inside), holding, teach(log.where(~inside)), _WORTH) for inside in (first, ~first)
    ]
    errors = [(one.dr - one.ci[0]) * _ONE_SIDED for one in gains]
    return float(np.mean([one.dr for one in gains]) - np.linalg.norm(errors) / 2)


def _summary(learner: Learner, ran: dict[Truth, list[Course]]) -> Found:
    weeks = {truth: 100 * np.array([one.answers for one in many]) for truth, many in ran.items()}
    first = [one.published[0] for one in ran[Truth.ASSUMED] if one.published]
    noise = [one.published for one in ran[Truth.ALIKE]]
    every = np.concatenate(list(weeks.values()))
    assumed = weeks[Truth.ASSUMED]
    return Found(
        name=learner.name,
        answers={name: float(assumed[:, period].mean()) for name, period in PERIODS.items()},
        overall=float(assumed.mean()),
        error=float(assumed.mean(axis=1).std() / np.sqrt(len(assumed))),
        right=float(weeks[Truth.RIGHT].mean()),
        wrong=float(weeks[Truth.WRONG].mean()),
        lost=float((every < 0.9 * every[:, :1]).mean()),
        first_week=float(np.median(first)) if first else None,
        published=len(first) / len(assumed),
        of_noise_at_a_look=float(np.mean([len(one) for one in noise]) / WEEKS),
        of_noise_ever=float(np.mean([bool(one) for one in noise])),
    )


def _show(found: list[Found]) -> None:
    out.print("[bold]SIMULATED[/]: answers in 100 decisions")
    columns = (
        *PERIODS,
        "all weeks",
        "contrary",
        "worse",
        "published",
        "first after",
        "of noise: a look",
        "ever",
    )
    table = Table("learner", *columns, box=None, pad_edge=False)
    for one in found:
        table.add_row(
            one.name,
            *(f"{value:.2f}" for value in one.answers.values()),
            f"{one.overall:.2f} ± {one.error:.2f}",
            f"{one.right:.2f}",
            f"{one.wrong:.2f}",
            f"{one.lost:.1%}",
            f"{one.published:.0%}",
            "–" if one.first_week is None else f"week {one.first_week:.0f}",
            f"{one.of_noise_at_a_look:.1%}",
            f"{one.of_noise_ever:.0%}",
        )
    out.print(table)
