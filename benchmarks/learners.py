"""`python -m benchmarks learners`: what it costs to learn weights, by who learns them and who lets them act.

A made-up tenant whose truth is known: four tiers, the simulation's nine choices, and customers who answer as
a choice fits what they need. Each week decisions are given by the weights that hold, and new ones are
learned. In a second world all choices are alike, so that whatever is published is noise.
"""

from collections.abc import Callable
from functools import partial
from typing import Annotated

import numpy as np
import typer
from msgspec import Struct
from numpy.typing import NDArray
from rich.table import Table

from benchmarks.simulation.arms import CHOICES, own_choice
from benchmarks.simulation.parameters import OFFER_FIT, OFFERS, STRATEGY_FIT, Assumed
from inference.bandit import Log, Weights, Worth, gain, gain_of_learning, joined, learn
from schemas.vocabulary import STRATEGIES, Tier
from streams.commands.output import AsJson, out, print_json, progress

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
FLOOR, DRAWS = 0.005, 2_000
_OPENED = 0.65
_WORTH = Worth(complaint=0.0)
_ARMS = len(CHOICES)
_ONE_SIDED = 1.645 / 1.96


class Learner(Struct, frozen=True, kw_only=True):
    """Who learns: `own` is the share of the tiers' own choices at first, all else is by chance.

    `judge` says what lets new weights act: the product's gain of learning (`later`), two halves of the users
    that judge what was learned of each other (`halves`, against the weights that hold), nothing (`nobody`),
    or that nothing is learned (`never`). `believes` takes the first weights for what people believe, and
    `pools` lets tiers tell of each other.
    """

    name: str
    judge: str
    own: float = 0.5
    margin: float = 0.0
    believes: bool = True
    pools: bool = True


LEARNERS = (
    Learner(name="nothing learned: the tiers' own choices", judge="never", own=1.0),
    Learner(name="nothing learned: half own, half chance", judge="never"),
    Learner(name="nothing learned: chance", judge="never", own=0.0),
    Learner(
        name="halves judge each other, arms alike, margin -0.02", judge="halves", believes=False, margin=-0.02
    ),
    Learner(name="halves judge each other, arms alike", judge="halves", believes=False),
    Learner(name="later decisions judge, arms alike", judge="later", believes=False),
    Learner(name="later decisions judge, people's belief", judge="later"),
    Learner(name="… margin -0.005", judge="later", margin=-0.005),
    Learner(name="… each tier by itself", judge="later", pools=False),
    Learner(name="… 80 % own at first", judge="later", own=0.8),
    Learner(name="… all by chance at first", judge="later", own=0.0),
    Learner(name="nobody judges, people's belief", judge="nobody"),
    Learner(name="nobody judges, arms alike", judge="nobody", believes=False),
)


class Course(Struct, frozen=True, kw_only=True):
    """What became of a learner: answers per decision by week, and the weeks after which it published."""

    answers: tuple[float, ...]
    published: tuple[int, ...]


class Found(Struct, frozen=True, kw_only=True):
    """A learner over all seeds: answers in 100 decisions with the error of the mean, and its publications."""

    name: str
    answers: dict[str, float]
    overall: float
    error: float
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
            real, noise = (
                [run(learner, weekly, seed, is_noise) for seed in range(seeds)] for is_noise in (False, True)
            )
            found.append(_summary(learner, real, noise))
    if as_json:
        print_json({"simulated": True, "seeds": seeds, "weekly": weekly, "learners": found})
    else:
        _show(found)


def run(learner: Learner, weekly: int, seed: int, is_noise: bool) -> Course:
    """Thirteen weeks of `weekly` decisions; where `is_noise` every choice is answered alike."""
    dice = np.random.default_rng((seed, is_noise))
    people = first_weights(learner.own)
    holding: Weights = people
    logs, answers, published = list[Log](), list[float](), list[int]()
    teach = partial(_taught, learner, people)
    for week in range(WEEKS):
        log, expected = decided(weekly, holding, dice, is_noise, week)
        logs.append(log)
        answers.append(expected)
        known = joined(logs)
        if len(known) < 400 or learner.judge == "never":
            continue
        after = teach(known)
        if _least(learner, known, people, holding, teach) > learner.margin:
            holding = after
            published.append(week + 1)
    return Course(answers=tuple(answers), published=tuple(published))


def decided(
    size: int, weights: Weights, dice: np.random.Generator, is_noise: bool, week: int
) -> tuple[Log, float]:
    """A week's decisions with what came of them, and how many answers were to be expected of each."""
    tier = dice.choice(len(TIERS), p=list(TIERS.values()), size=size)
    need = (dice.random(size)[:, None] > np.array(NEEDS)[tier].cumsum(axis=1)).sum(axis=1)
    shares = np.array([weights[name] for name in TIERS])[tier]
    arm = (dice.random(size)[:, None] > shares.cumsum(axis=1)).sum(axis=1).clip(max=_ARMS - 1)
    likely = np.full(size, 0.07) if is_noise else answered()[need, arm]
    log = Log(
        at=week * size + np.arange(size),
        unit=dice.integers(2 * size, size=size).astype(str),
        context=np.array(list(TIERS))[tier],
        stratum=np.full(size, ""),
        arm=arm,
        propensity=shares[np.arange(size), arm],
        answered=dice.random(size) < likely,
        complained=np.zeros(size, dtype=bool),
        left=np.zeros(size, dtype=bool),
        cost=np.zeros(size),
        known=np.zeros((size, 0)),
    )
    return log, float(likely.mean())


def answered() -> Floats:
    """How likely a choice is answered, by need and choice, as the simulation assumes it."""
    fits = [
        [(row[STRATEGIES.index(strategy)] + offers[OFFERS.index(offer)]) / 2 for strategy, offer in CHOICES]
        for row, offers in zip(STRATEGY_FIT, OFFER_FIT, strict=True)
    ]
    assumed = Assumed()
    clicked: Floats = 1 / (
        1 + np.exp(0.5 - assumed.click_base - assumed.click_slope * (np.array(fits) - 0.4))
    )
    return _OPENED * clicked


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
            believed = people if learner.believes else None
            found |= learn(
                here, some, [0.0] * _ARMS, worth=_WORTH, floor=FLOOR, believed=believed, draws=DRAWS
            )
    return dict(people) | found


def _least(
    learner: Learner, log: Log, people: Weights, holding: Weights, teach: Callable[[Log], Weights]
) -> float:
    """What new weights surely gain, as the learner judges them; without end where nobody does."""
    if learner.judge == "nobody":
        return np.inf
    if learner.judge == "halves":
        return _halves(log, holding, teach)
    found = gain_of_learning(log, people, teach, _WORTH, since_ms=0)
    return -1.0 if found is None or found.decisions < 400 else found.least


def _halves(log: Log, holding: Weights, teach: Callable[[Log], Weights]) -> float:
    """Each half of the users judges what was learned of the other, and errors are taken for independent."""
    _, user = np.unique(log.unit, return_inverse=True)
    first = user % 2 == 0
    gains = [
        gain(log.where(inside), holding, teach(log.where(~inside)), _WORTH) for inside in (first, ~first)
    ]
    errors = [(one.dr - one.ci[0]) * _ONE_SIDED for one in gains]
    return float(np.mean([one.dr for one in gains]) - np.linalg.norm(errors) / 2)


def _summary(learner: Learner, real: list[Course], noise: list[Course]) -> Found:
    weeks = 100 * np.array([one.answers for one in real])
    first = [one.published[0] for one in real if one.published]
    return Found(
        name=learner.name,
        answers={name: float(weeks[:, period].mean()) for name, period in PERIODS.items()},
        overall=float(weeks.mean()),
        error=float(weeks.mean(axis=1).std() / np.sqrt(len(real))),
        first_week=float(np.median(first)) if first else None,
        published=len(first) / len(real),
        of_noise_at_a_look=float(np.mean([len(one.published) for one in noise]) / WEEKS),
        of_noise_ever=float(np.mean([bool(one.published) for one in noise])),
    )


def _show(found: list[Found]) -> None:
    out.print("[bold]SIMULATED[/]: answers in 100 decisions")
    columns = (*PERIODS, "all weeks", "published", "first after", "of noise: a look", "ever")
    table = Table("learner", *columns, box=None, pad_edge=False)
    for one in found:
        table.add_row(
            one.name,
            *(f"{value:.2f}" for value in one.answers.values()),
            f"{one.overall:.2f} ± {one.error:.2f}",
            f"{one.published:.0%}",
            "–" if one.first_week is None else f"week {one.first_week:.0f}",
            f"{one.of_noise_at_a_look:.1%}",
            f"{one.of_noise_ever:.0%}",
        )
    out.print(table)
